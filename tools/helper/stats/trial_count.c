/* SPDX-License-Identifier: MIT */
#include "trial_count.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NANO  1e-9
#define MICRO 1e-6
/* The fraction of an interval that is left out at its beginning: 1 / WARMING. */
#define WARMING 5u

/* Metrics */

/* Smaller values are raised to these, because ratios of very small values are meaningless. */
static const double least_value[TRIAL_METRICS] = {
    [TRIAL_goodput] = 1,     /* byte per second */
    [TRIAL_rtt] = 1e-6,      /* seconds */
    [TRIAL_resent] = 1e-4,   /* of the bytes sent */
    [TRIAL_duration] = 1e-6, /* seconds */
    [TRIAL_busy] = 1e-3,     /* seconds; the kernel counts in 1 to 10 ms */
};

static void take_sums(const struct trial_connection *connection,
                      struct trial_sum sums[TRIAL_METRICS])
{
    const struct tcp_info_bytes *info = connection->info;
    double seconds = fmax((double)connection->duration * NANO, least_value[TRIAL_duration]);
    double rtt = tcp_info_number(info, TCP_INFO_rtt) * MICRO;
    sums[TRIAL_goodput] = (struct trial_sum){tcp_info_number(info, TCP_INFO_bytes_acked) +
                                                 tcp_info_number(info, TCP_INFO_bytes_received),
                                             seconds};
    sums[TRIAL_rtt] = (struct trial_sum){rtt, rtt > 0};
    sums[TRIAL_resent] = (struct trial_sum){tcp_info_number(info, TCP_INFO_bytes_retrans),
                                            tcp_info_number(info, TCP_INFO_bytes_sent)};
    sums[TRIAL_duration] = (struct trial_sum){seconds, 1};
    sums[TRIAL_busy] = (struct trial_sum){tcp_info_number(info, TCP_INFO_busy_time) * MICRO, 1};
}

static struct trial_figures figures_of(const struct trial_sum sums[TRIAL_METRICS])
{
    struct trial_figures figures = {{0}};
    for (unsigned i = 0; i < TRIAL_METRICS; i++) {
        double value = sums[i].above / sums[i].below; /* 0 / 0 is NAN */
        figures.logarithm[i] = isnan(value) ? NAN : log(fmax(value, least_value[i]));
    }
    return figures;
}

/* Pairs */

static void count_guard(const struct trial_state *trial, struct trial_arm_state *arm,
                        unsigned metric, double difference)
{
    int32_t guard = trial->text.guards[metric];
    double limit = log1p(guard / 100.0);
    if (guard == 0)
        return;
    if (guard > 0 ? difference > limit : difference < limit)
        arm->guards[metric].beyond++;
    else
        arm->guards[metric].within++;
}

static void count_pair(const struct trial_state *trial, struct trial_arm_state *arm,
                       const struct trial_figures *control, const struct trial_figures *figures)
{
    for (unsigned i = 0; i < TRIAL_METRICS; i++) {
        double difference = figures->logarithm[i] - control->logarithm[i];
        if (isnan(difference))
            continue;
        if (i == trial->text.metric)
            trial_summary_add(&arm->pairs, difference);
        count_guard(trial, arm, i, difference);
    }
}

/* Adds the next figures of this arm, or of the control arm, to the pairing of this arm. */
static void offer_figures(const struct trial_state *trial, struct trial_arm_state *arm,
                          bool control, const struct trial_figures *figures)
{
    struct trial_waiting *waiting = &arm->waiting;
    if (waiting->any && waiting->control != control) {
        count_pair(trial, arm, control ? figures : &waiting->figures,
                   control ? &waiting->figures : figures);
        waiting->any = false;
        return;
    }
    *waiting = (struct trial_waiting){true, control, *figures};
}

static void add_value(const struct trial_state *trial, struct trial_arm_state *arm,
                      const struct trial_figures *figures)
{
    trial_summary_add(&arm->values, figures->logarithm[trial->text.metric]);
}

static void count_single(struct trial_state *trial, unsigned arm,
                         const struct trial_sum sums[TRIAL_METRICS])
{
    struct trial_figures figures = figures_of(sums);
    add_value(trial, &trial->arms[arm], &figures);
    if (arm != 0) {
        offer_figures(trial, &trial->arms[arm], false, &figures);
        return;
    }
    for (unsigned i = 1; i < trial->text.arms; i++)
        offer_figures(trial, &trial->arms[i], true, &figures);
}

/* Intervals */

