/* SPDX-License-Identifier: MIT */
/*
 * socktune compile: from rules to the policy that the preloaded library reads.
 *
 * With --preload it is the library that calls, from the constructor of some program: the policy
 * goes to standard output, standard error is that program's own and gets one line at most, and
 * there is no environment.
 */
#include "commands.h"
#include "flags.h"
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

int cmd_compile(int argc, char **argv)
{
    const char *output = NULL;
    bool preload = false;
    const struct flag flags[] = {{"output", 'o', FLAG_VALUE, &output},
                                 {"preload", 0, FLAG_SWITCH, &preload},
                                 {NULL, 0, FLAG_SWITCH, NULL}};
    int status;
    int first = parse_flags(argc, argv, flags, OPERANDS_ANYWHERE, &status);

    if (first < 0)
        return status;
    if (argc - first != 1)
        return command_misuse("expected one rule file or directory");
    if (preload && output)
        return command_misuse("--preload writes to standard output; leave out -o");
    return preload ? compile_for_preload(argv[first]) : compile(argv[first], output);
}
