/* SPDX-License-Identifier: MIT */
/* A family is a row of a table: its head, and the function that writes the samples of one arm. */
#include "trial_metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A copy of an arm and of the data for its labels. */
struct trial_row {
    char *trial;
    char *arm;
    uint64_t id;
    uid_t uid;
    unsigned number; /* 0: the control arm */
    bool running;
    const char *metric;
    uint64_t connections, warming, late, unknown, pairs;
    double median;
    struct trial_finding finding;
    int32_t limits[TRIAL_METRICS]; /* limits of the guards, in percent; 0: no guard */
    struct trial_guard_count guards[TRIAL_METRICS];
};

struct trial_metrics {
    size_t count;
    size_t family; /* next one to write */
    struct trial_row rows[];
};

/* Snapshot */

/* Returns false if there is no memory. */
static bool take_row(struct trial_row *row, const struct trial_state *trial, unsigned number)
{
    const struct trial_arm_state *arm = &trial->arms[number];
    *row = (struct trial_row){.trial = strdup(trial->name),
                              .arm = strdup(arm->name),
                              .id = trial->text.id,
                              .uid = trial->uid,
                              .number = number,
                              .running = !trial->ended,
                              .metric = trial_metrics[trial->text.metric].name,
                              .connections = arm->connections,
                              .warming = arm->warming,
                              .late = arm->late,
                              .unknown = arm->unknown,
                              .pairs = arm->pairs.count,
                              .median = trial_summary_median(&arm->values)};
    if (number != 0)
        row->finding = trial_find(trial, number);
    memcpy(row->limits, trial->text.guards, sizeof row->limits);
    memcpy(row->guards, arm->guards, sizeof row->guards);
    return row->trial != NULL && row->arm != NULL;
}

struct trial_metrics *trial_metrics_take(const struct trials *trials, bool one_user, uid_t uid)
{
    const size_t most = (size_t)TRIALS_MAX * POLICY_TRIAL_ARMS_MAX;
    struct trial_metrics *metrics = calloc(1, sizeof *metrics + most * sizeof *metrics->rows);
    const struct trial_state *trial;
    bool good = metrics != NULL;
    for (size_t i = 0; good && trials != NULL && (trial = trials_at(trials, i)) != NULL; i++)
        for (unsigned arm = 0; good && arm < trial->text.arms; arm++)
            if (trial->arms[arm].name != NULL && (!one_user || trial->uid == uid))
                good = take_row(&metrics->rows[metrics->count++], trial, arm);
    if (good)
        return metrics;
    trial_metrics_free(metrics);
    return NULL;
}

void trial_metrics_free(struct trial_metrics *metrics)
{
    for (size_t i = 0; metrics != NULL && i < metrics->count; i++) {
        free(metrics->rows[i].trial);
        free(metrics->rows[i].arm);
    }
    free(metrics);
}

/* Families */

/* Writes "NAME{trial=...,arm=...,id=...,uid=..."; the brace stays open for more labels. */
static void begin_sample(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    fprintf(to, "socktune_%s%s{trial=\"", head->name, metrics_suffix(head));
    metrics_put_value(row->trial, to);
    fputs("\",arm=\"", to);
    metrics_put_value(row->arm, to);
    fprintf(to, "\",id=\"%016" PRIx64 "\",uid=\"%u\"", row->id, (unsigned)row->uid);
}

static void put_count(const struct metrics_head *head, const struct trial_row *row, uint64_t count,
                      FILE *to)
{
    begin_sample(head, row, to);
    fprintf(to, "} %" PRIu64 "\n", count);
}

/* Writes no sample for an unknown or infinite value. */
static void put_figure(const struct metrics_head *head, const struct trial_row *row, double figure,
                       FILE *to)
{
    if (!isfinite(figure))
        return;
    begin_sample(head, row, to);
    fprintf(to, ",metric=\"%s\"} %.6g\n", row->metric, figure);
}

static void put_running(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    put_count(head, row, row->running, to);
}

static void put_connections(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    put_count(head, row, row->connections, to);
}

