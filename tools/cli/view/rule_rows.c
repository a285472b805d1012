/* SPDX-License-Identifier: MIT */
#include "rule_rows.h"
#include "human.h"
#include "reported.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reading */

static double number_at(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    return json_is_number(member) ? json_number_value(member) : NAN;
}

/* A member that is a string or a number, as text. */
static char *text_at(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    char number[32];
    if (!json_is_integer(member))
        return reported_printable(json_string_value(member));
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(member));
    return strdup(number);
}

static void read_buckets(struct rule_row *row, const json_t *buckets)
{
    const json_t *bucket;
    size_t index;
    json_array_foreach(buckets, index, bucket)
    {
        const json_t *bound = json_array_get(bucket, 0), *count = json_array_get(bucket, 1);
        if (row->buckets == RULE_BUCKETS_MAX)
            return;
        row->bounds[row->buckets] = json_is_number(bound) ? json_number_value(bound) : INFINITY;
        row->counts[row->buckets++] = json_is_number(count) ? json_number_value(count) : 0;
    }
}

static void rule_row_free(struct rule_row *row)
{
    for (size_t i = 0; i < RULE_TEXTS; i++)
        free(row->texts[i]);
}

static bool read_row(struct rule_row *row, const json_t *object)
{
    static const char *const texts[RULE_TEXTS] = {"program", "rule", "role", "port", "uid", "peer"};
    const json_t *ends = json_object_get(object, "ends"),
                 *info = json_object_get(object, "tcp_info");
    bool complete = true;
    *row = (struct rule_row){.buckets = 0};
    for (size_t i = 0; i < RULE_TEXTS; i++) {
        row->texts[i] = text_at(object, texts[i]);
        complete = complete && row->texts[i] != NULL;
    }
    row->numbers[RULE_OPEN] = number_at(object, "open");
    row->numbers[RULE_OPENED] = number_at(object, "opened");
    row->numbers[RULE_BAD] = number_at(object, "closed") - number_at(ends, "fin") -
                             number_at(ends, "listener") - number_at(ends, "datagram");
    row->numbers[RULE_DROPPED] = number_at(object, "dropped");
    row->numbers[RULE_QUEUE] = number_at(json_object_get(object, "accept_queue"), "length");
    row->numbers[RULE_BYTES_SENT] = number_at(info, "bytes_sent");
    row->numbers[RULE_BYTES_RETRANS] = number_at(info, "bytes_retrans");
    row->numbers[RULE_BYTES_RECEIVED] = number_at(info, "bytes_received");
    read_buckets(row, json_object_get(json_object_get(object, "rtt"), "buckets"));
    if (!complete)
        rule_row_free(row);
    return complete;
}

/* Rates and quantiles */

static const struct rule_row *find_row(const struct rule_list *list, const struct rule_row *like)
{
    for (size_t i = 0; i < list->count; i++) {
        bool same = true;
        for (size_t j = 0; j < RULE_TEXTS && same; j++)
            same = strcmp(list->rows[i].texts[j], like->texts[j]) == 0;
        if (same)
            return &list->rows[i];
    }
    return NULL;
}

/* The quantile `share` of the histogram, rounded up to the upper bound of its bucket. */
static double rule_row_quantile(const struct rule_row *row, const struct rule_row *before,
                                double share)
{
    double total = 0, seen = 0;
    for (size_t i = 0; i < row->buckets; i++)
        total += row->counts[i] - (before != NULL ? before->counts[i] : 0);
    if (total <= 0)
        return before != NULL ? rule_row_quantile(row, NULL, share) : NAN;
    for (size_t i = 0; i < row->buckets; i++) {
        seen += row->counts[i] - (before != NULL ? before->counts[i] : 0);
        if (seen >= share * total)
            return isinf(row->bounds[i]) && i > 0 ? row->bounds[i - 1] : row->bounds[i];
    }
    return NAN;
}

static double rule_row_growth(const struct rule_row *row, const struct rule_row *before,
                              enum rule_number number)
{
    return row->numbers[number] - (before != NULL ? before->numbers[number] : 0);
}

static void rule_row_derive(struct rule_row *row, const struct rule_row *before, double seconds)
{
    static const enum rule_number rates[][2] = {{RULE_OPENED, RULE_NEW_RATE},
                                                {RULE_BYTES_SENT, RULE_SENT_RATE},
                                                {RULE_BYTES_RECEIVED, RULE_RECEIVED_RATE}};
    const struct rule_row *since = rule_row_growth(row, before, RULE_BYTES_SENT) > 0
                                       ? before
                                       : NULL; /* else since the beginning */
    double sent = rule_row_growth(row, since, RULE_BYTES_SENT);
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        row->numbers[rates[i][1]] =
            seconds > 0 ? fmax(rule_row_growth(row, before, rates[i][0]), 0) / seconds : NAN;
    row->numbers[RULE_RESENT] =
        sent > 0 ? rule_row_growth(row, since, RULE_BYTES_RETRANS) / sent : NAN;
    row->numbers[RULE_RTT_50] = rule_row_quantile(row, before, 0.5);
    row->numbers[RULE_RTT_99] = rule_row_quantile(row, before, 0.99);
}

