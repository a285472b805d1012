/* SPDX-License-Identifier: MIT */
/*
 * Inside the checker: check.c looks at rules and at what all options share, check_option.c at what
 * is peculiar to single options.
 */
#ifndef SOCKTUNE_CHECK_H
#define SOCKTUNE_CHECK_H

#include "rules.h"

struct checker {
    const struct ruleset *ruleset;
    const struct check_context *context;
    struct diagnostics *diagnostics;
};

#define warn(checker, at, ...) diagnose((checker)->diagnostics, SEVERITY_WARNING, at, __VA_ARGS__)

/* What is peculiar to the setting's option. */
void check_option(const struct checker *checker, const struct rule *rule,
                  const struct setting *setting);

/* The setting of the rule that gives (not ignores) this option, by its own or a collective name;
 * NULL if there is none. */
const struct setting *find_setting(const struct rule *rule, int level, int optname);

/* The bytes of a file below the sysctl root, "net/core/rmem_max", as text without its last newline.
 * Empty when it cannot be read. */
void read_sysctl(const struct checker *checker, const char *name, char *text, size_t size);

#endif
