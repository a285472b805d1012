/* SPDX-License-Identifier: MIT */
/*
 * The helper's sums by program and rule (/v1/rules), as `top` shows them: what there is now, and
 * what grew since the answer before.
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
    RULE_BAD, /* closed otherwise than in order */
    RULE_DROPPED,
    RULE_QUEUE,
    RULE_BYTES_SENT,
    RULE_BYTES_RETRANS,
    RULE_BYTES_RECEIVED,
    RULE_NEW_RATE, /* from here on derived; rates are a second */
    RULE_SENT_RATE,
    RULE_RECEIVED_RATE,
    RULE_RESENT, /* share of the bytes sent */
    RULE_RTT_50, /* seconds */
    RULE_RTT_99,
    RULE_NUMBERS
};

struct rule_row {
    char *texts[RULE_TEXTS]; /* own; printable ASCII, never NULL */
    double numbers[RULE_NUMBERS];
    double
        bounds[RULE_BUCKETS_MAX]; /* of the histogram of round-trip times; the last is INFINITY */
    double counts[RULE_BUCKETS_MAX]; /* of each bucket alone */
    size_t buckets;
};

struct rule_list {
    struct rule_row *rows;
    size_t count;
    double when; /* seconds of the epoch; 0: never */
};

/* Read an answer of /v1/rules that came at `when`. `before` is the list of the answer before (when
 * 0: none): rates and quantiles are of the time since then, or of the whole time where nothing
 * grew. False without memory, or if it is no such answer. */
bool rule_list_read(struct rule_list *list, const json_t *answer, double when,
                    const struct rule_list *before);
void rule_list_free(struct rule_list *list);

/* The columns; rows are struct rule_row. */
const struct column_set *rule_columns(void);

#endif
