/* SPDX-License-Identifier: MIT */
/*
 * The trials in which rules of registered programs are arms, and their results so far. No I/O,
 * except for the list of ended trials (trial_ends.h); one thread, no locks.
 *
 * A trial belongs to one user: reports of different users are never mixed. It is identified by a
 * number that is never reused, so a stored number may outlive the trial.
 *
 * A connection counts in its arm after the kernel has reported its end. With a unit of time, the
 * sums of all connections of an interval form one figure. A block of intervals, which contains each
 * arm once, gives a pair for each arm that is compared with the control arm:
 *
 * - The first fifth of an interval is left out: connections of the previous arm are still open.
 * - A connection belongs to the interval in which it began. One that ends more than a unit after
 *   its block is late, and only counted as late; many of them mean that the unit is too short.
 *
 * Without intervals, a connection is paired with the latest one of the other arm that has no
 * partner yet; an earlier one of the same arm is dropped from the pairing. With equal shares, both
 * orders of a pair are then equally likely, whatever trend the figures have.
 */
#ifndef SOCKTUNE_HELPER_TRIALS_H
#define SOCKTUNE_HELPER_TRIALS_H

#include "tcp_info.h"
#include "trial.h"
#include "trial_stats.h"
#include "trial_text.h"

#include <sys/types.h>

#define TRIALS_MAX      64u /* of all users together */
#define TRIALS_USER_MAX 16u
#define TRIAL_REASON    160u /* bytes; enough for any reason */

/* Numerator and denominator of a metric, for one connection or summed. */
struct trial_sum {
    double above;
    double below;
};

/* Logarithms of the metrics; NAN: no value. */
struct trial_figures {
    double logarithm[TRIAL_METRICS];
};

/* A connection that waits for a partner in the other arm. */
struct trial_waiting {
    bool any;
    bool control; /* it is of the control arm */
    struct trial_figures figures;
};

struct trial_arm_state {
    char *name;           /* UTF-8; NULL until a program registers it */
    uint64_t connections; /* connections that count */
    uint64_t warming;     /* left out at the beginning of an interval */
    uint64_t crossing;    /* connections that lasted beyond their interval */
    uint64_t late;
    uint64_t unknown; /* connections without final figures */
    struct trial_summary values;
    /* Comparison with the control arm; unused in that arm itself. */
    struct trial_summary pairs;
    struct trial_waiting waiting;
    struct trial_guard_count guards[TRIAL_METRICS];
};

/* Intervals that are not evaluated yet. */
struct trial_block {
    uint64_t number;
    bool used;
    struct trial_sum sums[POLICY_TRIAL_ARMS_MAX][TRIAL_METRICS];
};

struct trial_state {
    uint32_t number; /* never 0, never reused */
    uid_t uid;
    char *name;             /* UTF-8 */
    struct trial_text text; /* of any of its arms: the part that all have in common */
    uint64_t began;         /* CLOCK_REALTIME ns, of the first connection; 0: none yet */
    uint64_t used;          /* CLOCK_REALTIME ns, when a program last registered it */
    uint64_t connections;   /* in all arms */
    bool ended;
    char reason[TRIAL_REASON]; /* why it ended */
    struct trial_block blocks[2];
    struct trial_arm_state arms[POLICY_TRIAL_ARMS_MAX];
};

struct trials;

/* `ends` is the path of the file with ended trials, or NULL. It is copied. NULL if there is no
 * memory. */
struct trials *trials_new(const char *ends);
void trials_free(struct trials *trials);

/*
 * A program of this user has a rule that is an arm. Returns the trial's number; 0 if there is no
 * room, or if the definition contradicts that of other arms (each must have its own name). If
 * needed, the user's oldest trial is removed.
 */
uint32_t trials_join(struct trials *trials, uid_t uid, const char *rule,
                     const struct trial_text *text, uint64_t now);

/* Returns the trial, or NULL. Use the second form to change it. */
const struct trial_state *trials_get(const struct trials *trials, uint32_t number);
struct trial_state *trials_find(struct trials *trials, uint32_t number);

/* Returns the n-th trial, or NULL at the end. */
const struct trial_state *trials_at(const struct trials *trials, size_t n);

/* The comparison of an arm with the control arm. */
enum trial_verdict { TRIAL_WORSE = -1, TRIAL_UNDECIDED, TRIAL_BETTER };

struct trial_finding {
    double ratio;                   /* NAN: none yet */
    struct trial_interval interval; /* of the ratio */
    enum trial_verdict verdict;
};

/* Returns the result so far for an arm other than the control arm. */
struct trial_finding trial_find(const struct trial_state *trial, unsigned arm);

/* True if a connection that began at that time, and claims to be in this arm, is in it. Computed
 * again from the socket's cookie, or from the time (CLOCK_REALTIME). */
bool trial_has(const struct trial_text *arm, uint64_t cookie, uint64_t began);

/* The result of a connection. */
struct trial_connection {
    uint64_t began;                    /* CLOCK_REALTIME ns */
    uint64_t duration;                 /* ns */
    const struct tcp_info_bytes *info; /* at its end; length 0: unknown */
};

/* A connection of that trial has ended. `now` is CLOCK_REALTIME in ns. */
void trials_count(struct trials *trials, uint32_t number, unsigned arm,
                  const struct trial_connection *connection, uint64_t now);

/* Call this once a second: evaluates the intervals that have ended. */
void trials_each_second(struct trials *trials, uint64_t now);

/* End the running trial with that name; only this user's if `one_user`. Returns how many ended. */
unsigned trials_stop(struct trials *trials, const char *name, bool one_user, uid_t uid);

#endif
