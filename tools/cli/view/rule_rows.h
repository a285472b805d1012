/* SPDX-License-Identifier: MIT */
/*
 * The helper's sums by program and rule (/v1/rules), as `top` shows them: the current sums, and
 * their increase since the previous answer.
 */
#ifndef SOCKTUNE_RULE_ROWS_H
#define SOCKTUNE_RULE_ROWS_H

#include "columns.h"

#include <jansson.h>

#define RULE_BUCKETS_MAX 32

enum rule_text { RULE_PROGRAM, RULE_RULE, RULE_ROLE, RULE_PORT, RULE_USER, RULE_PEER, RULE_TEXTS };

/* Sums that the helper reports, and values derived from them. NAN: unknown. */
enum rule_number {
    RULE_OPEN,
    RULE_OPENED,
    RULE_BAD, /* not closed in order */
    RULE_DROPPED,
    RULE_QUEUE,
    RULE_BYTES_SENT,
    RULE_BYTES_RETRANS,
    RULE_BYTES_RECEIVED,
    RULE_NEW_RATE, /* derived values begin here; rates are per second */
    RULE_SENT_RATE,
    RULE_RECEIVED_RATE,
    RULE_RESENT, /* share of the bytes sent */
    RULE_RTT_50, /* seconds */
    RULE_RTT_99,
    RULE_NUMBERS
};

struct rule_row {
    char *texts[RULE_TEXTS]; /* owned; printable ASCII, never NULL */
    double numbers[RULE_NUMBERS];
    double
        bounds[RULE_BUCKETS_MAX]; /* of the histogram of round-trip times; the last is INFINITY */
    double counts[RULE_BUCKETS_MAX]; /* of each bucket, not cumulative */
    size_t buckets;
};

struct rule_list {
    struct rule_row *rows;
    size_t count;
    double when; /* seconds since the epoch; 0: never */
};

/* Read an answer of /v1/rules that arrived at `when`. `before` is the list of the previous answer
 * (when 0: there was none). Rates and quantiles cover the time since then, or the whole time if
 * nothing has increased. False if memory is exhausted or the answer has another form. */
bool rule_list_read(struct rule_list *list, const json_t *answer, double when,
                    const struct rule_list *before);
void rule_list_free(struct rule_list *list);

/* The columns; rows are struct rule_row. */
const struct column_set *rule_columns(void);

#endif
