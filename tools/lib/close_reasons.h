/* SPDX-License-Identifier: MIT */
/*
 * The reasons for which connections close: the helper determines them, the command filters by them.
 */
#ifndef SOCKTUNE_CLOSE_REASONS_H
#define SOCKTUNE_CLOSE_REASONS_H

#include <stddef.h>

enum close_reason {
    CLOSE_NONE, /* it is open */
#define CLOSE_REASON(id, name, explanation) CLOSE_##id,
#include "close_reasons.def"
    CLOSE_REJECTED, /* it turned out to be another user's; counted, but never shown */
    CLOSE_COUNT
};

/* "fin", for JSON and labels; "" of CLOSE_NONE. */
const char *close_reason_name(enum close_reason reason);

/* Write the names that connections can be filtered by, separated by ", ". */
void close_reasons_list(char *text, size_t size);

#endif
