/* SPDX-License-Identifier: MIT */
#include "counts.h"

static const char *const drop_names[] = {
    [DROP_RING_FULL] = "ring_full",   [DROP_ABANDONED] = "abandoned",
    [DROP_MALFORMED] = "malformed",   [DROP_FOREIGN] = "foreign",
    [DROP_LIMIT] = "limit",           [DROP_MEMORY] = "memory",
    [DROP_OVERRUN] = "overrun",       [DROP_REGISTRATION] = "registration",
    [DROP_HANDOFF] = "handoff",       [DROP_MESSAGE] = "message",
    [DROP_UNFINISHED] = "unfinished",
};
_Static_assert(sizeof drop_names / sizeof *drop_names == DROP_COUNT, "a name for each");

const char *drop_name(enum drop drop)
{
    return drop_names[drop];
}
