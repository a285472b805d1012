/* SPDX-License-Identifier: MIT */
/*
 * One notified call: sockinfo, match, apply, on a duplicate of the socket, while the call waits.
 */
#ifndef SOCKTUNE_SUPERVISE_CALL_H
#define SOCKTUNE_SUPERVISE_CALL_H

#include "target.h"

#include <linux/seccomp.h>

enum verdict {
    VERDICT_CONTINUE, /* let the kernel carry the call out */
    VERDICT_SUCCESS   /* answer 0 without carrying it out: a guarded setsockopt */
};

/*
 * Do what the rules say about the call that `notification` tells of. `listener` is where it came
 * from: it is asked whether the call still waits, after all has been read of the program and before
 * anything is done to its socket. Thread-safe as long as each thread has its own peers.
 */
enum verdict handle_call(const struct guide *guide, struct peers *peers, int listener,
                         const struct seccomp_notif *notification);

#endif
