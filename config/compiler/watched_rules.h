/* SPDX-License-Identifier: MIT */
/*
 * Rules at a path that may change: when they are to be compiled again, and the last policy.
 *
 * The files are looked at several times a second, not by inotify(7): that works on each file
 * system, and through symbolic links anywhere in the path. A change counts once two looks in
 * succession see the same, so that a half-written file is not compiled.
 */
#ifndef SOCKTUNE_COMPILER_WATCHED_RULES_H
#define SOCKTUNE_COMPILER_WATCHED_RULES_H

#include "policy_file.h"
#include "rule_watch.h"

struct watched_rules {
    char *path;   /* absolute */
    void *policy; /* the last good one, a policy file; NULL: there was none */
    size_t size;
    char failure[RULE_WATCH_TEXT]; /* why the rules as they are cannot be compiled; "": they can */
    /* Private. */
    char **sources; /* the files and directories that the rules were read from */
    size_t source_count;
    uint64_t compiled; /* the state of the sources that was compiled; 0: they may have changed
                          while they were read */
    uint64_t pending;  /* another state, seen at the last look; 0: none */
    unsigned waited;   /* looks since it was not `compiled` any more */
};

/* Read and compile the rules. Returns 0, or -1 without memory. */
int watched_rules_start(struct watched_rules *rules, const char *path);

/*
 * Look whether they have changed, and compile them if so. `now`: do not wait until the writer has
 * ended. Returns true if they were compiled: there is a new policy, or a new failure.
 */
bool watched_rules_look(struct watched_rules *rules, bool now);

/* A change was seen that is not compiled yet. */
bool watched_rules_are_changing(const struct watched_rules *rules);

void watched_rules_end(struct watched_rules *rules);

#endif
