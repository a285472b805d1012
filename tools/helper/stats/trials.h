/* SPDX-License-Identifier: MIT */
/*
 * The trials that registered programs have rules of, and what was found in them so far. Nothing
 * here does I/O, but for the list of ended trials (trial_ends.h); one thread uses it, no locks.
 *
 * A trial belongs to one user: what other users report never mixes with it. It is identified
 * by a number that is never reused, so that a kept number may outlive the trial.
 *
 * A connection counts in its arm once the kernel has told how it ended. With a unit of time, the
 * sums of all connections of an interval make one figure, and a block of intervals, which has each
 * arm once, makes a pair for each arm that is compared with the control arm:
 *
 * - the first fifth of an interval is left out: connections of the other arm are still under way;
 * - a connection belongs to the interval in which it began. One that ends more than a unit behind
 *   its block is late, and only counted as that; many of them mean that the unit is too short.
 *
 * Without intervals, a connection is paired with the latest one of the other arm that has no
 * partner yet, and an earlier one of the same arm is dropped from the pairing. With equal shares
 * each pair could then as well be the other way round, whatever trend the figures follow.
 */
#ifndef SOCKTUNE_HELPER_TRIALS_H
#define SOCKTUNE_HELPER_TRIALS_H

#include "tcp_info.h"
#include "trial.h"
#include "trial_stats.h"
#include "trial_text.h"

#include <sys/types.h>

#define TRIALS_MAX      64u /* of all users */
#define TRIALS_USER_MAX 16u
#define TRIAL_REASON    160u /* bytes that hold any reason */

/* Numerator and denominator of a metric, of one connection or summed up. */
struct trial_sum {
    double above;
    double below;
};

/* Logarithms of the metrics; NAN: no value. */
struct trial_figures {
    double logarithm[TRIAL_METRICS];
};

/* A connection that waits for a partner of the other arm. */
struct trial_waiting {
    bool any;
    bool control; /* it is of the control arm */
    struct trial_figures figures;
};

struct trial_arm_state {
    char *name;           /* UTF-8; NULL until a program registers it */
    uint64_t connections; /* that count */
    uint64_t warming;     /* left out at the beginning of an interval */
    uint64_t crossing;    /* that lasted beyond their interval */
    uint64_t late;
    uint64_t unknown; /* without figures of their end */
    struct trial_summary values;
    /* Compared with the control arm; unused in that arm itself. */
    struct trial_summary pairs;
    struct trial_waiting waiting;
    struct trial_guard_count guards[TRIAL_METRICS];
};

/* Intervals that are not settled yet. */
struct trial_block {
    uint64_t number;
    bool used;
    struct trial_sum sums[POLICY_TRIAL_ARMS_MAX][TRIAL_METRICS];
};

struct trial_state {
    uint32_t number; /* never 0, and never used again */
    uid_t uid;
    char *name;             /* UTF-8 */
    struct trial_text text; /* of any of its arms: what all have in common */
    uint64_t began;         /* CLOCK_REALTIME ns, of the first connection; 0: none yet */
    uint64_t used;          /* CLOCK_REALTIME ns, when a program last registered it */
    uint64_t connections;   /* of all arms */
    bool ended;
    char reason[TRIAL_REASON]; /* why it ended */
    struct trial_block blocks[2];
    struct trial_arm_state arms[POLICY_TRIAL_ARMS_MAX];
};

struct trials;

/* `ends`: the file that keeps which trials have ended, or NULL. It is copied. NULL: no memory. */
struct trials *trials_new(const char *ends);
void trials_free(struct trials *trials);

/*
 * A program of this user has a rule that is an arm. Returns the trial's number; 0 if there is no
 * room, or the definition does not go with that of its other arms: each has a name of its own. The
 * oldest trial of the user makes room.
 */
uint32_t trials_join(struct trials *trials, uid_t uid, const char *rule,
                     const struct trial_text *text, uint64_t now);

/* The trial, or NULL. The second form is for changing it. */
const struct trial_state *trials_get(const struct trials *trials, uint32_t number);
struct trial_state *trials_find(struct trials *trials, uint32_t number);

/* The n-th trial, or NULL at the end. */
const struct trial_state *trials_at(const struct trials *trials, size_t n);

/* How an arm compares with the control arm. */
enum trial_verdict { TRIAL_WORSE = -1, TRIAL_UNDECIDED, TRIAL_BETTER };

struct trial_finding {
    double ratio;                   /* NAN: none yet */
    struct trial_interval interval; /* of the ratio */
    enum trial_verdict verdict;
};

/* What is found so far of an arm other than the first one. */
struct trial_finding trial_find(const struct trial_state *trial, unsigned arm);

/* Is a connection that began now, and said to be in this arm, in it? The socket's cookie, or the
 * time (CLOCK_REALTIME), decides again. */
bool trial_has(const struct trial_text *arm, uint64_t cookie, uint64_t began);

/* How a connection went. */
struct trial_connection {
    uint64_t began;                    /* CLOCK_REALTIME ns */
    uint64_t duration;                 /* ns */
    const struct tcp_info_bytes *info; /* at its end; length 0: not known */
};

/* A connection of the trial of that number has ended; `now`: CLOCK_REALTIME. */
void trials_count(struct trials *trials, uint32_t number, unsigned arm,
                  const struct trial_connection *connection, uint64_t now);

/* Once a second: settle the intervals that are over. */
void trials_each_second(struct trials *trials, uint64_t now);

/* End the running trial of that name; of this user alone if `one_user`. Returns how many ended. */
unsigned trials_stop(struct trials *trials, const char *name, bool one_user, uid_t uid);

#endif
