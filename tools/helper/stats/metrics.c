/* SPDX-License-Identifier: MIT */
/*
 * Metrics as text. All families are rows of tables: a sum of TCP_INFO is a TCP_SUM row of
 * tcp_info.def, a distribution is a row of `distributions`, any other number of an aggregate is a
 * row of `numbers`. As the formats require, the series of a family are written together, after its
 * head.
 *
 * https://prometheus.io/docs/instrumenting/exposition_formats/ and
 * https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
 */
#include "metrics.h"
#include "names.h"
#include "policy.h"
#include "snapshot.h"
#include "trial_metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Series written at a time: the lines of a histogram take about 3 KB. */
#define SERIES_AT_ONCE 8u

struct metrics {
    struct snapshot snapshot;
    struct trial_metrics *trials;
    struct metrics_health *health;
    size_t health_count;
    size_t family, at; /* next one to write */
    bool histograms;
    bool ended;
};

/* The families */

/* clang-format off */
static const struct metrics_head distributions[] = {
    [HISTOGRAM_DURATION] = {"connection_duration_seconds", "seconds", "histogram", "How long connections that are closed were open."},
    [HISTOGRAM_RTT]      = {"rtt_seconds", "seconds", "histogram", "Smoothed round-trip time, at each look at a connection and at its end."},
    [HISTOGRAM_MIN_RTT]  = {"min_rtt_seconds", "seconds", "histogram", "Least round-trip time of a connection, at its end."},
    [HISTOGRAM_DELIVERY_RATE] = {"delivery_rate_bytes_per_second", "bytes_per_second", "histogram", "Rate at which peers received data, at each look at a connection that the program did not leave short of data."},
};
static_assert(sizeof distributions / sizeof *distributions == HISTOGRAM_COUNT,
              "a distribution has no row");

static const struct number {
    struct metrics_head head;
    size_t offset;  /* of a uint64_t in struct aggregate */
    unsigned roles; /* only aggregates with these roles have it; 0: all */
    bool other;     /* "other", which mixes roles, has it too */
} numbers[] = {
    {{"connections_open", "", "gauge", "Connections, listeners and UDP sockets that are open."}, offsetof(struct aggregate, open), 0, true},
    {{"connections_opened", "", "counter", "Connections, listeners and UDP sockets that were opened."}, offsetof(struct aggregate, opened), 0, true},
    {{"accept_queue", "", "gauge", "Connections that wait for accept() at the open listeners."}, offsetof(struct aggregate, queue_length), ROLE_LISTEN, true},
    {{"accept_queue_limit", "", "gauge", "How many may wait for accept() at the open listeners."}, offsetof(struct aggregate, queue_limit), ROLE_LISTEN, true},
    {{"accept_dropped", "", "counter", "Connections that listeners dropped: the accept queue was full."}, offsetof(struct aggregate, dropped), ROLE_LISTEN, false},
    {{"udp_dropped", "", "counter", "Datagrams that UDP sockets dropped: the receive buffer was full."}, offsetof(struct aggregate, dropped), ROLE_DATAGRAM, false},
    {{"udp_receive_queue_bytes", "bytes", "gauge", "Memory of the datagrams that wait in the receive buffers of open UDP sockets."}, offsetof(struct aggregate, queue_length), ROLE_DATAGRAM, false},
    {{"udp_receive_buffer_bytes", "bytes", "gauge", "Size of the receive buffers (SO_RCVBUF) of open UDP sockets."}, offsetof(struct aggregate, queue_limit), ROLE_DATAGRAM, false},
};

static const struct metrics_head endings = {"connections_closed", "", "counter", "Connections, listeners and UDP sockets that closed, by reason"
#define CLOSE_REASON(id, name, explanation) "; " name ": " explanation
#include "close_reasons.def"
    "; rejected: a connection of another user."};
static const struct metrics_head applications = {"options_applied", "", "counter", "Socket options that were set, by option; those that were not told one by one are \"other\"."};
static const struct metrics_head refusals = {"options_refused", "", "counter", "Socket options that the kernel refused, by option and error."};
/* clang-format on */

#define NUMBERS (sizeof numbers / sizeof *numbers)

/* Snapshot */

