/* SPDX-License-Identifier: MIT */
/*
 * The processes that are watched, and which socket is whose: inodes of /proc/PID/fd. Processes that
 * start later and children of those named are found by scanning again.
 */
#ifndef SOCKTUNE_ADVISE_WATCHED_H
#define SOCKTUNE_ADVISE_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

/* What to watch: processes and their descendants, a glob for programs, or all. */
struct advise_selection {
    const pid_t *pids;
    size_t count;
    const char *glob; /* NULL: none */
    bool all;
};

struct advise_process {
    pid_t pid;
    char *program;    /* own; basename of the executable, or the process's name */
    char *script;     /* own; basename of what an interpreter runs; NULL: it is none */
    bool cut;         /* `program` may be the beginning of a longer name */
    uint64_t network; /* its network namespace, as an inode; 0: not told */
    int refused;      /* errno with which its descriptors cannot be read; 0: they can */
    bool seen;        /* in the scan under way */
    bool ended;
    struct advise_process *next; /* of all ever found */
    UT_hash_handle handle;
};

struct advise_inode {
    uint64_t inode;
    struct advise_process *process;
    unsigned scan;
    UT_hash_handle handle;
};

/* Begins as {.selection = ...}; release with watched_free(). */
struct advise_watched {
    struct advise_selection selection;
    struct advise_process *first; /* all, those that ended too: sockets refer to them */
    struct advise_process *by_pid;
    struct advise_inode *by_inode;
    unsigned scans;
};

/* Look at /proc again. Returns 0, or -1 with errno when /proc cannot be read or memory ends. */
int watched_scan(struct advise_watched *watched);

/* Whose socket that is, or NULL. */
struct advise_process *watched_owner(const struct advise_watched *watched, uint64_t inode);

/* How many of the processes have not ended. */
size_t watched_running(const struct advise_watched *watched);

/* The basename of the script that an interpreter runs: its first argument that is not an option, as
 * in the criterion `script`. Returns NULL without a script. Borrowed.
 * Pure. */
const char *watched_script(const char *program, char *const *argv);

void watched_free(struct advise_watched *watched);

#endif
