/* SPDX-License-Identifier: MIT */
/*
 * The names of the close reasons.
 */
#include "close_reasons.h"

#include <stdio.h>

static const char *const names[CLOSE_COUNT] = {
    [CLOSE_NONE] = "",
#define CLOSE_REASON(id, name, explanation) [CLOSE_##id] = (name),
#include "close_reasons.def"
    [CLOSE_REJECTED] = "rejected",
};

const char *close_reason_name(enum close_reason reason)
{
    return names[reason];
}

void close_reasons_list(char *text, size_t size)
{
    size_t length = 0;
    for (unsigned reason = CLOSE_NONE + 1; reason < CLOSE_REJECTED && length < size; reason++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", length > 0 ? ", " : "",
                                   names[reason]);
}
