/* SPDX-License-Identifier: MIT */
/*
 * The flags that name a cgroup, which `attach` and `detach` share.
 */
#ifndef SOCKTUNE_CGROUP_FLAGS_H
#define SOCKTUNE_CGROUP_FLAGS_H

#include "cgroup_find.h"
#include "flags.h"

struct cgroup_choice {
    const char *cgroup;
    const char *unit;
    bool all;
};

#define FLAGS_CGROUP(type, member)                                                                 \
    {"cgroup",   0,                                                                                \
     FLAG_VALUE, offsetof(type, member.cgroup),                                                    \
     "PATH",     "the cgroup (version 2) of that path",                                            \
     "<file>",   NULL},                                                                            \
        {"unit",     'u',                                                                          \
         FLAG_VALUE, offsetof(type, member.unit),                                                  \
         "NAME",     "the cgroup of a running systemd unit",                                       \
         "<unit>",   NULL},                                                                        \
    {                                                                                              \
        "all", 'a', FLAG_SWITCH, offsetof(type, member.all), NULL, "every program of the machine", \
            NULL, NULL                                                                             \
    }

/* Find the cgroup. Returns 0, or the exit status after an error message. */
int cgroup_choose(const struct cgroup_choice *choice, struct attach_cgroup *cgroup);

#endif
