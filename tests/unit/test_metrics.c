/* SPDX-License-Identifier: MIT */
/*
 * Metrics as text: sums, one head for each family, escapes, formats, limits.
 */
#include "metrics.h"
#include "tracked.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct metrics_health health[] = {
    {"helper_processes", "", "Processes.", false, NULL, NULL, 3},
    {"helper_dropped", "", "Lost.", true, "reason", "ring_full", 7},
    {"helper_dropped", "", "Lost.", true, "reason", "limit", 0},
};

static char *write_for(const struct connections *all, bool one_user, uid_t uid,
                       enum metrics_format format)
{
    struct metrics *metrics = metrics_take(connections_aggregates(all), NULL, one_user, uid, true,
                                           health, sizeof health / sizeof *health);
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    cr_assert(metrics && to);
    while (metrics_write(metrics, format, to))
        ;
    fclose(to);
    metrics_free(metrics);
    return text;
}

static char *written(const struct connections *all, enum metrics_format format)
{
    return write_for(all, false, 0, format);
}

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what))
        count++;
    return count;
}

/* The text has this line. */
static void expect_line(const char *text, const char *line)
{
    char whole[512];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    cr_expect(strstr(text, whole), "no line `%s` in:\n%s", line, text);
}

#define WEB  "{program=\"web\",rule=\"out\",role=\"connect\",uid=\"1000\",port=\"443\""
#define MORE "{program=\"web\",rule=\"out\",role=\"connect\",uid=\"1000\",port=\"other\""

static struct connections *one_connection(void)
{
    struct connections *all = connections_new(10);
    struct connection_start start = tracked_start("web", "out", 1);
    start.options.applied = 3;
    start.options.named = 2;
    start.options.names[0] = "TCP_NODELAY";
    start.options.names[1] = "SO_KEEPALIVE";
    start.options.failure_count = 1;
    start.options.failures[0] = (struct option_failure){"SO_MARK", EPERM};
    tracked_sample(all, tracked(all, &start), "bytes_sent", 1000, "rtt", 1500, "busy_time", 2500000,
                   "total_rto_time", 1250, "delivery_rate", 2000000, (char *)NULL);
    return all;
}

Test(metrics, sums_in_base_units)
{
    struct connections *all = one_connection();
    char *text = written(all, METRICS_PROMETHEUS);
    expect_line(text, "socktune_connections_open" WEB "} 1");
    expect_line(text, "socktune_connections_opened_total" WEB "} 1");
    expect_line(text, "socktune_sent_bytes_total" WEB "} 1000");
    expect_line(text, "socktune_busy_seconds_total" WEB "} 2.500000");
    expect_line(text, "socktune_timeout_seconds_total" WEB "} 1.250");
    expect_line(text, "socktune_rtt_seconds_bucket" WEB ",le=\"0.001\"} 0");
    expect_line(text, "socktune_rtt_seconds_bucket" WEB ",le=\"0.002\"} 1");
    expect_line(text, "socktune_rtt_seconds_bucket" WEB ",le=\"1.0\"} 1");
    expect_line(text, "socktune_rtt_seconds_bucket" WEB ",le=\"+Inf\"} 1");
    expect_line(text, "socktune_rtt_seconds_count" WEB "} 1");
    expect_line(text, "socktune_options_applied_total" WEB ",option=\"TCP_NODELAY\"} 1");
    expect_line(text, "socktune_options_applied_total" WEB ",option=\"SO_KEEPALIVE\"} 1");
    expect_line(text, "socktune_options_applied_total" WEB ",option=\"other\"} 1");
    expect_line(text,
                "socktune_options_refused_total" WEB ",option=\"SO_MARK\",error=\"EPERM\"} 1");
    expect_line(text, "socktune_helper_processes 3");
    expect_line(text, "socktune_helper_dropped_total{reason=\"ring_full\"} 7");
    free(text);
    connections_free(all);
}

Test(metrics, counters_stay_when_connections_close)
{
    struct connections *all = one_connection();
    char *text;
    tracked_close(all, connections_get(all, 1, 1), "bytes_sent", 1400, "bytes_acked", 1402,
                  "min_rtt", 900, (char *)NULL);
    text = written(all, METRICS_PROMETHEUS);
    expect_line(text, "socktune_connections_open" WEB "} 0");
    expect_line(text, "socktune_connections_closed_total" WEB ",reason=\"fin\"} 1");
    expect_line(text, "socktune_connections_closed_total" WEB ",reason=\"lost\"} 0");
    expect_line(text, "socktune_sent_bytes_total" WEB "} 1400");
    expect_line(text, "socktune_min_rtt_seconds_bucket" WEB ",le=\"0.001\"} 1");
    expect_line(text, "socktune_connection_duration_seconds_bucket" WEB ",le=\"1.0\"} 0");
    expect_line(text, "socktune_connection_duration_seconds_bucket" WEB ",le=\"5.0\"} 1");
    expect_line(text, "socktune_connection_duration_seconds_sum" WEB "} 2");
    free(text);
    connections_free(all);
}

