/* SPDX-License-Identifier: MIT */
/*
 * socktune compile: from rules to the policy that the preloaded library reads.
 *
 * With --preload it is the library that calls, from the constructor of some program: the policy
 * goes to standard output, standard error is that program's own and gets one line at most, and
 * there is no environment.
 */
#include "commands.h"
#include "policy_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Tells the first error only. */
static void print_first_error(void *context, enum severity severity, struct location at,
                              const char *message)
{
    bool *told = context;

    if (severity != SEVERITY_ERROR || *told)
        return;
    *told = true;
    if (at.line)
        fprintf(stderr, "socktune: %s:%u: error: %s\n", at.file, at.line, message);
    else
        fprintf(stderr, "socktune: %s: error: %s\n", at.file, message);
}

/* The copy beside the rules only saves the next program this compilation: where it cannot be
 * written (a program that runs as a user who may not), nothing is lost. */
static int compile_for_preload(const char *rules)
{
    bool told = false;
    struct diagnostics diagnostics = {.report = print_first_error, .context = &told};
    struct loaded loaded;
    char *copy;
    int failed;

    if (load_rules(rules, NULL, &diagnostics, &loaded) != 0)
        return EXIT_RULES;
    copy = policy_beside(rules);
    if (copy && loaded.ruleset)
        (void)policy_keep(copy, &loaded);
    free(copy);
    failed = write_all(STDOUT_FILENO, loaded.blob, loaded.size);
    if (failed)
        fprintf(stderr, "socktune: cannot hand over the policy: %s\n", strerror(errno));
    loaded_free(&loaded);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int write_policy(const char *path, const struct loaded *loaded)
{
    int failed = strcmp(path, "-") == 0 ? write_all(STDOUT_FILENO, loaded->blob, loaded->size)
                                        : policy_keep(path, loaded);

    return failed ? command_failure("cannot write %s: %s", path, strerror(errno)) : EXIT_SUCCESS;
}

static int compile(const char *rules, const char *output)
{
    struct diagnostics diagnostics = {.report = print_diagnostic, .context = stderr};
    struct check_context context = current_context();
    struct loaded loaded;
    char *beside = policy_beside(rules);
    int status;

    if (load_rules(rules, &context, &diagnostics, &loaded) != 0) {
        free(beside);
        return EXIT_FAILURE;
    }
    if (!output && !beside)
        status = command_failure("%s", strerror(errno));
    else if (!loaded.ruleset)
        status = command_failure("%s is a compiled policy already", rules);
    else
        status = write_policy(output ? output : beside, &loaded);
    loaded_free(&loaded);
    free(beside);
    return status;
}

struct compile_arguments {
    const char *output;
    bool preload;
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
    if (arguments.preload && arguments.output != NULL)
        return command_misuse("--preload writes to standard output; leave out -o");
    return arguments.preload ? compile_for_preload(argv[first])
                             : compile(argv[first], arguments.output);
}

static const struct flag flags[] = {
    {"output", 'o', FLAG_VALUE, offsetof(struct compile_arguments, output), "FILE",
     "where to write; - is standard output [RULES.policy]", "<file>", NULL},
    {"preload", 0, FLAG_SWITCH, offsetof(struct compile_arguments, preload), NULL,
     "as the library calls it: write to standard output, keep a copy as RULES.policy where that "
     "can "
     "be written, and report only the first error, on one line, with exit status 78",
     NULL, NULL},
    FLAGS_END,
};

const struct command compile_command = {
    .name = "compile",
    .summary = "make the policy that the library reads",
    .synopsis = "RULES [-o FILE]\n--preload RULES",
    .details = "RULES is a rule file or a directory of *.conf files.",
    .flags = flags,
    .operand = "<rules>",
    .run = cmd_compile,
};
