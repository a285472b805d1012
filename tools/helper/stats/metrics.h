/* SPDX-License-Identifier: MIT */
/*
 * Metrics for Prometheus and similar systems: the sums by program, rule, role and port, the trials,
 * and the helper's statistics about itself, as text.
 *
 * A snapshot of the sums is taken first and then written a few lines at a time. So one scrape is
 * consistent, however slowly it is read.
 */
#ifndef SOCKTUNE_HELPER_METRICS_H
#define SOCKTUNE_HELPER_METRICS_H

#include "aggregates.h"
#include "metrics_text.h"
#include "trials.h"

/* Returns the format that an Accept header asks for; METRICS_PROMETHEUS for NULL (no header). */
enum metrics_format metrics_accepted(const char *accept);

/* Returns the Content-Type of the format. Static. */
const char *metrics_content_type(enum metrics_format format);

/* A statistic of the helper about itself. Rows with one name must be adjacent. */
struct metrics_health {
    const char *name; /* without the prefix and "_total"; ends with the unit, if any */
    const char *unit; /* "" if none */
    const char *help;
    bool counter;
    const char *label; /* NULL: no label */
    const char *label_value;
    double value;
};

struct metrics;

/*
 * Take a snapshot of what the viewer may see: all users' sums and trials, or (`one_user`) those of
 * `uid`. `trials` may be NULL. Without `histograms`, only the other series are included. The
 * `health` rows are copied; their strings must be static or outlive the snapshot. Free with
 * metrics_free(). NULL if there is no memory.
 */
struct metrics *metrics_take(const struct aggregates *aggregates, const struct trials *trials,
                             bool one_user, uid_t uid, bool histograms,
                             const struct metrics_health *health, size_t health_count);

/* NULL does nothing. */
void metrics_free(struct metrics *metrics);

/* Write the next lines, a few kilobytes at most. Returns false when everything is written. */
bool metrics_write(struct metrics *metrics, enum metrics_format format, FILE *to);

#endif
