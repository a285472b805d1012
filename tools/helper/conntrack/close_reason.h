/* SPDX-License-Identifier: MIT */
/*
 * How a connection ended, told from the kernel's last figures of it. Pure.
 */
#ifndef SOCKTUNE_HELPER_CLOSE_REASON_H
#define SOCKTUNE_HELPER_CLOSE_REASON_H

#include "tcp_info.h"

#include <stdbool.h>
#include <stdint.h>

enum close_reason {
    CLOSE_NONE,       /* it is open */
    CLOSE_FIN,        /* closed; the peer acknowledged all that was sent, and the end of it */
    CLOSE_RESET,      /* broken off before that, while the peer still answered */
    CLOSE_TIMEOUT,    /* the peer did not answer any more, however often it was asked */
    CLOSE_REFUSED,    /* never came about: the peer answered, but not with a yes */
    CLOSE_UNANSWERED, /* never came about: nothing came from the peer */
    CLOSE_ABORTED,    /* by the program, in a way that wipes the figures: SO_LINGER 0 */
    CLOSE_UNKNOWN,    /* the figures leave it open */
    CLOSE_LISTENER,   /* a listener was closed */
    CLOSE_LOST,       /* the kernel's word did not come */
    CLOSE_REJECTED,   /* it turned out to be another user's */
    CLOSE_COUNT
};

/* "fin", for JSON and labels; "" of CLOSE_NONE. */
const char *close_reason_name(enum close_reason ending);

/*
 * How a TCP connection ended: one of CLOSE_FIN to _UNANSWERED, or _UNKNOWN. `last` is what the
 * kernel told when it destroyed the socket, not wiped; `unacknowledged` are the bytes that then
 * waited for the peer's word (idiag_wqueue), a FIN counting as one; `sample` is what was known
 * before, of length 0 for nothing. `connected`: the socket is the side that called connect().
 */
enum close_reason close_reason_of(bool connected, const struct tcp_info_bytes *last,
                                  uint32_t unacknowledged, const struct tcp_info_bytes *sample);

#endif