static void put_left_out(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    const struct {
        const char *reason;
        uint64_t count;
    } reasons[] = {{"warming", row->warming}, {"late", row->late}, {"unknown", row->unknown}};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        begin_sample(head, row, to);
        fprintf(to, ",reason=\"%s\"} %" PRIu64 "\n", reasons[i].reason, reasons[i].count);
    }
}

static void put_median(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    put_figure(head, row, row->median, to);
}

static void put_pairs(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    if (row->number != 0)
        put_count(head, row, row->pairs, to);
}

static void put_ratio(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    if (row->number != 0)
        put_figure(head, row, row->finding.ratio, to);
}

/* The lower bound is written only together with an upper one. */
static void put_low(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    if (row->number != 0 && isfinite(row->finding.interval.high))
        put_figure(head, row, row->finding.interval.low, to);
}

static void put_high(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    if (row->number != 0)
        put_figure(head, row, row->finding.interval.high, to);
}

static void put_verdict(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    if (row->number != 0)
        put_figure(head, row, row->finding.verdict, to);
}

static void put_guard_pairs(const struct metrics_head *head, const struct trial_row *row, FILE *to)
{
    for (unsigned i = 0; i < TRIAL_METRICS && row->number != 0; i++) {
        if (row->limits[i] == 0)
            continue;
        begin_sample(head, row, to);
        fprintf(to, ",guard=\"%s\",side=\"beyond\"} %" PRIu64 "\n", trial_metrics[i].name,
                row->guards[i].beyond);
        begin_sample(head, row, to);
        fprintf(to, ",guard=\"%s\",side=\"within\"} %" PRIu64 "\n", trial_metrics[i].name,
                row->guards[i].within);
    }
}

static void put_guard_tripped(const struct metrics_head *head, const struct trial_row *row,
                              FILE *to)
{
    for (unsigned i = 0; i < TRIAL_METRICS && row->number != 0; i++) {
        if (row->limits[i] == 0)
            continue;
        begin_sample(head, row, to);
        fprintf(to, ",guard=\"%s\"} %d\n", trial_metrics[i].name,
                trial_guard_trips(&row->guards[i]));
    }
}

/* clang-format off */
static const struct trial_family {
    struct metrics_head head;
    void (*put)(const struct metrics_head *head, const struct trial_row *row, FILE *to);
} trial_families[] = {
    {{"trial_running", "", "gauge", "Whether the trial of this arm runs (1) or has ended (0)."}, put_running},
    {{"trial_connections", "", "counter", "Connections that count in an arm."}, put_connections},
    {{"trial_left_out", "", "counter", "Connections that do not count; warming: began in the first fifth of an interval; late: ended long after it; unknown: no figures of their end."}, put_left_out},
    {{"trial_median", "", "gauge", "Median of the metric in an arm, in base units."}, put_median},
    {{"trial_pairs", "", "counter", "Pairs of figures, of an arm and of the control arm."}, put_pairs},
    {{"trial_ratio", "", "gauge", "Ratio of an arm to the control arm, by Hodges and Lehmann."}, put_ratio},
    {{"trial_ratio_low", "", "gauge", "Lower bound of the ratio, valid however often one looks; absent while there are too few pairs."}, put_low},
    {{"trial_ratio_high", "", "gauge", "Upper bound of the ratio, valid however often one looks; absent while there are too few pairs."}, put_high},
    {{"trial_verdict", "", "gauge", "Whether an arm is better (1) or worse (-1) than the control arm, or that is undecided (0)."}, put_verdict},
    {{"trial_guard_pairs", "", "counter", "Pairs beyond and within the limit of a guard."}, put_guard_pairs},
    {{"trial_guard_tripped", "", "gauge", "Whether the guard has ended the trial (1)."}, put_guard_tripped},
};
/* clang-format on */
enum { TRIAL_FAMILIES = sizeof trial_families / sizeof *trial_families };

bool trial_metrics_write(struct trial_metrics *metrics, enum metrics_format format, FILE *to)
{
    if (metrics->family == TRIAL_FAMILIES)
        return false;
    const struct trial_family *family = &trial_families[metrics->family++];
    metrics_put_head(&family->head, format, to);
    for (size_t i = 0; i < metrics->count; i++)
        family->put(&family->head, &metrics->rows[i], to);
    return true;
}
