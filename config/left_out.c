/* SPDX-License-Identifier: MIT */
/* The table of options that no rule can name. */
#include "left_out.h"

#include <netinet/in.h>
#include <stddef.h>
#include <strings.h>
#include <sys/socket.h>

static const struct left_out rows[] = {
#define LEFT_OUT(name, level, number, why) {name, level, number, why},
#include "left_out.def"
};
enum { ROWS = sizeof rows / sizeof rows[0] };

const struct left_out *left_out_find(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcasecmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

const struct left_out *left_out_find_number(int level, int optname)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].level == level && rows[i].optname == optname)
            return &rows[i];
    return NULL;
}
