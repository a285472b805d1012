/* SPDX-License-Identifier: MIT */
/*
 * The helper's statistics about itself, for /metrics and /v1/status.
 */
#ifndef SOCKTUNE_HELPER_HEALTH_H
#define SOCKTUNE_HELPER_HEALTH_H

#include "helper.h"
#include "metrics.h"

#include <jansson.h>

#define HEALTH_ROWS_MAX (18u + DROP_COUNT)

/* Fill `rows`; returns their number. Strings are static. */
size_t health_rows(const struct helper *helper, struct metrics_health rows[HEALTH_ROWS_MAX]);

/* /v1/status: a new object, NULL if there is no memory. */
json_t *health_json(const struct helper *helper);

#endif
