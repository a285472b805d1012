/* SPDX-License-Identifier: MIT */
/*
 * The last step of the engine, from outside a process: carrying out what a decision says on a
 * duplicate of its socket. What preload/tune.c does within the program, without its global state.
 */
#ifndef SOCKTUNE_APPLY_OPTIONS_H
#define SOCKTUNE_APPLY_OPTIONS_H

#include "match.h"

#define PRISTINE_BYTES 16u

/* What getsockopt() said of one option of a fresh socket. */
struct pristine {
    uint8_t length; /* 0: not known */
    uint8_t bytes[PRISTINE_BYTES];
};

/* Fresh sockets of each family, stream and datagram. */
enum { PRISTINE_KINDS = 6 };

/* Values of all options of a policy: [kind * option_count + option]. */
struct pristines {
    struct pristine *values;
};

enum applied {
    APPLIED_SET,
    APPLIED_FAILED,
    APPLIED_KEPT /* the program has set it itself */
};

/* What stays the same from socket to socket of one program. */
struct applier {
    const struct policy *policy;
    const struct active *active;
    /* Fresh sockets as the kernel makes them, and as they are once the actions of MOMENT_SOCKET
     * have been carried out; the latter is needed, and not NULL, only where defaults_later(). */
    struct pristines fresh;
    struct pristines after_socket;
    /* Told of each action; may be NULL. `error` is an errno, or 0. */
    void (*tell)(void *context, const struct subject *subject, const struct policy_action *action,
                 enum applied result, int error);
};

/* Take the values of fresh sockets: `applier->fresh`, or, by `applier`'s own actions of
 * MOMENT_SOCKET, `applier->after_socket`. In this thread's network namespace. Returns 0, or -1 with
 * errno when memory ends; the memory is malloc()ed. */
int pristines_take(struct applier *applier, bool after_socket);

/* True if an active rule has a `default` for a moment later than socket(). */
bool defaults_later(const struct policy *policy, const struct active *active);

/*
 * What socket() would have done, at a later call: the actions of MOMENT_SOCKET. What the program
 * has set meanwhile stands, as it would if they had come first; `force` excepted. Returns false if
 * `fd` is no socket that concerns us.
 */
bool apply_socket_late(const struct applier *applier, int fd, void *context);

/* Match and carry out the actions of `moments`. */
void apply_moments(const struct applier *applier, int fd, struct subject *subject, unsigned moments,
                   void *context);

/* Give a socket that was opened before anybody watched all that it should have by now, as far as it
 * is not too late for it. */
void apply_to_opened(const struct applier *applier, int fd, void *context);

#endif
