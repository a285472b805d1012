/* SPDX-License-Identifier: MIT */
/*
 * socktune trial: shows the results of trials, stops a trial, and adopts an arm.
 */
#include "commands.h"
#include "console.h"
#include "policy_file.h"
#include "print_diagnostic.h"
#include "query_client.h"
#include "rule_trial.h"
#include "trial_adopt.h"
#include "trial_report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATIENCE 10u /* seconds */

struct trial_arguments {
    const char *rules;
    const char *output;
    const char *trial;
    bool json;
};

/* Status and stop */

static int trial_status(const struct trial_arguments *arguments)
{
    char error[QUERY_ERROR_SIZE];
    json_t *answer = query_json("/v1/trials", PATIENCE, error);
    const json_t *trials = json_object_get(answer, "trials"), *trial;
    size_t i;
    if (answer == NULL)
        return command_failure("%s", error);
    if (arguments->json)
        return print_json(answer);
    if (json_array_size(trials) == 0)
        puts("No program that the helper knows of has a rule with a trial.");
    json_array_foreach(trials, i, trial)
    {
        if (i > 0)
            putchar('\n');
        trial_report_print(trial, stdout);
    }
    json_decref(answer);
    return EXIT_SUCCESS;
}

static bool ignore_part(void *unused, const char *part, size_t length)
{
    (void)unused, (void)part, (void)length;
    return true;
}

static int trial_stop(const char *name)
{
    struct query_target target;
    char error[QUERY_ERROR_SIZE];
    query_target_begin(&target, "/v1/trials/stop");
    query_target_add(&target, "name", name);
    if (target.too_long)
        return command_misuse("the name is too long");
    if (query_post(target.text, PATIENCE, ignore_part, NULL, error) != 0)
        return command_failure("%s", error);
    printf("The trial \"%s\" has ended. New connections are as in its first arm within a second; "
           "open ones keep what they have.\n",
           name);
    return EXIT_SUCCESS;
}

/* Adopt */

/* The rule of the arm, or NULL; `*several`: several trials have an arm of that name. */
static const struct rule *find_arm(const struct ruleset *ruleset, const char *trial,
                                   const char *arm, bool *several)
{
    const struct rule *found = NULL;
    *several = false;
    for (size_t i = 0; i < ruleset->rule_count; i++) {
        const struct rule *rule = &ruleset->rules[i];
        if (rule->trial == NULL || strcmp(rule->trial->arms[rule->trial_arm].name, arm) != 0 ||
            (trial != NULL && strcmp(rule->trial->name, trial) != 0))
            continue;
        *several |= found != NULL;
        found = rule;
    }
    return found;
}

/* Print each line of a part of the text with a sign in front. */
static void print_lines(const char *text, size_t from, size_t until, char sign, const char *tint)
{
    while (from < until) {
        size_t length = strcspn(text + from, "\n");
        printf("%s%c%.*s%s\n", tint, sign, (int)length, text + from, colour(stdout, COLOUR_NONE));
        from += length + 1;
    }
}

/* Print all lines that differ: they are contiguous. */
static void print_difference(const char *before, const char *after, unsigned line)
{
    size_t same = 0, from, before_end = strlen(before), after_end = strlen(after);
    while (before[same] != '\0' && before[same] == after[same])
        same++;
    while (before_end > same && after_end > same &&
           before[before_end - 1] == after[after_end - 1]) {
        before_end--;
        after_end--;
    }
    for (from = same; from > 0 && before[from - 1] != '\n';)
        from--;
    before_end += strcspn(before + before_end, "\n");
    after_end += strcspn(after + after_end, "\n");
    printf("@@ line %u @@\n", line);
    print_lines(before, from, before_end, '-', colour(stdout, COLOUR_RED));
    print_lines(after, from, after_end, '+', colour(stdout, COLOUR_GREEN));
}

/* The text with the arm in place of the trial, malloc()ed; NULL on failure. */
static char *adopted_text(const char *text, const struct rule *arm)
{
    struct text_span trial;
    char *statements, *whole = NULL;
    if (!trial_find_text(text, arm->trial->at.line, &trial))
        return NULL;
    statements = trial_arm_text(text, trial, arm->trial_arm, "\n    ");
    if (statements != NULL &&
        asprintf(&whole, "%.*s# adopted from the trial: %s\n    %s%s", (int)trial.begin, text,
                 arm->trial->arms[arm->trial_arm].name, statements, text + trial.end) < 0)
        whole = NULL;
    free(statements);
    return whole;
}

