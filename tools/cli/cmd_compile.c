/* SPDX-License-Identifier: MIT */
/*
 * socktune compile: compiles rules to the policy that the preloaded library reads.
 */
#include "commands.h"
#include "policy_cache.h"
#include "print_diagnostic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_policy(const char *path, const struct loaded *loaded)
{
    int failed = strcmp(path, "-") == 0 ? write_all(STDOUT_FILENO, loaded->blob, loaded->size)
                                        : policy_keep(path, loaded->blob, loaded->size);
    return failed ? command_failure("cannot write %s: %s", path, strerror(errno)) : EXIT_SUCCESS;
}

static int compile_rules(const char *rules, const char *output)
{
    struct diagnostics diagnostics = {
        .report = print_diagnostic, .show = print_place, .context = stderr};
    struct check_context context = current_context();
    struct loaded loaded;
    char *beside = policy_beside(rules);
    int status;
    if (load_rules(rules, &context, &diagnostics, &loaded) != 0) {
        free(beside);
        return EXIT_FAILURE;
    }
    if (output == NULL && beside == NULL)
        status = command_failure("%s", strerror(errno));
    else if (loaded.ruleset == NULL)
        status = command_failure("%s is a compiled policy already", rules);
    else
        status = write_policy(output != NULL ? output : beside, &loaded);
    loaded_free(&loaded);
    free(beside);
    return status;
}

struct compile_arguments {
    const char *output;
};

static int cmd_compile(int argc, char **argv)
{
    struct compile_arguments arguments = {.output = NULL};
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (argc - first != 1)
        return command_misuse("expected one rule file or directory");
    if (rules_are_standard_input(argv[first]) && arguments.output == NULL)
        return command_misuse("where to write? Name it with -o");
    return compile_rules(argv[first], arguments.output);
}

static const struct flag flags[] = {
    {"output", 'o', FLAG_VALUE, offsetof(struct compile_arguments, output), "FILE",
     "where to write; - is standard output [RULES.policy]", "<file>", NULL},
    FLAGS_END,
};

const struct command compile_command = {
    .name = "compile",
    .summary = "make the policy that the library reads",
    .synopsis = "RULES [-o FILE]",
    .details = "RULES is a rule file, a directory of *.conf files, or - for standard input.",
    .flags = flags,
    .operand = "<rules>",
    .run = cmd_compile,
};
