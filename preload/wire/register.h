/* SPDX-License-Identifier: MIT */
/*
 * Registering with the helper, and handing over connections: registration.h is the messages.
 */
#ifndef SOCKTUNE_REGISTER_H
#define SOCKTUNE_REGISTER_H

#include "helper_place.h"
#include "match.h"
#include "registration.h"
#include "ring.h"
#include "transient.h"

/* What is needed for registering at any time. Made once, at the start of the program. */
struct register_plan {
    struct sockaddr_un helpers[HELPER_PLACES]; /* by helper_addresses() */
    /* The message is `head`, with the pid put in, and then `names`. */
    struct registration head;
    struct transient *transient; /* NULL: this process never forks */
    uint32_t names_size;
    char names[REGISTRATION_SIZE_MAX - sizeof(struct registration)];
};

/*
 * Fill a zeroed plan: where the helper may be, and the names of the program and of those of its
 * active rules that report. Names are cut, and what a log could not show is replaced. Pure.
 */
void register_prepare(struct register_plan *plan, const struct helper_environment *environment,
                      const char *program, const struct policy *policy,
                      const struct active *active);

/*
 * Make a ring, hand it to the helper, if it is root's or this user's, and keep nothing but its
 * mapping: in the place of `old`, or anywhere if that is NULL. Returns it; NULL: there is no
 * helper, or no room. A failure after the old ring was replaced returns the new one with a
 * heartbeat of 0. `diagnosed` tells whether sock_diag could be had. Never waits. Async-signal-safe;
 * changes errno.
 */
struct ring *register_ring(const struct register_plan *plan, struct ring *old, uint32_t pid,
                           uint64_t now_ns, bool *diagnosed);

/*
 * Pass the connection `fd` itself to the helper that reads `ring`, with its record. It is withheld,
 * and counted as that, where it lingers (SO_LINGER), where RING_HANDED_MAX are on their way, and on
 * any error. Never waits; leaves no descriptor. Async-signal-safe, thread-safe; changes errno.
 */
void hand_off(const struct register_plan *plan, struct ring *ring, int fd,
              const struct record *record);

/*
 * When to register. Zero all but `distance`, which begins at REGISTER_DISTANCE_NS. Several threads
 * may use one; whoever is told that a try is due makes it.
 */
struct register_state {
    struct ring *ring; /* NULL: never registered. Read and written atomically */
    uint64_t next_try __attribute__((aligned(8))); /* CLOCK_REALTIME ns */
    uint64_t distance;                             /* to the try after that */
    uint64_t given;                                /* the heartbeat that the ring was made with */
    uint32_t unanswered;
    bool blind; /* sock_diag could not be had */
};

#define REGISTER_DISTANCE_NS ((uint64_t)1000000000u)

/* Is it time for this thread to call register_again()? Not while a helper keeps the ring's
 * heartbeat going. Makes no system call. Async-signal-safe. */
bool register_is_due(struct register_state *state, uint64_t now_ns);

/* register_ring() in the place of the last one. */
void register_again(struct register_state *state, const struct register_plan *plan, uint32_t pid,
                    uint64_t now_ns);

#endif
