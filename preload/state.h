/* SPDX-License-Identifier: MIT */
/*
 * What the constructor decided, for the hooks to read. Written before the program's first
 * instruction and read-only afterwards (protect.h), so that no hook needs a lock; all zero until
 * then, in which state every hook is a pass-through.
 */
#ifndef SOCKTUNE_STATE_H
#define SOCKTUNE_STATE_H

#include "defaults.h"

struct state {
    struct policy policy;
    struct active active;
    /* Union of the active rules' phases: a hook with none of its phases here passes through. */
    unsigned phases;
    /* Roles of sockets that active rules want reported (enum role_bit). */
    unsigned reports;
    /* Options that a force or ignore is about: indices into policy.options. */
    const uint16_t *guards;
    uint32_t guard_count;
    /* For `default` after socket(): defaults_take(), or NULL where no rule asks. */
    const struct default_value *defaults;
    /* SOCKTUNE_TRACE: NULL, or a path, or "stderr". */
    const char *trace;
    const char *program; /* basename, for messages */
};

extern struct state state;

#endif
