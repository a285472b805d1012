/* SPDX-License-Identifier: MIT */
/*
 * socktune-compile RULES: the rule compiler that the preloaded library starts, from the constructor
 * of some program.
 *
 * It writes the policy to standard output and keeps it in the user's cache. Rules with an error
 * give one line on standard error, and the last good policy with the failure recorded in it, so
 * that the next program neither compiles again nor loses its rules. Exit status: 0 with a policy,
 * 78 without (EX_CONFIG).
 *
 * socktune-compile --watch is the rule watcher of socktuned (rule_watch.h).
 *
 * It is a program of its own because it must start fast and do nothing else: config/ and libconfig
 * are all that it links.
 */
#include "policy_cache.h"
#include "watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXIT_RULES 78

struct first_error {
    char text[512];
};

static void note_first_error(void *context, enum severity severity, struct location at,
                             const char *message)
{
    struct first_error *error = context;
    if (severity != SEVERITY_ERROR || error->text[0] != '\0')
        return;
    if (at.line != 0)
        snprintf(error->text, sizeof error->text, "%s:%u: error: %s", at.file, at.line, message);
    else
        snprintf(error->text, sizeof error->text, "%s: error: %s", at.file, message);
}

static int hand_over(const char *rules, const void *blob, size_t size)
{
    (void)policy_cache_keep(rules, blob, size);
    if (write_all(STDOUT_FILENO, blob, size) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "socktune: cannot hand over the policy: %s\n", strerror(errno));
    return EXIT_RULES;
}

/* The rules are broken: keep the last good ones, and why. */
static int hand_over_last_good(const char *rules, const struct ruleset *ruleset, const char *error)
{
    struct diagnostics diagnostics = {.report = NULL};
    struct loaded last;
    bool found = policy_cache_last(rules, &last);
    bool has_rules = found && last.policy.rule_count != 0;
    void *blob;
    size_t size;
    int status = EXIT_RULES;
    fprintf(stderr, "socktune: %s%s\n", error,
            has_rules ? "; the last good rules stay in force" : "");
    if (ruleset != NULL && policy_compile_failure(ruleset, found ? &last.policy : NULL, error,
                                                  &diagnostics, &blob, &size) == 0) {
        status = hand_over(rules, blob, size);
        free(blob);
    }
    if (found)
        loaded_free(&last);
    return status;
}

static int compile_rules(const char *rules)
{
    struct first_error error = {.text = ""};
    struct diagnostics diagnostics = {.report = note_first_error, .context = &error};
    struct loaded loaded;
    int status;
    if (load_rules_partly(rules, NULL, &diagnostics, &loaded) == 0)
        status = hand_over(rules, loaded.blob, loaded.size);
    else
        status = hand_over_last_good(rules, loaded.ruleset, error.text);
    loaded_free(&loaded);
    return status;
}

int main(int argc, char **argv)
{
    char *rules;
    int status;
    if (argc != 2) {
        fputs("Usage: socktune-compile RULES\n"
              "The rule compiler that libsocktune.so starts. People use `socktune compile`.\n"
              "socktuned starts it with --watch.\n",
              stderr);
        return 2;
    }
    if (strcmp(argv[1], "--watch") == 0)
        return watch_rules(STDIN_FILENO);
    rules = absolute_path(argv[1]);
    status = rules != NULL ? compile_rules(rules) : EXIT_RULES;
    free(rules);
    return status;
}