bool rule_list_read(struct rule_list *list, const json_t *answer, double when,
                    const struct rule_list *before)
{
    const json_t *rules = json_object_get(answer, "rules"), *rule;
    double seconds = before->when > 0 ? when - before->when : 0;
    size_t index;
    *list = (struct rule_list){.when = when};
    list->rows = calloc(json_array_size(rules) + 1, sizeof *list->rows);
    if (!json_is_array(rules) || list->rows == NULL) {
        rule_list_free(list);
        return false;
    }
    json_array_foreach(rules, index, rule)
    {
        struct rule_row *row = &list->rows[list->count];
        if (!read_row(row, rule)) {
            rule_list_free(list);
            return false;
        }
        rule_row_derive(row, seconds > 0 ? find_row(before, row) : NULL, seconds);
        list->count++;
    }
    return true;
}

void rule_list_free(struct rule_list *list)
{
    for (size_t i = 0; list->rows != NULL && i < list->count; i++)
        rule_row_free(&list->rows[i]);
    free(list->rows);
    *list = (struct rule_list){.rows = NULL};
}

/* Columns */

static const char *text_of(const void *row, int index)
{
    return ((const struct rule_row *)row)->texts[index];
}

static double number_of(const void *row, int index, double now)
{
    const struct rule_row *rule = row;
    bool listens = strcmp(rule->texts[RULE_ROLE], "listen") == 0;
    bool connects = !listens && strcmp(rule->texts[RULE_ROLE], "datagram") != 0;
    (void)now;
    /* Figures that only listeners, or only connections have. */
    if ((index == RULE_QUEUE && !listens) || (!connects && index == RULE_BAD) ||
        (index == RULE_DROPPED && connects && rule->numbers[RULE_DROPPED] == 0) ||
        (!connects && (index == RULE_SENT_RATE || index == RULE_RECEIVED_RATE)))
        return NAN;
    return rule->numbers[index];
}

static void format_seconds(double seconds, char *text)
{
    human_microseconds(seconds * 1e6, text);
}

static void format_rate(double number, char *text)
{
    snprintf(text, HUMAN_SIZE, number < 9.95 && number > 0 ? "%.1f" : "%.0f", number);
}

static int compare_names(const void *left, const void *right)
{
    const struct rule_row *a = left, *b = right;
    for (size_t i = 0; i < RULE_TEXTS; i++) {
        int order = strcmp(a->texts[i], b->texts[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

const struct column_set *rule_columns(void)
{
    /* clang-format off */
    static const struct column columns[] = {
        /* key       heading    index               text     number     format          cell  width place importance left */
        {"program",  "PROGRAM", RULE_PROGRAM,       text_of, NULL,      NULL,           NULL, 16, 10,  1, false},
        {"rule",     "RULE",    RULE_RULE,          text_of, NULL,      NULL,           NULL, 16, 20,  2, false},
        {"role",     "ROLE",    RULE_ROLE,          text_of, NULL,      NULL,           NULL, 8,  30,  3, false},
        {"port",     "PORT",    RULE_PORT,          text_of, NULL,      NULL,           NULL, 5,  40, 11, false},
        {"user",     "USER",    RULE_USER,          text_of, NULL,      NULL,           NULL, 10, 50, 13, false},
        {"peer",     "PEER",    RULE_PEER,          text_of, NULL,      NULL,           NULL, 12, 60, 14, false},
        {"open",     "OPEN",    RULE_OPEN,          NULL,    number_of, NULL,           NULL, 8,  70,  4, false},
        {"new",      "NEW/s",   RULE_NEW_RATE,      NULL,    number_of, format_rate,    NULL, 8,  80,  7, false},
        {"bad",      "BAD",     RULE_BAD,           NULL,    number_of, NULL,           NULL, 8,  90,  9, false},
        {"resent",   "RESENT%", RULE_RESENT,        NULL,    number_of, human_percent,  NULL, 8, 100,  5, false},
        {"rtt",      "RTT50",   RULE_RTT_50,        NULL,    number_of, format_seconds, NULL, 8, 110,  6, false},
        {"rtt99",    "RTT99",   RULE_RTT_99,        NULL,    number_of, format_seconds, NULL, 8, 120,  8, false},
        {"queue",    "QUEUE",   RULE_QUEUE,         NULL,    number_of, NULL,           NULL, 8, 130, 15, false},
        {"drops",    "DROPS",   RULE_DROPPED,       NULL,    number_of, NULL,           NULL, 8, 140, 10, false},
        {"sent",     "SENT/s",  RULE_SENT_RATE,     NULL,    number_of, human_bytes,    NULL, 8, 150, 10, false},
        {"received", "RECV/s",  RULE_RECEIVED_RATE, NULL,    number_of, human_bytes,    NULL, 8, 160, 12, false},
    };
    /* clang-format on */
    static const struct column_set set = {columns, sizeof columns / sizeof *columns,
                                          sizeof(struct rule_row), compare_names};
    return &set;
}
