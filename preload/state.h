/* SPDX-License-Identifier: MIT */
/*
 * What the constructor decided, for the hooks to read. It is written before the program's first
 * instruction and read-only afterwards (protect.h), so no hook needs a lock. Until then it is all
 * zero, and every hook passes through.
 */
#ifndef SOCKTUNE_STATE_H
#define SOCKTUNE_STATE_H

#include "defaults.h"

/* The rules for this program, and all that is derived from them. A hook uses one of these from its
 * begin to its end (live.h); its contents do not change meanwhile. */
struct rules_in_force {
    struct policy policy;
    struct active active;
    /* Union of the active rules' phases, and PHASE_FALLBACK (multipath.h). */
    unsigned phases;
    /* Roles of sockets that active rules report (enum role_bit). */
    unsigned reports;
    /* Options that a rule forces, bounds or ignores: indices into policy.options. */
    const uint16_t *guards;
    uint32_t guard_count;
    /* For `default` after socket(): from defaults_take(), or NULL if no rule needs it. */
    const struct default_value *defaults;
    /* How sockets are reported (report.h). NULL: no reports, and the program takes no new rules. */
    struct rules_report *report;
    uint64_t generation; /* as published (published.h); 0: the rules of the start */
};

struct state {
    /* The rules that the program started with. */
    struct rules_in_force rules;
    /* What a hook checks first: if it has nothing to do, it passes through. Normally these are the
     * values of `rules`. In a program that takes new rules while it runs, all bits are set, and
     * only the rules in force say what is to be done. */
    unsigned phases;
    unsigned reports;
    uint32_t guard_count;
    /* SOCKTUNE_TRACE: NULL, a path, or "stderr". */
    const char *trace;
    const char *program; /* basename, for messages */
};

extern struct state state;

#endif
