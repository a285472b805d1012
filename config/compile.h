/* SPDX-License-Identifier: MIT */
/*
 * The compiler: from a ruleset to a policy (preload/engine/policy.h). Here it is decided at which
 * phases each option is set; the preloaded object only carries that out.
 */
#ifndef SOCKTUNE_COMPILE_H
#define SOCKTUNE_COMPILE_H

#include "rules.h"

/*
 * Compile an error-free ruleset. Stores a malloc()ed blob, aligned to 8, in `blob` and its bytes in
 * `size`; the caller frees it. Returns 0, or -1 with a diagnostic when a limit of the format is
 * passed, or a source vanished meanwhile.
 */
int policy_compile(const struct ruleset *ruleset, struct diagnostics *diagnostics, void **blob,
                   size_t *size);

/*
 * A policy that records why `ruleset` could not be compiled. Its rules are those of the last good
 * policy, `good`, or none where that is NULL; its sources are those of `ruleset`, so that it is
 * fresh until one of them changes. `failure` is one line. Otherwise as policy_compile().
 */
int policy_compile_failure(const struct ruleset *ruleset, const struct policy *good,
                           const char *failure, struct diagnostics *diagnostics, void **blob,
                           size_t *size);

/*
 * The phases (PHASE_BIT()s) at which an option is set. Pure; the heart of the compiler.
 * `criteria` says what must be known before the rule can be decided; `roles` is what the rule
 * accepts. 0: the option can never be set for such sockets.
 */
enum criteria_bit {
    CRITERIA_ROLE = 1,
    CRITERIA_LOCAL_ADDRESS = 2,
    CRITERIA_LOCAL_PORT = 4,
    CRITERIA_REMOTE = 8,
    CRITERIA_REQUIRE = 16 /* no criterion, but it asks for calls that can fail: the rule's options
                             are given at bind(), connect() and listen() */
};
unsigned option_phases(const struct option *option, unsigned roles, unsigned criteria);

/*
 * What must be known before rule `index` can be decided: its own criteria, and those of the final
 * rules before it that may take its sockets away. Linear in the number of rules.
 */
unsigned rule_criteria(const struct ruleset *ruleset, size_t index);

/* The phases at which a target of a rule with these criteria is set; 0 for MODE_IGNORE. */
unsigned target_phases(const struct rule *rule, unsigned criteria, const struct setting *setting,
                       const struct setting_target *target);

/*
 * Sockets among those of a rule that want a target at phases of their own, for AF_UNIX inherits
 * nothing, and a listener must not get what its accepted sockets are to have. Returns how many.
 */
struct target_part {
    uint8_t families;   /* enum family_bit */
    uint16_t protocols; /* enum protocol_bit */
    unsigned phases;    /* as of target_phases() */
};
enum { TARGET_PARTS_MAX = 4 };
size_t target_parts(const struct rule *rule, unsigned criteria, const struct setting *setting,
                    const struct setting_target *target,
                    struct target_part parts[TARGET_PARTS_MAX]);

#endif
