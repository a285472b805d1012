/* SPDX-License-Identifier: MIT */
/*
 * Inside the parser: what its files share. Text and includes are gathered by parse_source.c,
 * libconfig makes a tree of them, and the tree becomes rules: parse.c (files and rules),
 * parse_match.c (criteria), parse_set.c (statements about options), parse_scalar.c (values).
 */
#ifndef SOCKTUNE_PARSE_H
#define SOCKTUNE_PARSE_H

#include "arena.h"
#include "rules.h"

#include <dirent.h>
#include <libconfig.h>
#include <sys/stat.h>

/* Bounds on what is handed to libconfig, whose own are those of memory and stack. */
enum {
    FILE_SIZE_MAX = 1 << 20,
    TEXT_SIZE_MAX = 4 << 20, /* with all includes */
    NESTING_MAX = 16,
    INCLUDE_DEPTH_MAX = 8
};

/* A scalar as it stands in the text: libconfig keeps neither its spelling nor, for elements of
 * lists, its exact line, and cuts off integers that are too large. */
struct token {
    size_t offset; /* in source.text */
    size_t length;
    struct location at;
    bool string;
};

/* A rule file with its includes put in. */
struct source {
    char *text;
    size_t length;
    size_t room;
    struct location *lines; /* where line N+1 of `text` comes from */
    size_t line_count;
    struct token *tokens;
    size_t token_count;
};

/* The criteria on programs that a file gives to its rules. */
struct file_defaults {
    struct pattern_list programs[PROGRAM_CRITERIA];
};

/* One reading; what must be released when memory ends half-way is kept here. */
struct reader {
    struct arena *arena;
    struct ruleset *ruleset;
    struct diagnostics *diagnostics;
    struct source source;
    struct file_defaults defaults; /* of the file being read */
    config_t config;
    bool config_open;
    int fd; /* -1: none */
    DIR *directory;
};

/*
 * Gather a file, or a text under a name. A text can include nothing: it stands in no directory.
 * Return false after an error.
 */
bool source_read_file(struct reader *reader, const char *path);
bool source_read_text(struct reader *reader, const char *text, const char *name);

/* Tie the tree's scalars to their tokens. */
void source_attach(struct reader *reader, config_setting_t *root);

/* Where line `line` of the gathered text comes from. */
struct location source_line(const struct source *source, unsigned line);

/* Report a syntax error in the gathered text, with the line and the place in it: the mistake that
 * syntax_fault.h finds, if it is not behind `at`, else `otherwise` at `at`. */
void parse_syntax_error(struct reader *reader, struct location at, const char *otherwise);

/* Note a file or directory that the ruleset depends on. */
void source_record(struct reader *reader, const char *path, const struct stat *status,
                   uint64_t hash);

/* Where a setting stands: its name, or its value when it is an element. */
struct location setting_at(const struct reader *reader, const config_setting_t *setting);

/* Read the gathered text as rules. */
void parse_source(struct reader *reader);

/* Errors of the parser, at a setting. */
#define parse_error(reader, setting, ...)                                                          \
    diagnose((reader)->diagnostics, SEVERITY_ERROR, setting_at(reader, setting), __VA_ARGS__)

/* Report a name that does not exist where it stands: where it belongs, what it is called here,
 * which of `words` (ended by NULL) is near, or all of them. `kind`: "criterion", "option". */
void parse_unknown(struct reader *reader, const config_setting_t *setting, const char *kind,
                   const char *word, const char *const *words);

/* The same for a name that is right at another place only, as the setting's own or as its value.
 * False if it is none. */
bool parse_misplaced(struct reader *reader, const config_setting_t *setting, const char *word);

/* The same for a name that people know from elsewhere, or that is left to programs. False if it is
 * none. `words` NULL: an option is asked for. */
bool parse_familiar(struct reader *reader, const config_setting_t *setting, const char *kind,
                    const char *word, const char *const *words);

/* True if `name` is a setting of a rule. */
bool is_rule_keyword(const char *name);

/* What a setting holds, for messages: "a list", "a string". */
const char *type_name(const config_setting_t *setting);

/* The value of a scalar and its spelling (a string's without quotes). False after an error. */
bool parse_scalar(struct reader *reader, const config_setting_t *setting, struct scalar *scalar,
                  const char **text);

/* true or false. */
void parse_bool(struct reader *reader, const config_setting_t *setting, bool *value);

/* A string that lives as long as the ruleset; NULL after an error. */
const char *parse_string(struct reader *reader, const config_setting_t *setting, const char *what);

/* The values of a setting that takes one, an array or a list: how many, and each. */
unsigned value_count(const config_setting_t *setting);
const config_setting_t *value_at(const config_setting_t *setting, unsigned index);

/* One criterion on programs into its list. */
bool parse_program_criterion(struct reader *reader, const config_setting_t *setting,
                             struct file_defaults *into);

/* The group `match`. */
void parse_match(struct reader *reader, const config_setting_t *group, struct rule *rule);

/* True if `name` is a criterion, so that it can be told where it belongs. */
bool is_criterion(const char *name);

/* Report a list of names that is empty. */
void parse_want_names(struct reader *reader, const config_setting_t *names, const char *what);

/* Report that there is no option of that name. */
void parse_no_option(struct reader *reader, const config_setting_t *at, const char *name);

/* The group `set`, `default` or `force`; and the names in `ignore`. */
void parse_settings(struct reader *reader, const config_setting_t *group, enum action_mode mode,
                    struct rule *rule);
void parse_ignore(struct reader *reader, const config_setting_t *names, struct rule *rule);

/* The group `trial`, after all else of its rule, which is the last one of the ruleset: its arms
 * take the place of the rule. */
void parse_trial(struct reader *reader, const config_setting_t *group, const struct rule *rule);

/* Report the first option of an arm that a trial cannot compare. */
void trial_refuse_options(struct diagnostics *diagnostics, const struct rule *arm);

#endif
