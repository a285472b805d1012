/* SPDX-License-Identifier: MIT */
/*
 * Registers with the helper, and hands over connections. The messages are in registration.h.
 */
#ifndef SOCKTUNE_REGISTER_H
#define SOCKTUNE_REGISTER_H

#include "helper_place.h"
#include "match.h"
#include "published.h"
#include "registration.h"
#include "ring.h"
#include "transient.h"

/* Everything that a registration needs. Made once, at the start of the program. */
struct register_plan {
    struct sockaddr_un helpers[HELPER_PLACES]; /* from helper_addresses() */
    /* The message is `head`, with the pid filled in, followed by `names`. */
    struct registration head;
    struct transient *transient; /* NULL: this process never forks */
    bool trials;                 /* a rule is an arm of a trial */
    /* For a program that takes new rules; otherwise `live.room` is 0. */
    struct registration_live live;
    uint32_t user;       /* only the helper of this user or of root may publish rules */
    uint64_t generation; /* of the rules in force (published.h) */
    struct ring *place;  /* fixed address for the ring and the published policy */
    /* The range in `names` that only version 4 has. */
    uint32_t live_from, live_to;
    uint32_t names_size;
    char names[REGISTRATION_SIZE_MAX - sizeof(struct registration) -
               sizeof(struct registration_live)];
};

/* What a program that takes new rules sends about itself. */
struct register_live {
    const char *executable; /* the name of its file, without the directory; NULL: unknown */
    const char *rules;      /* the absolute path of its rules */
    uint64_t device, inode; /* of that path */
    uint32_t user;          /* effective user at its start */
    struct ring *place;     /* reserved address range of registration_memory() bytes */
};

/*
 * Fill a zeroed plan: the addresses of the helper, the name of the program, and the names of its
 * active rules that report. `environment` may be NULL, which leaves plan->helpers unchanged. Names
 * are truncated, and characters that a log cannot show are replaced. `live` is NULL for a program
 * that keeps its rules; then, or if its path cannot be sent, plan->live.room stays 0. Pure.
 */
void register_prepare(struct register_plan *plan, const struct helper_environment *environment,
                      const char *program, const struct policy *policy, const struct active *active,
                      const struct register_live *live);

/* Returns where rules are published for a program with this plan, or NULL. The address does not
 * change, even if another helper gets new memory. */
static inline struct published *register_published(const struct register_plan *plan)
{
    return plan->live.room != 0
               ? (struct published *)(void *)((uint8_t *)plan->place + plan->live.published)
               : NULL;
}

/*
 * Pass the connection `fd` and its record to the helper that reads `ring`. The connection is
 * withheld, and counted as such, if it has SO_LINGER, if RING_HANDED_MAX descriptors are in flight,
 * or on any error. Never waits; leaves no descriptor open. Async-signal-safe, thread-safe; changes
 * errno.
 */
void hand_off(const struct register_plan *plan, struct ring *ring, int fd,
              const struct record *record);

/*
 * When to register. Set all to zero except `distance`, which begins at REGISTER_DISTANCE_NS.
 * Several threads may share one. The thread for which register_is_due() returns true must call
 * register_again().
 */
struct register_state {
    struct ring *ring; /* NULL: never registered. Read and written atomically */
    uint64_t next_try __attribute__((aligned(8))); /* CLOCK_REALTIME ns */
    uint64_t distance;                             /* ns between that try and the next one */
    uint64_t given;                                /* registrations without an answer */
    uint32_t unanswered;
    bool blind; /* a sock_diag socket could not be created */
    bool live;  /* the last registration was of version 4 */
};

#define REGISTER_DISTANCE_NS ((uint64_t)1000000000u)

/* True if a helper reads the ring. An older helper refuses a registration of version 4, so that
 * must be answered within seconds. */
static inline bool register_is_read(const struct register_state *registered,
                                    const struct ring *ring, uint64_t now_ns)
{
    return ring_is_read(ring, now_ns) &&
           (!registered->live || now_ns - registered->given < RING_HANDED_HEARD_NS ||
            __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED) != registered->given);
}

/* True if a retry may be due. Does not claim it; for calls that report nothing. */
static inline bool register_is_wanted(const struct register_state *registered, uint64_t now_ns)
{
    const struct ring *ring = __atomic_load_n(&registered->ring, __ATOMIC_ACQUIRE);
    return (ring == NULL || !register_is_read(registered, ring, now_ns)) &&
           __atomic_load_n(&registered->next_try, __ATOMIC_RELAXED) <= now_ns;
}

/* True if this thread must call register_again(). False while a helper renews the ring's heartbeat.
 * Makes no system call. Async-signal-safe. */
bool register_is_due(struct register_state *state, uint64_t now_ns);

/*
 * Create a ring and pass it to the helper, if the helper's user is root or this user. Only the
 * mapping stays, at the address of the last ring. Without a helper, or without memory, nothing
 * changes. If it fails after the old ring was replaced, the new ring has a heartbeat of 0. Never
 * waits. Async-signal-safe; changes errno.
 */
void register_again(struct register_state *state, const struct register_plan *plan, uint32_t pid,
                    uint64_t now_ns);

#endif
