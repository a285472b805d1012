/* SPDX-License-Identifier: MIT */
/*
 * Derives from the kernel's last figures how a connection ended. Pure.
 */
#ifndef SOCKTUNE_HELPER_CLOSE_REASON_H
#define SOCKTUNE_HELPER_CLOSE_REASON_H

#include "close_reasons.h"
#include "tcp_info.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Returns how a TCP connection ended: one of CLOSE_FIN to _UNANSWERED, or _UNKNOWN. `last` is what
 * the kernel reported when it destroyed the socket, not cleared. `unacknowledged` is the number of
 * bytes that the peer had not acknowledged (idiag_wqueue); a FIN counts as one. `sample` is the
 * reading before that; length 0 if there was none. `connected`: this side called connect().
 */
enum close_reason close_reason_of(bool connected, const struct tcp_info_bytes *last,
                                  uint32_t unacknowledged, const struct tcp_info_bytes *sample);

#endif
