/* SPDX-License-Identifier: MIT */
/*
 * How a connection ended, told from the kernel's last figures of it. Pure.
 */
#ifndef SOCKTUNE_HELPER_CLOSE_REASON_H
#define SOCKTUNE_HELPER_CLOSE_REASON_H

#include "close_reasons.h"
#include "tcp_info.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * How a TCP connection ended: one of CLOSE_FIN to _UNANSWERED, or _UNKNOWN. `last` is what the
 * kernel told when it destroyed the socket, not wiped; `unacknowledged` are the bytes that then
 * waited for the peer's word (idiag_wqueue), a FIN counting as one; `sample` is what was known
 * before, of length 0 for nothing. `connected`: the socket is the side that called connect().
 */
enum close_reason close_reason_of(bool connected, const struct tcp_info_bytes *last,
                                  uint32_t unacknowledged, const struct tcp_info_bytes *sample);

#endif