/* The rate is that of the path only if the program had more to send, in full segments. */
static void expect_rates(size_t count, int bytes_sent, int app_limited)
{
    struct connections *all = connections_new(0);
    struct connection_start start = tracked_start("web", "out", 1);
    char *text;
    tracked_sample(all, tracked(all, &start), "delivery_rate", 2000000, "app_limited", app_limited,
                   "bytes_sent", bytes_sent, "data_segs_out", 100, "snd_mss", 1448, (char *)NULL);
    text = written(all, METRICS_PROMETHEUS);
    cr_expect_eq(occurrences(text, "\nsocktune_delivery_rate_bytes_per_second_count{"), count);
    free(text);
    connections_free(all);
}

Test(metrics, rates_of_bulk_alone_count)
{
    expect_rates(1, 144800, 0);
    expect_rates(0, 144800, 1);
    expect_rates(0, 20000, 0);
}

Test(metrics, heads_come_once_and_as_the_format_wants)
{
    struct connections *all = one_connection();
    char *plain = written(all, METRICS_PROMETHEUS), *open = written(all, METRICS_OPENMETRICS);
    cr_expect_eq(occurrences(plain, "# TYPE socktune_connections_closed_total counter\n"), 1);
    cr_expect_eq(occurrences(plain, "# TYPE socktune_helper_dropped_total counter\n"), 1);
    cr_expect_eq(occurrences(plain, "# TYPE socktune_rtt_seconds histogram\n"), 1);
    cr_expect_eq(occurrences(plain, "# UNIT"), 0);
    cr_expect_eq(occurrences(plain, "# EOF"), 0);
    cr_expect_eq(occurrences(open, "# TYPE socktune_connections_closed counter\n"), 1);
    cr_expect_eq(occurrences(open, "# UNIT socktune_sent_bytes bytes\n"), 1);
    cr_expect_str_eq(open + strlen(open) - strlen("\n# EOF\n"), "\n# EOF\n");
    free(plain);
    free(open);
    connections_free(all);
}

/* The lines of each family are contiguous, although only a few series are written at a time. */
Test(metrics, families_hold_together_with_many_series)
{
    struct connections *all = connections_new(0);
    char *text;
    for (unsigned i = 0; i < 40; i++) {
        char name[16];
        struct connection_start start;
        snprintf(name, sizeof name, "program%u", i);
        start = tracked_start(name, "out", i + 1);
        tracked(all, &start);
    }
    text = written(all, METRICS_PROMETHEUS);
    cr_expect_eq(occurrences(text, "\nsocktune_connections_open{"), 40);
    cr_expect_eq(occurrences(text, "\nsocktune_sent_bytes_total{"), 40);
    cr_expect_eq(occurrences(text, "# TYPE socktune_connections_open gauge\n"), 1);
    cr_expect_eq(occurrences(text, "# TYPE socktune_rtt_seconds histogram\n"), 1);
    free(text);
    connections_free(all);
}

Test(metrics, ports_beyond_the_bound_share_a_series)
{
    struct connections *all = connections_new(0);
    char *text;
    for (unsigned i = 0; i < AGGREGATE_PORTS_MAX + 5; i++) {
        struct connection_start start = tracked_start("web", "out", i + 1);
        start.flow.remote_port = (uint16_t)(8000 + i);
        tracked(all, &start);
    }
    text = written(all, METRICS_PROMETHEUS);
    cr_expect_eq(occurrences(text, "\nsocktune_connections_open{"), AGGREGATE_PORTS_MAX + 1);
    expect_line(text, "socktune_connections_open" MORE "} 5");
    free(text);
    connections_free(all);
}

Test(metrics, classes_of_peers_have_series_of_their_own)
{
    struct connections *all = connections_new(0);
    struct connection_start start = tracked_start("web", "out", 1);
    char *text;
    tracked(all, &start);
    for (unsigned i = 2; i < 5; i++) {
        start.cookie = i;
        start.peer = i == 2 ? "office" : "other";
        tracked(all, &start);
    }
    text = written(all, METRICS_PROMETHEUS);
    expect_line(text, "socktune_connections_open" WEB "} 1");
    expect_line(text, "socktune_connections_open" WEB ",peer=\"office\"} 1");
    expect_line(text, "socktune_connections_open" WEB ",peer=\"other\"} 2");
    free(text);
    connections_free(all);
}

