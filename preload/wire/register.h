/* SPDX-License-Identifier: MIT */
/*
 * Registering with the helper, and handing over connections: registration.h is the messages.
 */
#ifndef SOCKTUNE_REGISTER_H
#define SOCKTUNE_REGISTER_H

#include "helper_place.h"
#include "match.h"
#include "published.h"
#include "registration.h"
#include "ring.h"
#include "transient.h"

/* What is needed for registering at any time. Made once, at the start of the program. */
struct register_plan {
    struct sockaddr_un helpers[HELPER_PLACES]; /* by helper_addresses() */
    /* The message is `head`, with the pid put in, and then `names`. */
    struct registration head;
    struct transient *transient; /* NULL: this process never forks */
    bool trials;                 /* a rule is an arm of a trial */
    /* Of a program that takes new rules; `live.room` is 0 in others. */
    struct registration_live live;
    uint32_t user;       /* only this user's helper and root's may publish rules */
    uint64_t generation; /* of the rules in force (published.h) */
    struct ring *place;  /* memory for the ring and what is published, at a fixed place */
    /* The names that version 4 alone has, in `names`. */
    uint32_t live_from, live_to;
    uint32_t names_size;
    char names[REGISTRATION_SIZE_MAX - sizeof(struct registration) -
               sizeof(struct registration_live)];
};

/* What a program that takes new rules tells of itself. */
struct register_live {
    const char *executable; /* the name of its file, without the directory; NULL: unknown */
    const char *rules;      /* the absolute path of its rules */
    uint64_t device, inode; /* of that path */
    uint32_t user;          /* the effective one at its start */
    struct ring *place;     /* registration_memory() bytes set aside */
};

/*
 * Fill a zeroed plan: where the helper may be, and the names of the program and of those of its
 * active rules that report. `environment` may be NULL, which leaves plan->helpers. Names are cut,
 * and what a log could not show is replaced. `live` is NULL for a program that keeps its rules;
 * then, or if its path cannot be told, plan->live.room stays 0. Pure.
 */
void register_prepare(struct register_plan *plan, const struct helper_environment *environment,
                      const char *program, const struct policy *policy, const struct active *active,
                      const struct register_live *live);

/* Where rules are published for a program with such a plan, or NULL. The place does not change,
 * also where another helper has another memory there. */
static inline struct published *register_published(const struct register_plan *plan)
{
    return plan->live.room != 0
               ? (struct published *)(void *)((uint8_t *)plan->place + plan->live.published)
               : NULL;
}

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
    bool live;  /* the last registration was that of a program that takes new rules */
};

#define REGISTER_DISTANCE_NS ((uint64_t)1000000000u)

/* Does a helper read the ring? An older one refuses the registration of a program that takes new
 * rules, so that one has to be answered within seconds. */
static inline bool register_is_read(const struct register_state *registered,
                                    const struct ring *ring, uint64_t now_ns)
{
    return ring_is_read(ring, now_ns) &&
           (!registered->live || now_ns - registered->given < RING_HANDED_HEARD_NS ||
            __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED) != registered->given);
}

/* May it be time for that? A look without a claim, for calls that report nothing. */
static inline bool register_is_wanted(const struct register_state *registered, uint64_t now_ns)
{
    const struct ring *ring = __atomic_load_n(&registered->ring, __ATOMIC_ACQUIRE);
    return (ring == NULL || !register_is_read(registered, ring, now_ns)) &&
           __atomic_load_n(&registered->next_try, __ATOMIC_RELAXED) <= now_ns;
}

/* Is it time for this thread to call register_again()? Not while a helper keeps the ring's
 * heartbeat going. Makes no system call. Async-signal-safe. */
bool register_is_due(struct register_state *state, uint64_t now_ns);

/*
 * Make a ring and hand it to the helper, if that is root's or this user's. Nothing of it is kept
 * but its mapping, in the place of the last one. Without a helper, or without room, all stays as it
 * is; what fails after the old ring was replaced leaves a ring with a heartbeat of 0. Never waits.
 * Async-signal-safe; changes errno.
 */
void register_again(struct register_state *state, const struct register_plan *plan, uint32_t pid,
                    uint64_t now_ns);

#endif
