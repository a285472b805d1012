/* SPDX-License-Identifier: MIT */
/*
 * socktune attach: applies rules to all programs of a cgroup, by BPF.
 *
 * Theory of operation: each setting of the rules is first tried on a socket of the command itself.
 * Settings that this kernel refuses are left out, with a warning; criteria that BPF cannot see are
 * errors.
 */
#include "attach.h"
#include "attach_support.h"
#include "cgroup_flags.h"
#include "commands.h"
#include "console.h"
#include "option.h"
#include "policy_file.h"
#include "print_diagnostic.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct attach_arguments {
    const char *rules;
    struct cgroup_choice where;
    bool pin, status, probe, report, json;
};

/* Attaching */

/* Wait for a signal. A helper that starts meanwhile gets the reports. Returns false if the cgroup
 * was removed. */
static bool wait_for_the_end(const sigset_t *signals, struct attachment *attachment)
{
    const struct timespec second = {1, 0};
    while (sigtimedwait(signals, NULL, &second) < 0) {
        if (!attach_is_in_force(attachment))
            return false;
        attach_pass_reports(attachment);
    }
    return true;
}

static int run_attached(const struct attach_arguments *arguments,
                        const struct attach_tables *tables, const struct attach_cgroup *cgroup)
{
    char *path = absolute_path(arguments->rules);
    const struct attach_request request = {.tables = tables,
                                           .cgroup = cgroup,
                                           .rules = path != NULL ? path : arguments->rules,
                                           .pin = arguments->pin};
    struct attach_error error;
    int status = 0;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    struct attachment *attachment = attach_rules(&request, &error);
    free(path);
    if (attachment == NULL)
        return command_failure("%s", error.text);
    if (error.text[0] != '\0')
        command_failure("open sockets were left as they are: %s", error.text);
    printf("attached %u rule%s to the cgroup ", tables->rule_count, plural(tables->rule_count));
    print_escaped(stdout, cgroup->path);
    puts(arguments->pin ? "; `socktune detach` removes them" : "");
    fflush(stdout);
    if (!arguments->pin && !wait_for_the_end(&signals, attachment))
        status =
            command_failure("the cgroup %s was removed, so the rules have ended", cgroup->path);
    attach_release(attachment);
    return status;
}

static int flatten_rules(const struct policy *policy, struct attach_tables *tables)
{
    struct diagnostics diagnostics = {.report = print_diagnostic, .context = stderr};
    struct attach_result *results = calloc(policy->action_count + 1u, sizeof *results);
    struct attach_error error;
    int status = 0;
    if (results == NULL)
        return command_failure("%s", strerror(errno));
    if (attach_try_policy(policy, results, &error) != 0)
        status = command_failure("%s", error.text);
    else if (attach_flatten(policy, results, &diagnostics, tables) != 0)
        status = EXIT_RULES;
    else if (tables->action_count == 0 && !tables->needs.report)
        status = command_failure("nothing in these rules can be given by attach");
    free(results);
    return status;
}

static int attach_as_asked(const struct attach_arguments *arguments)
{
    struct diagnostics diagnostics = {.report = print_error, .context = stderr};
    struct attach_tables tables = {.rules = NULL};
    struct attach_cgroup cgroup;
    struct loaded loaded;
    int status = cgroup_choose(&arguments->where, &cgroup);
    if (status != 0)
        return status;
    if (load_rules(arguments->rules, NULL, &diagnostics, &loaded) != 0)
        return EXIT_RULES;
    status = flatten_rules(&loaded.policy, &tables);
    if (status == 0)
        status = run_attached(arguments, &tables, &cgroup);
    attach_tables_free(&tables);
    loaded_free(&loaded);
    return status;
}

/* --status */

static void print_state(const struct attach_state *state)
{
    char since[32];
    time_t time = (time_t)state->about.since;
    struct tm broken;
    localtime_r(&time, &broken);
    strftime(since, sizeof since, "%F %T", &broken);
    fputs(colour(stdout, COLOUR_BOLD), stdout);
    print_escaped(stdout, state->about.cgroup);
    printf("%s  %u rule%s from ", colour(stdout, COLOUR_NONE), state->about.rule_count,
           plural(state->about.rule_count));
    print_escaped(stdout, state->about.rules);
    printf(", since %s%s\n", since, state->pinned ? ", pinned" : "");
    printf("  %llu options set, %llu refused by the kernel; programs:",
           (unsigned long long)state->given, (unsigned long long)state->failed);
    for (uint32_t i = 0; i < state->program_count; i++) {
        putchar(' ');
        print_escaped(stdout, state->programs[i]);
    }
    putchar('\n');
}