static void settle_block(struct trial_state *trial, struct trial_block *block)
{
    struct trial_figures figures[POLICY_TRIAL_ARMS_MAX];
    for (unsigned i = 0; i < trial->text.arms; i++) {
        figures[i] = figures_of(block->sums[i]);
        add_value(trial, &trial->arms[i], &figures[i]);
        if (i > 0)
            count_pair(trial, &trial->arms[i], &figures[0], &figures[i]);
    }
    *block = (struct trial_block){.used = false};
}

static uint64_t block_length(const struct trial_state *trial)
{
    return trial->text.unit_ns * trial->text.arms;
}

void trial_settle(struct trial_state *trial, uint64_t now)
{
    for (unsigned i = 0; i < 2; i++) {
        struct trial_block *block = &trial->blocks[i];
        if (block->used && now / trial->text.unit_ns > (block->number + 1) * trial->text.arms)
            settle_block(trial, block);
    }
}

/* Returns the block in which a connection counts; NULL if it is late. */
static struct trial_block *find_block(struct trial_state *trial, uint64_t began, uint64_t now)
{
    uint64_t number = began / block_length(trial);
    struct trial_block *block = &trial->blocks[number % 2];
    if (now / trial->text.unit_ns > (number + 1) * trial->text.arms)
        return NULL;
    if (block->used && block->number != number)
        settle_block(trial, block);
    block->number = number;
    block->used = true;
    return block;
}

static bool is_warming(const struct trial_state *trial, uint64_t began)
{
    return began % trial->text.unit_ns < trial->text.unit_ns / WARMING;
}

static void count_in_interval(struct trial_state *trial, unsigned arm,
                              const struct trial_connection *connection, uint64_t now,
                              const struct trial_sum sums[TRIAL_METRICS])
{
    uint64_t unit = trial->text.unit_ns;
    struct trial_block *block = find_block(trial, connection->began, now);
    if (block == NULL) {
        trial->arms[arm].late++;
        return;
    }
    if (connection->began % unit + connection->duration > unit)
        trial->arms[arm].crossing++;
    trial->arms[arm].connections++;
    for (unsigned i = 0; i < TRIAL_METRICS; i++) {
        if (isnan(sums[i].above) || isnan(sums[i].below))
            continue;
        block->sums[arm][i].above += sums[i].above;
        block->sums[arm][i].below += sums[i].below;
    }
}

void trial_count_connection(struct trial_state *trial, unsigned arm,
                            const struct trial_connection *connection, uint64_t now)
{
    struct trial_sum sums[TRIAL_METRICS];
    if (connection->info->length == 0) {
        trial->arms[arm].unknown++;
        return;
    }
    if (trial->text.unit_ns != 0 && is_warming(trial, connection->began)) {
        trial->arms[arm].warming++;
        return;
    }
    if (trial->began == 0)
        trial->began = connection->began;
    trial->connections++;
    take_sums(connection, sums);
    if (trial->text.unit_ns != 0) {
        count_in_interval(trial, arm, connection, now, sums);
        return;
    }
    trial->arms[arm].connections++;
    count_single(trial, arm, sums);
}

/* Ending */

static bool any_guard_trips(const struct trial_state *trial, unsigned arm,
                            char reason[TRIAL_REASON])
{
    for (unsigned i = 0; i < TRIAL_METRICS; i++) {
        if (!trial_guard_trips(&trial->arms[arm].guards[i]))
            continue;
        snprintf(reason, TRIAL_REASON,
                 "guard: %s of the arm \"%.64s\" is beyond %+d%% of the control arm's in %" PRIu64
                 " of %" PRIu64 " pairs",
                 trial_metrics[i].name, trial->arms[arm].name != NULL ? trial->arms[arm].name : "",
                 trial->text.guards[i], trial->arms[arm].guards[i].beyond,
                 trial->arms[arm].guards[i].beyond + trial->arms[arm].guards[i].within);
        return true;
    }
    return false;
}

bool trial_is_due_to_end(const struct trial_state *trial, char reason[TRIAL_REASON])
{
    for (unsigned arm = 1; arm < trial->text.arms; arm++)
        if (any_guard_trips(trial, arm, reason))
            return true;
    if (trial->connections < trial->text.most)
        return false;
    snprintf(reason, TRIAL_REASON, "it has had its %" PRIu64 " connections", trial->text.most);
    return true;
}

bool trial_has(const struct trial_text *arm, uint64_t cookie, uint64_t began)
{
    const struct policy_trial rule = {.seed = arm->seed,
                                      .unit_ns = arm->unit_ns,
                                      .low = arm->low,
                                      .high = arm->high,
                                      .arm = (uint8_t)arm->arm,
                                      .arms = (uint8_t)arm->arms};
    const struct sockinfo connection = {.moment = {.time_ns = began}, .cookie = cookie};
    return trial_is_in(&rule, &connection);
}
