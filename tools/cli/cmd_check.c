/* SPDX-License-Identifier: MIT */
/*
 * socktune check: reads rules as the library does, and reports errors and warnings.
 */
#include "commands.h"
#include "console.h"
#include "front_end_limits.h"
#include "policy_file.h"
#include "print_diagnostic.h"

static void collect_diagnostic(void *context, enum severity severity, struct location at,
                               const char *message)
{
    json_array_append_new(context, json_pack("{s:o, s:i, s:s, s:o}", "file", json_text(at.file),
                                             "line", (int)at.line, "severity",
                                             severity == SEVERITY_ERROR ? "error" : "warning",
                                             "message", json_text(message)));
}

/* Returns the number of rules in the file; 0 after an error. */
static size_t check_one(const char *path, enum front_end by, struct diagnostics *diagnostics)
{
    struct check_context context = current_context();
    struct loaded loaded;
    size_t rules;
    if (load_rules(path, &context, diagnostics, &loaded) != 0)
        return 0;
    rules = loaded.policy.rule_count;
    diagnose_limits(&loaded.policy, by, diagnostics);
    loaded_free(&loaded);
    return rules;
}

static void print_check_summary(const struct diagnostics *found, size_t rules)
{
    const char *mark = colour(stdout, found->errors     ? COLOUR_RED
                                      : found->warnings ? COLOUR_YELLOW
                                                        : COLOUR_GREEN);
    printf("%s%u error%s, %u warning%s%s", mark, found->errors, plural(found->errors),
           found->warnings, plural(found->warnings), colour(stdout, COLOUR_NONE));
    if (!found->errors)
        printf(" in %zu rule%s", rules, plural(rules));
    putchar('\n');
}

struct check_arguments {
    const char *by;
    bool strict;
    bool json;
};

static int check_rule_files(const char *const *paths, int count, enum front_end by,
                            const struct check_arguments *arguments)
{
    json_t *findings = arguments->json ? json_array() : NULL;
    struct diagnostics diagnostics = {.report =
                                          findings != NULL ? collect_diagnostic : print_diagnostic,
                                      .show = findings != NULL ? NULL : print_place,
                                      .context = findings != NULL ? (void *)findings : stdout};
    size_t rules = 0;
    for (int i = 0; i < count; i++)
        rules += check_one(paths[i], by, &diagnostics);
    if (!arguments->json)
        print_check_summary(&diagnostics, rules);
    else if (print_json(json_pack("{s:o, s:i, s:i, s:I}", "findings", findings, "errors",
                                  (int)diagnostics.errors, "warnings", (int)diagnostics.warnings,
                                  "rules", (json_int_t)rules)) != 0)
        return 1;
    return diagnostics.errors != 0 || (arguments->strict && diagnostics.warnings != 0);
}

static int cmd_check(int argc, char **argv)
{
    struct check_arguments arguments = {.by = NULL};
    const char *usual = default_rules();
    enum front_end by;
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    status = read_front_end(arguments.by, &by);
    if (status)
        return status;
    if (first < argc)
        return check_rule_files((const char *const *)argv + first, argc - first, by, &arguments);
    if (usual == NULL)
        return command_failure("no rules: name a rule file or a directory, set SOCKTUNE_RULES, or "
                               "write /etc/socktune.conf");
    return check_rule_files(&usual, 1, by, &arguments);
}

static const struct flag flags[] = {
    FLAG_BY(struct check_arguments, by),
    {"strict", 0, FLAG_SWITCH, offsetof(struct check_arguments, strict), NULL,
     "fail if there is a warning", NULL, NULL},
    FLAG_JSON(struct check_arguments, json),
    FLAGS_END,
};

const struct command check_command = {
    .name = "check",
    .summary = "find errors in rules",
    .synopsis = "[--by WAY] [--strict] [--json] [RULES...]",
    .details =
        "RULES is a rule file, a directory of *.conf files, a compiled policy, or - for standard "
        "input. Without it, "
        "check the default rules: SOCKTUNE_RULES, /etc/socktune.d or /etc/socktune.conf. "
        "Each finding is printed as FILE:LINE: error: (or warning:) with what would be right.",
    .flags = flags,
    .notes = "The exit status is 1 if there is an error, or with --strict a warning; else 0. "
             "accept_risk = [ \"OPTION\" ] in a rule says that a dangerous value is meant: then "
             "there is no warning of it.",
    .operand = "<rules>",
    .run = cmd_check,
};
