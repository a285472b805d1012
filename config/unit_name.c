/* SPDX-License-Identifier: MIT */
#include "unit_name.h"

#include <stdbool.h>
#include <string.h>

const char *unit_name_type(const char *name)
{
    static const char *const types[] = {".service",   ".socket", ".device", ".mount",
                                        ".automount", ".swap",   ".target", ".path",
                                        ".timer",     ".slice",  ".scope"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof types / sizeof *types; i++)
        if (strcmp(dot, types[i]) == 0)
            return types[i];
    return NULL;
}

const char *unit_name_rest(const char *name)
{
    const char *dot = strrchr(name, '.');
    bool may_have_type = dot != NULL && strpbrk(dot, "*?[") != NULL;
    return unit_name_type(name) != NULL || may_have_type ? "" : ".service";
}