struct metrics *metrics_take(const struct aggregates *aggregates, const struct trials *trials,
                             bool one_user, uid_t uid, bool histograms,
                             const struct metrics_health *health, size_t health_count)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return NULL;
    metrics->health = calloc(health_count + 1, sizeof *health);
    metrics->trials = trial_metrics_take(trials, one_user, uid);
    if (metrics->health == NULL || metrics->trials == NULL ||
        snapshot_take(&metrics->snapshot, aggregates, one_user, uid) != 0) {
        metrics_free(metrics);
        return NULL;
    }
    if (health_count > 0)
        memcpy(metrics->health, health, health_count * sizeof *health);
    metrics->health_count = health_count;
    metrics->histograms = histograms;
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    snapshot_free(&metrics->snapshot);
    trial_metrics_free(metrics->trials);
    free(metrics->health);
    free(metrics);
}

/* Text */

/* Writes "{program=...,rule=...,role=...,uid=...,port=..."; the brace stays open for more
 * labels. */
static void put_labels(const struct aggregate *aggregate, FILE *to)
{
    const char *role = name_of_bits(aggregate->role, role_names);
    fputs("{program=\"", to);
    metrics_put_value(aggregate->program, to);
    fputs("\",rule=\"", to);
    metrics_put_value(aggregate->rule, to);
    fprintf(to, "\",role=\"%s\"", aggregate->other || role == NULL ? "other" : role);
    if (aggregate->uid == (uid_t)-1)
        fputs(",uid=\"other\"", to);
    else
        fprintf(to, ",uid=\"%u\"", (unsigned)aggregate->uid);
    if (aggregate->port == AGGREGATE_PORT_OTHER)
        fputs(",port=\"other\"", to);
    else if (aggregate->port != AGGREGATE_PORT_ALL)
        fprintf(to, ",port=\"%u\"", aggregate->port);
    if (*aggregate->peer) {
        fputs(",peer=\"", to);
        metrics_put_value(aggregate->peer, to);
        putc('"', to);
    }
}

/* Writes a sum in its base unit: the kernel counts times in milli- or microseconds. */
static void put_scaled(uint64_t sum, enum option_unit unit, FILE *to)
{
    switch (unit) {
    case UNIT_MILLISECONDS:
        fprintf(to, "%" PRIu64 ".%03" PRIu64 "\n", sum / 1000, sum % 1000);
        break;
    case UNIT_MICROSECONDS:
        fprintf(to, "%" PRIu64 ".%06" PRIu64 "\n", sum / 1000000, sum % 1000000);
        break;
    default:
        fprintf(to, "%" PRIu64 "\n", sum);
    }
}

/* Returns the head of a sum's counter; its name ends with the base unit. */
static struct metrics_head sum_head(size_t sum)
{
    const struct tcp_info_field *field = tcp_info_sum((enum tcp_info_sum)sum);
    const char *unit = field->unit == UNIT_BYTES ? "bytes"
                       : field->unit == UNIT_MILLISECONDS || field->unit == UNIT_MICROSECONDS
                           ? "seconds"
                           : "";
    return (struct metrics_head){field->metric, unit, "counter", field->help};
}

/* Listeners and UDP sockets have no figures of TCP. */
static bool has_tcp_sums(const struct aggregate *aggregate)
{
    return aggregate->other || (aggregate->role & (ROLE_CONNECT | ROLE_ACCEPT)) != 0;
}

static void put_sum(const struct aggregate *aggregate, size_t sum, FILE *to)
{
    const struct tcp_info_field *field = tcp_info_sum((enum tcp_info_sum)sum);
    if (!has_tcp_sums(aggregate))
        return;
    fprintf(to, "socktune_%s_total", field->metric);
    put_labels(aggregate, to);
    fputs("} ", to);
    put_scaled(aggregate->sums[sum], field->unit, to);
}

static void put_bucket(const struct aggregate *aggregate, const char *name, const char *bound,
                       uint64_t count, FILE *to)
{
    fprintf(to, "socktune_%s_bucket", name);
    put_labels(aggregate, to);
    fprintf(to, ",le=\"%s\"} %" PRIu64 "\n", bound, count);
}

/* Formats a bound as OpenMetrics requires for "le": the shortest form of a float, with a decimal
 * point. */
