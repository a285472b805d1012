/* SPDX-License-Identifier: MIT */
/*
 * Runs the rule compiler outside the program, so that no parser and no foreign symbol enters it.
 */
#ifndef SOCKTUNE_SPAWN_H
#define SOCKTUNE_SPAWN_H

#include "process_start.h"

struct spawned {
    int fd; /* memfd with the compiler's output, close-on-exec, owned by the caller; -1: none */
    const char *why; /* with -1: the reason, or NULL if the compiler has printed it */
};

/*
 * Run `socktune-compile PATH`, found beside this library, and wait for it. The child raises no
 * SIGCHLD, is invisible to the program's wait() calls, inherits no descriptor but standard error,
 * and is killed after 20 seconds. Only for the constructor. Changes errno.
 */
struct spawned spawn_compiler(const char *path, const struct settings *settings);

#endif
