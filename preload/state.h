/* SPDX-License-Identifier: MIT */
/*
 * What the constructor decided, for the hooks to read. Written before the program's first
 * instruction and read-only afterwards (protect.h), so that no hook needs a lock; all zero until
 * then, in which state every hook is a pass-through.
 */
#ifndef SOCKTUNE_STATE_H
#define SOCKTUNE_STATE_H

#include "defaults.h"

/* The rules for this program, and all that follows from them. A hook uses one of these from its
 * begin to its end (live.h); nothing in it changes meanwhile. */
struct rules_in_force {
    struct policy policy;
    struct active active;
    /* Union of the active rules' phases, and PHASE_FALLBACK (multipath.h). */
    unsigned phases;
    /* Roles of sockets that active rules want reported (enum role_bit). */
    unsigned reports;
    /* Options that a force or ignore is about: indices into policy.options. */
    const uint16_t *guards;
    uint32_t guard_count;
    /* For `default` after socket(): defaults_take(), or NULL where no rule asks. */
    const struct default_value *defaults;
    /* How they are reported (report.h). NULL: they are not, and the program keeps its rules. */
    struct rules_report *report;
    uint64_t generation; /* as published (published.h); 0: those of the start */
};

struct state {
    /* Those that the program started with. */
    struct rules_in_force rules;
    /* What a hook asks first: if it has nothing to do by these, it passes through. They are those
     * of `rules`. In a program that takes new rules while it runs, they are all set, and what is
     * to be done stands in the rules in force alone. */
    unsigned phases;
    unsigned reports;
    uint32_t guard_count;
    /* SOCKTUNE_TRACE: NULL, or a path, or "stderr". */
    const char *trace;
    const char *program; /* basename, for messages */
};

extern struct state state;

#endif