/* Another user's program named nginx does not add to the figures of root's nginx. */
Test(metrics, users_are_kept_apart)
{
    struct connections *all = connections_new(0);
    struct connection_start mine = tracked_start("web", "out", 1), theirs = mine;
    char *text;
    theirs.cookie = 2;
    theirs.uid = 0;
    tracked_sample(all, tracked(all, &mine), "bytes_sent", 10, (char *)NULL);
    tracked_sample(all, tracked(all, &theirs), "bytes_sent", 32, (char *)NULL);
    text = written(all, METRICS_PROMETHEUS);
    expect_line(text, "socktune_sent_bytes_total" WEB "} 10");
    expect_line(text, "socktune_sent_bytes_total{program=\"web\",rule=\"out\",role=\"connect\","
                      "uid=\"0\",port=\"443\"} 32");
    free(text);
    text = write_for(all, true, 1000, METRICS_PROMETHEUS);
    expect_line(text, "socktune_sent_bytes_total" WEB "} 10");
    cr_expect_eq(occurrences(text, "uid=\"0\""), 0);
    free(text);
    connections_free(all);
}

/* A figure that has no value produces no series; a figure of 0 does. */
Test(metrics, nothing_empty_is_written)
{
    struct connections *all = connections_new(0);
    struct connection_start start = tracked_start("web", "in", 1);
    char *text;
    start.role = ROLE_LISTEN;
    start.flow.local_port = 443;
    tracked(all, &start);
    text = written(all, METRICS_PROMETHEUS);
#define LISTENER "{program=\"web\",rule=\"in\",role=\"listen\",uid=\"1000\",port=\"443\""
    expect_line(text, "socktune_accept_queue" LISTENER "} 0");
    expect_line(text, "socktune_accept_dropped_total" LISTENER "} 0");
    expect_line(text, "socktune_connections_closed_total" LISTENER ",reason=\"listener\"} 0");
    cr_expect_eq(occurrences(text, "\nsocktune_connections_closed_total"), 3);
    cr_expect_eq(occurrences(text, "seconds_bucket{"), 0);
    cr_expect_eq(occurrences(text, "\nsocktune_sent_bytes_total{"), 0);
    cr_expect_eq(occurrences(text, "role=\"listen\""), 8);
    free(text);
    connections_free(all);
}

Test(metrics, series_without_ports_and_histograms)
{
    struct connections *all = connections_new(0);
    struct metrics *metrics;
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    connections_merge_ports(all, true);
    for (unsigned i = 0; i < 5; i++) {
        struct connection_start start = tracked_start("web", "out", i + 1);
        start.flow.remote_port = (uint16_t)(8000 + i);
        tracked_sample(all, tracked(all, &start), "bytes_sent", 10, "rtt", 100, (char *)NULL);
    }
    metrics = metrics_take(connections_aggregates(all), NULL, false, 0, false, NULL, 0);
    cr_assert(metrics && to);
    while (metrics_write(metrics, METRICS_PROMETHEUS, to))
        ;
    fclose(to);
    metrics_free(metrics);
    expect_line(text, "socktune_sent_bytes_total{program=\"web\",rule=\"out\",role=\"connect\","
                      "uid=\"1000\"} 50");
    cr_expect_eq(occurrences(text, "rtt_seconds"), 0);
    free(text);
    connections_free(all);
}

Test(metrics, labels_are_escaped_utf8)
{
    struct connections *all = connections_new(0);
    struct connection_start start = tracked_start("a\"b\\c\nd\xff\xc3\xa9", "out", 1);
    char *text;
    tracked(all, &start);
    text = written(all, METRICS_OPENMETRICS);
    expect_line(text, "socktune_connections_open{program=\"a\\\"b\\\\c\\\\x0ad\\\\xff\xc3\xa9\","
                      "rule=\"out\",role=\"connect\",uid=\"1000\",port=\"443\"} 1");
    free(text);
    connections_free(all);
}

Test(metrics, format_is_the_accept_headers)
{
    static const struct {
        const char *accept;
        enum metrics_format format;
    } cases[] = {
        {NULL, METRICS_PROMETHEUS},
        {"*/*", METRICS_PROMETHEUS},
        {"text/plain", METRICS_PROMETHEUS},
        {"application/openmetrics-text", METRICS_OPENMETRICS},
        /* As sent by Prometheus 2.42. */
        {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         METRICS_OPENMETRICS},
        {"text/plain;version=0.0.4;q=0.8, application/openmetrics-text;q=0.5", METRICS_PROMETHEUS},
        {"application/openmetrics-text;q=0", METRICS_PROMETHEUS},
        {"application/openmetrics-textual", METRICS_PROMETHEUS},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(metrics_accepted(cases[i].accept), cases[i].format, "%s", cases[i].accept);
}