static json_t *json_state(const struct attach_state *state)
{
    json_t *programs = json_array();
    for (uint32_t i = 0; i < state->program_count; i++)
        json_array_append_new(programs, json_text(state->programs[i]));
    return json_pack("{s:o, s:I, s:o, s:i, s:I, s:b, s:I, s:I, s:o}", "cgroup",
                     json_text(state->about.cgroup), "cgroup_id", (json_int_t)state->cgroup_id,
                     "rules", json_text(state->about.rules), "rule_count",
                     (int)state->about.rule_count, "since", (json_int_t)state->about.since,
                     "pinned", state->pinned, "given", (json_int_t)state->given, "failed",
                     (json_int_t)state->failed, "programs", programs);
}

static int print_status(bool json)
{
    struct attach_state *states;
    struct attach_error error;
    size_t count;
    int status = 0;
    if (attach_list(&states, &count, &error) != 0) {
        free(states);
        return command_failure("%s", error.text);
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json)
            json_array_append_new(list, json_state(&states[i]));
        else
            print_state(&states[i]);
    }
    if (json)
        status = print_json(json_pack("{s:O}", "attached", list));
    else if (count == 0)
        puts("no rules are attached");
    json_decref(list);
    free(states);
    return status;
}

/* --probe */

static json_t *print_probed(const struct option *option, const struct attach_support *support,
                            bool json)
{
    if (json)
        return json_pack("{s:s, s:b, s:b}", "option", option->name, "inet", support->v4, "inet6",
                         support->v6);
    printf("%-26s  %s\n", option->name, attach_support_text(support));
    return NULL;
}

static int probe_options(bool json)
{
    size_t count;
    const struct option *table = option_table(&count);
    struct attach_error error;
    struct attach_support *supports = attach_support_probe(&error);
    json_t *list;
    int status = 0;
    if (supports == NULL)
        return command_failure("%s", error.text);
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (!supports[i].known)
            continue;
        json_t *row = print_probed(&table[i], &supports[i], json);
        if (row != NULL)
            json_array_append_new(list, row);
    }
    if (json)
        status = print_json(json_pack("{s:O}", "options", list));
    json_decref(list);
    free(supports);
    return status;
}

/* --report */

static int pass_pinned(void)
{
    struct attach_error error;
    int passed = attach_pass_pinned(&error);
    if (passed < 0)
        return command_failure("%s", error.text);
    printf("passed the reports of %d attachment%s to the helper\n", passed, passed == 1 ? "" : "s");
    return 0;
}

/* The command */

static int cmd_attach(int argc, char **argv)
{
    struct attach_arguments arguments = {.rules = NULL};
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (first < argc)
        return command_misuse("unexpected \"%s\"", argv[first]);
    int questions = arguments.status + arguments.probe + arguments.report;
    bool more = arguments.pin || arguments.rules != NULL || arguments.where.cgroup != NULL ||
                arguments.where.unit != NULL || arguments.where.all;
    if (questions > 1 || (questions > 0 && more))
        return command_misuse("--status, --probe and --report are for the whole machine; the first "
                              "two take --json alone");
    if (arguments.report && !arguments.json)
        return pass_pinned();
    if (arguments.status)
        return print_status(arguments.json);
    if (arguments.probe)
        return probe_options(arguments.json);
    if (arguments.json)
        return command_misuse("--json goes with --status or --probe");
    if (arguments.rules == NULL)
        arguments.rules = default_rules();
    if (arguments.rules == NULL)
        return command_misuse("which rules? Name them with -c");
    return attach_as_asked(&arguments);
}

static const struct flag flags[] = {
    FLAG_RULES(struct attach_arguments, rules),
    FLAGS_CGROUP(struct attach_arguments, where),
    {"pin", 'p', FLAG_SWITCH, offsetof(struct attach_arguments, pin), NULL,
     "end at once and leave the rules attached", NULL, NULL},
    {"status", 's', FLAG_SWITCH, offsetof(struct attach_arguments, status), NULL,
     "list what is attached", NULL, NULL},
    {"probe", 0, FLAG_SWITCH, offsetof(struct attach_arguments, probe), NULL,
     "list which options this kernel lets BPF set", NULL, NULL},
    {"report", 0, FLAG_SWITCH, offsetof(struct attach_arguments, report), NULL,
     "pass the reports of pinned rules to the helper", NULL, NULL},
    FLAG_JSON(struct attach_arguments, json),
    FLAGS_END,
};

const struct command attach_command = {
    .name = "attach",
    .summary = "apply rules to a cgroup's programs, by BPF",
    .synopsis = "[-c RULES] (--cgroup PATH | --unit NAME | --all) [--pin]\n--status [--json]\n"
                "--probe [--json]\n--report",
    .details =
        "Reaches every program of the cgroup and of those below it: static and Go programs, "
        "containers, io_uring, and sockets that are open already. Nothing is loaded into the "
        "programs. Without --pin, the rules hold until the command ends. Needs root, or CAP_BPF, "
        "CAP_PERFMON, CAP_NET_ADMIN and CAP_SYS_ADMIN.",
    .flags = flags,
    .notes =
        "The exit status is 1 if the rules cannot be attached, and 78 if they are wrong or ask "
        "what BPF cannot see.",
    .run = cmd_attach,
};
