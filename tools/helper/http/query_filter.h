/* SPDX-License-Identifier: MIT */
/*
 * The parameters after the "?" of /v1/connections. Pure.
 */
#ifndef SOCKTUNE_HELPER_QUERY_FILTER_H
#define SOCKTUNE_HELPER_QUERY_FILTER_H

#include "connections.h"

#include <stdbool.h>
#include <stdint.h>

struct query_filter {
    struct connection_filter connections; /* its strings are the caller's */
    bool closed;                          /* connections of the history instead of open ones */
    uint64_t limit;                       /* maximum number; 0: all */
    uint64_t after;                       /* the cursor of a previous answer */
};

/* Take one parameter. `value` is stored without a copy; NULL if there was no "=". Returns NULL, or
 * a static phrase that says what would be right. */
const char *query_filter_set(struct query_filter *filter, const char *name, const char *value);

/* Check the combination of all parameters. Returns NULL, or a phrase as above. */
const char *query_filter_check(const struct query_filter *filter);

#endif
