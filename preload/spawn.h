/* SPDX-License-Identifier: MIT */
/*
 * Running the rule compiler outside the program, so that no parser and no foreign symbol enters it.
 */
#ifndef SOCKTUNE_SPAWN_H
#define SOCKTUNE_SPAWN_H

#include "process_start.h"

struct spawned {
    int fd;          /* a memfd with the compiler's output, close-on-exec; -1: none */
    const char *why; /* if none: the reason, or NULL when the compiler has said it itself */
};

/*
 * Run `socktune-compile PATH`, found beside this library, and wait for it. The child
 * raises no SIGCHLD, is no concern of the program's own wait() calls, inherits none of its
 * descriptors but standard error, and is killed when it takes too long. For the constructor alone.
 */
struct spawned spawn_compiler(const char *path, const struct settings *settings);

#endif
