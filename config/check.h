/* SPDX-License-Identifier: MIT */
/*
 * Inside the checker: check.c looks at rules and at what all options share, check_option.c at what
 * is peculiar to single options, check_never.c and check_program.c at what never matches,
 * check_hazards.c at what does harm, check_raw.c at raw options, check_trial.c at trials.
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

/* Warn of a danger that the rule may accept by the name of the option: accept_risk. */
#define warn_risk(checker, rule, name, at, ...)                                                    \
    do {                                                                                           \
        if (!accepts_risk(rule, name))                                                             \
            warn(checker, at, __VA_ARGS__);                                                        \
    } while (0)
bool accepts_risk(const struct rule *rule, const char *name);

/* Names in accept_risk that the rule has nothing for, or no danger. */
void check_accepted(const struct checker *checker, const struct rule *rule);

/* A copy of the ruleset in which raw options stand under their names, as far as their numbers are
 * known and their bytes are a value; the caller frees it. NULL when memory ends. */
struct ruleset *check_name_raw(const struct ruleset *ruleset);

/* A raw option, named by check_name_raw() or not. */
void check_raw(const struct checker *checker, const struct rule *rule,
               const struct setting *setting);

/* The files of the ruleset as a whole. */
void check_files(const struct checker *checker);

/* What no socket matches; check_programs() is its part about the criteria on programs. */
void check_never(const struct checker *checker, const struct rule *rule);
void check_programs(const struct checker *checker, const struct rule *rule);

/* A rule that names no program, by whatever criterion, and no address or port. */
void check_every_program(const struct checker *checker, const struct rule *rule);

/* A value that does harm; an option that some programs read back. */
bool is_harmful(const struct rule *rule, const struct setting *setting);
void check_hazards(const struct checker *checker, const struct rule *rule,
                   const struct setting *setting);
void check_read_back(const struct checker *checker, const struct rule *rule,
                     const struct setting *setting);

/* An option that programs need and the rule ignores. */
void check_ignored(const struct checker *checker, const struct rule *rule,
                   const struct setting *setting);

/* What is peculiar to the setting's option. */
void check_option(const struct checker *checker, const struct rule *rule,
                  const struct setting *setting);

/* True if check_option() may say something of this option. */
bool has_option_check(const struct option *option);

/* Warn about a trial that cannot be decided. */
void check_trial(const struct checker *checker, const struct trial *trial);

/* The setting of the rule that gives (not ignores) this option, by its own or a collective name;
 * NULL if there is none. */
const struct setting *find_setting(const struct rule *rule, int level, int optname);

/* The roles that the writer had in mind: those written, or those of the protocols written; 0 if
 * neither is. */
unsigned meant_roles(const struct rule *rule);

/* The rule asks about the peer. */
bool has_remote(const struct rule *rule);

/* The list includes something, and not only excludes. */
bool includes_pattern(const struct pattern_list *list);

/* The rule is for programs, scripts, users ... that it names. */
bool names_program(const struct rule *rule);

/* `word` is one of `words`, which are separated by blanks. */
bool has_word(const char *words, const char *word);

/* The bytes of a file below the sysctl root, "net/core/rmem_max", as text without its last newline.
 * Empty when it cannot be read. */
void read_sysctl(const struct checker *checker, const char *name, char *text, size_t size);

/* True if there is such a file or directory below the sysctl root. */
bool has_sysctl(const struct checker *checker, const char *directory, const char *name);

#endif