/* Write a new file; never overwrite one. */
static int write_new(const char *path, const char *text)
{
    FILE *to = fopen(path, "wxe");
    if (to == NULL)
        return command_failure("cannot write %s: %s%s", path, strerror(errno),
                               errno == EEXIST ? "; name another file with -o" : "");
    fputs(text, to);
    if ((ferror(to) | fclose(to)) == 0)
        return EXIT_SUCCESS;
    unlink(path);
    return command_failure("cannot write %s: %s", path, strerror(errno));
}

static int write_adopted(const struct rule *arm, const char *output)
{
    const char *from = arm->trial->at.file;
    size_t size;
    char *text = read_file(from, SIZE_MAX / 2, &size), *whole = NULL, *beside = NULL;
    char *terminated = text != NULL ? strndup(text, size) : NULL;
    int status = EXIT_FAILURE;
    if (terminated != NULL)
        whole = adopted_text(terminated, arm);
    if (whole == NULL || (output == NULL && asprintf(&beside, "%s.adopted", from) < 0)) {
        status = command_failure("cannot find the trial in the text of %s", from);
    } else {
        status = write_new(output != NULL ? output : beside, whole);
        if (status == EXIT_SUCCESS) {
            printf("--- %s\n+++ %s\n", from, output != NULL ? output : beside);
            print_difference(terminated, whole, arm->trial->at.line);
            printf("Nothing uses the new file yet: look at it, then put it in the place of %s.\n",
                   from);
        }
    }
    free(beside);
    free(whole);
    free(terminated);
    free(text);
    return status;
}

static int trial_adopt(const struct trial_arguments *arguments, const char *arm)
{
    struct diagnostics diagnostics = {.report = print_error, .context = stderr};
    struct loaded loaded;
    const struct rule *rule;
    bool several;
    int status;
    if (arguments->rules == NULL)
        return command_misuse("which rules? Name them with -c");
    if (load_rules(arguments->rules, NULL, &diagnostics, &loaded) != 0)
        return EXIT_FAILURE;
    rule =
        loaded.ruleset != NULL ? find_arm(loaded.ruleset, arguments->trial, arm, &several) : NULL;
    if (loaded.ruleset == NULL)
        status = command_failure("%s is a compiled policy: name its rule file", arguments->rules);
    else if (rule == NULL)
        status = command_failure("no trial in %s has an arm \"%s\"", arguments->rules, arm);
    else if (several)
        status = command_failure("several trials have an arm \"%s\": choose one with --trial", arm);
    else
        status = write_adopted(rule, arguments->output);
    loaded_free(&loaded);
    return status;
}

/* The command */

static int cmd_trial(int argc, char **argv)
{
    struct trial_arguments arguments = {.rules = NULL};
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    const char *action, *operand;
    if (first < 0)
        return status;
    action = first < argc ? argv[first] : "status";
    operand = first + 1 < argc ? argv[first + 1] : NULL;
    if (first + 2 < argc)
        return command_misuse("unexpected argument \"%s\"", argv[first + 2]);
    if (strcmp(action, "status") == 0 && operand == NULL)
        return trial_status(&arguments);
    if (strcmp(action, "stop") == 0)
        return operand != NULL ? trial_stop(operand) : command_misuse("expected: stop TRIAL");
    if (strcmp(action, "adopt") != 0)
        return command_misuse("expected status, stop TRIAL or adopt ARM");
    if (arguments.rules == NULL)
        arguments.rules = default_rules();
    return operand != NULL ? trial_adopt(&arguments, operand)
                           : command_misuse("expected: adopt ARM");
}

static const struct flag flags[] = {
    FLAG_RULES(struct trial_arguments, rules),
    {"trial", 't', FLAG_VALUE, offsetof(struct trial_arguments, trial), "NAME",
     "adopt: the trial, by the name of its rule, where several have such an arm", NULL, NULL},
    {"output", 'o', FLAG_VALUE, offsetof(struct trial_arguments, output), "FILE",
     "adopt: the new rule file [the old one's name with .adopted behind it]", "<file>", NULL},
    FLAG_JSON(struct trial_arguments, json),
    FLAGS_END,
};

const struct command trial_command = {
    .name = "trial",
    .summary = "show, stop and conclude trials",
    .synopsis = "[status] [--json]\nstop TRIAL\nadopt ARM [-c RULES] [--trial NAME] [-o FILE]",
    .details =
        "A rule with a trial gives its connections one of several sets of options; socktuned(8) "
        "compares how they went. `status` shows the arms, with the ratio of each to the first one "
        "and an interval that holds however often one looks.\n\n"
        "`stop` ends a trial: new connections are as in the first arm. `adopt` writes a rule file "
        "with the options of an arm in the place of the trial, beside the old file, and shows "
        "what differs; it overwrites nothing.",
    .flags = flags,
    .notes = "The exit status is 1 if the helper does not answer, or there is no such trial.",
    .run = cmd_trial,
};