static void format_bound(double bound, char text[32])
{
    snprintf(text, 32, "%.12g", bound);
    if (strpbrk(text, ".e") == NULL)
        strcat(text, ".0");
}

static void put_histogram(const struct aggregate *aggregate, size_t kind, FILE *to)
{
    const struct histogram *histogram = &aggregate->histograms[kind];
    const double *bounds = histogram_bounds((enum histogram_kind)kind);
    const char *name = distributions[kind].name;
    uint64_t count = histogram_count(histogram);
    char bound[32];
    /* skip an empty histogram: it would have 19 series */
    if (count == 0)
        return;
    count = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        count += histogram->counts[i];
        format_bound(bounds[i], bound);
        put_bucket(aggregate, name, bound, count, to);
    }
    count += histogram->counts[HISTOGRAM_BUCKETS];
    put_bucket(aggregate, name, "+Inf", count, to);
    fprintf(to, "socktune_%s_sum", name);
    put_labels(aggregate, to);
    fprintf(to, "} %.17g\nsocktune_%s_count", histogram->sum, name);
    put_labels(aggregate, to);
    fprintf(to, "} %" PRIu64 "\n", count);
}

static void put_number(const struct aggregate *aggregate, size_t number, FILE *to)
{
    const struct number *row = &numbers[number];
    if (row->roles != 0 && (aggregate->role & row->roles) == 0 && !(aggregate->other && row->other))
        return;
    fprintf(to, "socktune_%s%s", row->head.name, metrics_suffix(&row->head));
    put_labels(aggregate, to);
    fprintf(to, "} %" PRIu64 "\n",
            *(const uint64_t *)(const void *)((const char *)aggregate + row->offset));
}

/* True for reasons that are possible for the aggregate's role. They start with 0, so that their
 * first increase is visible. */
static bool may_close_so(const struct aggregate *aggregate, enum close_reason reason)
{
    const unsigned roles = reason == CLOSE_LISTENER   ? ROLE_LISTEN
                           : reason == CLOSE_DATAGRAM ? ROLE_DATAGRAM
                                                      : ROLE_CONNECT | ROLE_ACCEPT;
    if (reason == CLOSE_LOST || reason == CLOSE_REJECTED)
        return true;
    return aggregate->other || (aggregate->role & roles) != 0;
}

static void put_endings(const struct aggregate *aggregate, size_t unused, FILE *to)
{
    (void)unused;
    for (unsigned i = CLOSE_NONE + 1; i < CLOSE_COUNT; i++) {
        if (aggregate->closed[i] == 0 && !may_close_so(aggregate, (enum close_reason)i))
            continue;
        fprintf(to, "socktune_%s_total", endings.name);
        put_labels(aggregate, to);
        fprintf(to, ",reason=\"%s\"} %" PRIu64 "\n", close_reason_name((enum close_reason)i),
                aggregate->closed[i]);
    }
}

static void put_applied(const struct aggregate *aggregate, const char *option, uint64_t count,
                        FILE *to)
{
    fprintf(to, "socktune_%s_total", applications.name);
    put_labels(aggregate, to);
    fputs(",option=\"", to);
    metrics_put_value(option, to);
    fprintf(to, "\"} %" PRIu64 "\n", count);
}

static void put_applications(const struct aggregate *aggregate, size_t unused, FILE *to)
{
    uint64_t others = aggregate->applied;
    (void)unused;
    for (size_t i = 0; i < aggregate->outcome_count; i++) {
        const struct option_count *outcome = &aggregate->outcomes[i];
        if (outcome->error)
            continue;
        put_applied(aggregate, outcome->option, outcome->count, to);
        others -= outcome->count < others ? outcome->count : others;
    }
    if (others)
        put_applied(aggregate, "other", others, to);
}

static void put_refusals(const struct aggregate *aggregate, size_t unused, FILE *to)
{
    (void)unused;
    for (size_t i = 0; i < aggregate->outcome_count; i++) {
        const struct option_count *refused = &aggregate->outcomes[i];
        const char *error = strerrorname_np(refused->error);
        if (!refused->error)
            continue;
        fprintf(to, "socktune_%s_total", refusals.name);
        put_labels(aggregate, to);
        fputs(",option=\"", to);
        metrics_put_value(refused->option, to);
        fprintf(to, "\",error=\"%s\"} %" PRIu64 "\n", error != NULL ? error : "other",
                refused->count);
    }
}

