/* SPDX-License-Identifier: MIT */
/*
 * Finding a cgroup (version 2) by its path or by a systemd unit's name.
 */
#ifndef SOCKTUNE_CGROUP_FIND_H
#define SOCKTUNE_CGROUP_FIND_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct attach_error {
    char text[512];
};

/* Format the text of the error; returns -1. */
int attach_fail(struct attach_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

struct attach_cgroup {
    char directory[PATH_MAX]; /* absolute path, with the mount point */
    char path[512];           /* below the mount point; "/" is the root */
    uint64_t id;              /* the kernel's number for it */
};

/* Fill in `cgroup`. Return 0, or -1 with `error`. `path` is relative to the mount point, or begins
 * with it. */
int cgroup_by_path(const char *path, struct attach_cgroup *cgroup, struct attach_error *error);
int cgroup_by_unit(const char *unit, struct attach_cgroup *cgroup, struct attach_error *error);

/* Calls `visit` with the ID of each process in the cgroup and the cgroups below it. */
void cgroup_each_process(const struct attach_cgroup *cgroup, void (*visit)(int pid, void *context),
                         void *context);

#endif
