/* SPDX-License-Identifier: MIT */
/*
 * One notified call: the caller is found, its socket is duplicated and given what the rules say,
 * while the call waits.
 */
#ifndef SOCKTUNE_CALLS_H
#define SOCKTUNE_CALLS_H

#include "target.h"
#include "treated_sockets.h"

#include <linux/seccomp.h>

/* How a call is answered, beside errnos. */
enum verdict {
    VERDICT_CONTINUE = -1, /* let the kernel carry the call out */
    VERDICT_SUCCESS = 0 /* answer 0 without carrying it out: a guarded setsockopt, a listen() that
                           was made for the program */
};

/* What all calls share. */
struct call_service {
    struct target_context context;
    struct treated_sockets *treated;
    int listener; /* the descriptor of notifications */
};

/*
 * Do what the rules say about the call that `notification` names. The listener is asked whether the
 * call still waits, after everything has been read of the program and before anything is done to
 * its socket. Returns a verdict, or the errno with which the call is to fail, since its rule says
 * `require`. Thread-safe.
 */
int handle_call(const struct call_service *service, const struct seccomp_notif *notification);

#endif