/* Families in sequence */

struct family {
    struct metrics_head head; /* without a name: the family does not exist */
    void (*put)(const struct aggregate *aggregate, size_t row, FILE *to);
    size_t row;
};

/* Returns the family with that number, counted over all tables. */
static struct family family_of(size_t number)
{
    if (number < NUMBERS)
        return (struct family){numbers[number].head, put_number, number};
    number -= NUMBERS;
    if (number < SUM_COUNT)
        return (struct family){sum_head(number), put_sum, number};
    number -= SUM_COUNT;
    if (number < HISTOGRAM_COUNT)
        return (struct family){distributions[number], put_histogram, number};
    number -= HISTOGRAM_COUNT;
    switch (number) {
    case 0:
        return (struct family){endings, put_endings, 0};
    case 1:
        return (struct family){applications, put_applications, 0};
    case 2:
        return (struct family){refusals, put_refusals, 0};
    default:
        return (struct family){{NULL, NULL, NULL, NULL}, NULL, 0};
    }
}

static void put_health(const struct metrics *metrics, enum metrics_format format, FILE *to)
{
    const char *last = "";
    for (size_t i = 0; i < metrics->health_count; i++) {
        const struct metrics_health *row = &metrics->health[i];
        struct metrics_head head = {row->name, row->unit, row->counter ? "counter" : "gauge",
                                    row->help};
        if (strcmp(row->name, last) != 0)
            metrics_put_head(&head, format, to);
        last = row->name;
        fprintf(to, "socktune_%s%s", row->name, metrics_suffix(&head));
        if (row->label != NULL) {
            fprintf(to, "{%s=\"", row->label);
            metrics_put_value(row->label_value, to);
            fputs("\"}", to);
        }
        fprintf(to, " %.15g\n", row->value);
    }
    if (format == METRICS_OPENMETRICS)
        fputs("# EOF\n", to);
}

bool metrics_write(struct metrics *metrics, enum metrics_format format, FILE *to)
{
    struct family family = family_of(metrics->family);
    if (metrics->ended)
        return false;
    if (family.head.name == NULL && trial_metrics_write(metrics->trials, format, to))
        return true;
    if (family.head.name == NULL) {
        put_health(metrics, format, to);
        metrics->ended = true;
        return false;
    }
    if (family.put == put_histogram && !metrics->histograms) {
        metrics->family++;
        return true;
    }
    if (metrics->at == 0)
        metrics_put_head(&family.head, format, to);
    for (size_t i = 0; i < SERIES_AT_ONCE && metrics->at < metrics->snapshot.count; i++)
        family.put(&metrics->snapshot.aggregates[metrics->at++], family.row, to);
    if (metrics->at == metrics->snapshot.count) {
        metrics->at = 0;
        metrics->family++;
    }
    return true;
}

/* Choosing the format */

/* Returns the weight that an Accept header gives a media type, 0 to 1; -1 if it does not name
 * it. */
static double weight_of(const char *accept, const char *type)
{
    size_t length = strlen(type);
    for (const char *at = accept; at != NULL;
         at = strchr(at, ','), at = at != NULL ? at + 1 : NULL) {
        const char *end, *quality;
        at += strspn(at, " \t");
        if (strncasecmp(at, type, length) != 0 || strchr(" \t;,", at[length]) == NULL)
            continue;
        end = at + strcspn(at, ",");
        quality = strcasestr(at, "q=");
        return quality != NULL && quality < end ? strtod(quality + 2, NULL) : 1;
    }
    return -1;
}

enum metrics_format metrics_accepted(const char *accept)
{
    double open = accept != NULL ? weight_of(accept, "application/openmetrics-text") : -1;
    return open > 0 && open >= weight_of(accept, "text/plain") ? METRICS_OPENMETRICS
                                                               : METRICS_PROMETHEUS;
}

const char *metrics_content_type(enum metrics_format format)
{
    static const char *const types[] = {
        [METRICS_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
        [METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    };
    return types[format];
}
