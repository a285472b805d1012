/* SPDX-License-Identifier: MIT */
/*
 * How a connection ended, told from the kernel's last figures of it. Pure.
 */
#ifndef SOCKTUNE_HELPER_ENDING_H
#define SOCKTUNE_HELPER_ENDING_H

#include "tcp_info.h"

#include <stdbool.h>
#include <stdint.h>

enum ending {
    ENDING_NONE,       /* it is open */
    ENDING_FIN,        /* closed; the peer acknowledged all that was sent, and the end of it */
    ENDING_RESET,      /* broken off before that, while the peer still answered */
    ENDING_TIMEOUT,    /* the peer did not answer any more, however often it was asked */
    ENDING_REFUSED,    /* never came about: the peer answered, but not with a yes */
    ENDING_UNANSWERED, /* never came about: nothing came from the peer */
    ENDING_ABORTED,    /* by the program, in a way that wipes the figures: SO_LINGER 0 */
    ENDING_UNKNOWN,    /* the figures leave it open */
    ENDING_LISTENER,   /* a listener was closed */
    ENDING_LOST,       /* the kernel's word did not come */
    ENDING_REJECTED,   /* it turned out to be another user's */
    ENDING_COUNT
};

/* "fin", for JSON and labels; "" of ENDING_NONE. */
const char *ending_name(enum ending ending);

/*
 * How a TCP connection ended: one of ENDING_FIN to _UNANSWERED, or _UNKNOWN. `last` is what the
 * kernel told when it destroyed the socket, not wiped; `unacknowledged` are the bytes that then
 * waited for the peer's word (idiag_wqueue), a FIN counting as one; `sample` is what was known
 * before, of length 0 for nothing. `connected`: the socket is the side that called connect().
 */
enum ending ending_of(bool connected, const struct tcp_info_bytes *last, uint32_t unacknowledged,
                      const struct tcp_info_bytes *sample);

#endif
