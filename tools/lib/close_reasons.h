/* SPDX-License-Identifier: MIT */
/*
 * The reasons why connections close: the helper determines them, the command filters by them.
 */
#ifndef SOCKTUNE_CLOSE_REASONS_H
#define SOCKTUNE_CLOSE_REASONS_H

#include <stddef.h>

enum close_reason {
    CLOSE_NONE, /* the connection is open */
#define CLOSE_REASON(id, name, explanation) CLOSE_##id,
#include "close_reasons.def"
    CLOSE_REJECTED, /* it belongs to another user; counted, but never shown */
    CLOSE_COUNT
};

/* Returns "fin" and so on, for JSON and labels; "" for CLOSE_NONE. */
const char *close_reason_name(enum close_reason reason);

/* Write the names by which connections can be filtered, separated by ", ". */
void close_reasons_list(char *text, size_t size);

#endif
