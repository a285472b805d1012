/* SPDX-License-Identifier: MIT */
/*
 * Metrics for Prometheus and its like: the sums by program, rule, role and port, the trials, and
 * the helper's numbers about itself, as text.
 *
 * A snapshot of the sums is taken first and written a few lines at a time, so that one scrape is
 * consistent however slowly it is read and whatever happens meanwhile.
 */
#ifndef SOCKTUNE_HELPER_METRICS_H
#define SOCKTUNE_HELPER_METRICS_H

#include "aggregates.h"
#include "metrics_text.h"
#include "trials.h"

/* The format that an Accept header asks for; NULL, no header, is METRICS_PROMETHEUS. */
enum metrics_format metrics_accepted(const char *accept);

/* The Content-Type of the format. Static. */
const char *metrics_content_type(enum metrics_format format);

/* A number of the helper about itself. Rows of one name follow one another. */
struct metrics_health {
    const char *name; /* without the prefix and "_total"; ends with the unit, if there is one */
    const char *unit; /* "" for none */
    const char *help;
    bool counter;
    const char *label; /* NULL: no label */
    const char *label_value;
    double value;
};

struct metrics;

/*
 * Take a snapshot of what this viewer may see: all users' sums and trials, or (`one_user`) those of
 * `uid`. `trials` may be NULL.
 * Without `histograms` there are the other series alone. The `health` rows are copied, the strings
 * in them must be static or outlive the snapshot. Free with metrics_free(). NULL: no memory.
 */
struct metrics *metrics_take(const struct aggregates *aggregates, const struct trials *trials,
                             bool one_user, uid_t uid, bool histograms,
                             const struct metrics_health *health, size_t health_count);

/* NULL does nothing. */
void metrics_free(struct metrics *metrics);

/* Write the next lines, at most some thousand bytes. Returns false when all is written. */
bool metrics_write(struct metrics *metrics, enum metrics_format format, FILE *to);

#endif
