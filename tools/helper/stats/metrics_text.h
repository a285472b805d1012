/* SPDX-License-Identifier: MIT */
/* Text common to all metrics: the head of a family, and the values of labels. */
#ifndef SOCKTUNE_HELPER_METRICS_TEXT_H
#define SOCKTUNE_HELPER_METRICS_TEXT_H

#include <stdio.h>

enum metrics_format {
    METRICS_PROMETHEUS, /* text format 0.0.4 */
    METRICS_OPENMETRICS /* 1.0.0 */
};

/* A family of metrics. */
struct metrics_head {
    const char *name; /* without the prefix and "_total" */
    const char *unit; /* suffix of the name, or "" */
    const char *type; /* "counter", "gauge", "histogram" */
    const char *help;
};

/* Write HELP, TYPE and, if the format has it, UNIT. */
void metrics_put_head(const struct metrics_head *head, enum metrics_format format, FILE *to);

/* Returns the suffix of the samples' names. Static. */
const char *metrics_suffix(const struct metrics_head *head);

/* Write a label's value with \, " and line feeds escaped. `text` is UTF-8. */
void metrics_put_value(const char *text, FILE *to);

#endif
