/* SPDX-License-Identifier: MIT */
/*
 * What may stand behind the "?" of /v1/connections. Pure.
 */
#ifndef SOCKTUNE_HELPER_QUERY_FILTER_H
#define SOCKTUNE_HELPER_QUERY_FILTER_H

#include "connections.h"

#include <stdbool.h>
#include <stdint.h>

struct query_filter {
    struct connection_filter connections; /* its strings are the caller's */
    bool closed;                          /* those of the history, not the open ones */
    uint64_t limit;                       /* at most so many; 0: all */
    uint64_t after;                       /* the cursor that an answer before gave */
};

/* Take one parameter; `value` is kept, not copied, and NULL where there was no "=". Returns NULL,
 * or a phrase that says what would be right; the phrase is static. */
const char *query_filter_set(struct query_filter *filter, const char *name, const char *value);

/* Do all parameters together make sense? NULL, or a phrase as above. */
const char *query_filter_check(const struct query_filter *filter);

#endif
