/* SPDX-License-Identifier: MIT */
/*
 * What keeps the preloaded library from a program, by the facts about its executable. `socktune
 * run` warns of obstacles, `socktune doctor` explains them.
 */
#ifndef SOCKTUNE_OBSTACLES_H
#define SOCKTUNE_OBSTACLES_H

#include "executable.h"

/* How the program is going to be started. */
struct launch {
    /* What LD_PRELOAD names; `$LIB` and `${LIB}` may be in it. NULL: no library was found, and
     * nothing is said of whether it would fit. */
    const char *library;
    const char *preload;      /* LD_PRELOAD before `library` was added, or NULL */
    const char *asan_options; /* ASAN_OPTIONS, or NULL */
    uid_t uid;                /* real ids of the starting process */
    gid_t gid;
    bool no_new_privs; /* its PR_SET_NO_NEW_PRIVS: set-id bits have no effect */
};

/* The launch that this process would do by execve(). Strings are the environment's. */
struct launch launch_of_self(const char *library);

enum obstacle_bit {
    OBSTACLE_STATIC = 1,
    OBSTACLE_GO = 2,
    OBSTACLE_LOADER = 4,
    OBSTACLE_ARCHITECTURE = 8,
    OBSTACLE_MUSL_TOKEN = 16,
    OBSTACLE_SECURE = 32,
    OBSTACLE_ASAN = 64,
    OBSTACLE_NO_LIBC = 128,
    OBSTACLE_UNREADABLE = 256, /* not an obstacle in itself, but any other may be true */
    OBSTACLE_DEEPBIND = 512,
    OBSTACLE_X32 = 1024
};

/* Those that no way of preloading overcomes. */
#define OBSTACLES_LASTING (OBSTACLE_STATIC | OBSTACLE_GO | OBSTACLE_NO_LIBC | OBSTACLE_LOADER)

/* Those that `socktune run` overcomes by itself; they matter to who sets LD_PRELOAD by hand. */
#define OBSTACLES_AVOIDED (OBSTACLE_MUSL_TOKEN | OBSTACLE_ASAN)

/* Those that leave some of its sockets in reach. */
#define OBSTACLES_PARTIAL OBSTACLE_DEEPBIND

struct obstacle {
    unsigned bit;
    const char *id;      /* for machines: "static" */
    const char *problem; /* what is so, and why preloading fails: one line, no full stop */
    const char *advice;  /* what to do instead; one paragraph */
};

/* All rows, the weightiest first. */
const struct obstacle *obstacle_table(size_t *count);

/* The obstacles (enum obstacle_bit) between the preloaded library and this program; 0: none. */
unsigned executable_obstacles(const struct executable *executable, const struct launch *launch);

/* True if the file that `library` means to this program's loader is of its machine and word size.
 * `$LIB` is what glibc's loader takes it for. */
bool library_fits(const char *library, const struct executable *executable);

#endif
