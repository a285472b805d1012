/* SPDX-License-Identifier: MIT */
/*
 * socktune advise: watches the sockets of programs and says which rules would help, and why.
 */
#include "advise_reported.h"
#include "commands.h"
#include "console.h"
#include "flow.h"
#include "names.h"
#include "policy_file.h"
#include "process_list.h"
#include "rule_file.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECONDS_USUAL "10"
#define SECONDS_MOST  86400.0
#define IDLE_USUAL    "60"

struct advise_arguments {
    bool all, json, from_helper;
    const char *glob, *seconds, *idle, *output;
};

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* Progress */

static void show_progress(void *context, const struct advise_progress *progress)
{
    (void)context;
    fprintf(stderr, "\r\033[Kwatching %zu socket%s of %zu process%s, %.0f s left",
            progress->sockets, plural(progress->sockets), progress->processes,
            progress->processes == 1 ? "" : "es", fmax(0, progress->seconds - progress->elapsed));
    fflush(stderr);
}

/* The table for people */

static void print_advice(FILE *to, const struct advise_advice *advice)
{
    const struct advise_finding *finding = &advice->finding;
    const struct advise_verdict *verdict = &advise_verdicts[finding->verdict];
    char scope[64], sockets[32];
    advice_scope(finding, scope, sizeof scope);
    snprintf(sockets, sizeof sockets, "%u of %u", finding->cell.sockets, finding->of);
    fprintf(to, "%s%-28s  %-9s  %-18s%s  %s\n", colour(to, COLOUR_BOLD), advice->who, sockets,
            verdict->name, colour(to, COLOUR_NONE), advice->figure);
    fprintf(to, "    %s: %s\n", scope, verdict->advice);
    if (advice->proposal.rule[0] != '\0')
        fprintf(to, "    rule %s\n", finding->id);
    else
        fprintf(to, "    no rule: %s\n", advice->proposal.reason);
}

/* "nagle, stuck" */
static void list_skipped(const struct advise_watch *watch, char *text, size_t size)
{
    size_t length = 0;
    *text = '\0';
    for (unsigned id = 0; id < VERDICT_COUNT; id++)
        if ((watch->groups.skipped >> id & 1) != 0 && length < size)
            length += (size_t)snprintf(text + length, size - length, "%s%s", length > 0 ? ", " : "",
                                       advise_verdicts[id].name);
}

static void print_what_helper_lacks(FILE *to, const struct advise_watch *watch)
{
    char skipped[256];
    list_skipped(watch, skipped, sizeof skipped);
    fprintf(to, "the helper's figures do not tell: %s; for these, watch the programs\n", skipped);
    if (watch->groups.lacking > 0)
        fprintf(to, "%.0f more seconds may tell more\n", ceil(watch->groups.lacking));
    if (watch->progress.elsewhere > 0)
        fprintf(to, "%u connection%s of scripts that have ended: their names are not known\n",
                watch->progress.elsewhere, plural(watch->progress.elsewhere));
}

static void print_outcome(FILE *to, const struct advise_advice *advice, size_t count,
                          const struct advise_watch *watch)
{
    const struct advise_progress *progress = &watch->progress;
    if (count > 0)
        fprintf(to, "%-28s  %-9s  %-18s  %s\n", "PROGRAM", "SOCKETS", "VERDICT", "FIGURE");
    for (size_t i = 0; i < count; i++)
        print_advice(to, &advice[i]);
    if (count == 0)
        fputs("nothing to advise\n", to);
    if (watch->reported) {
        print_what_helper_lacks(to, watch);
        return;
    }
    if (watch->groups.lacking > 0)
        fprintf(to, "watch longer: %.0f more seconds may tell more (-t %.0f)\n",
                ceil(watch->groups.lacking), ceil(watch->seconds + watch->groups.lacking));
    if (progress->elsewhere > 0)
        fprintf(to, "%u process%s in network namespaces that only root may enter\n",
                progress->elsewhere, progress->elsewhere == 1 ? " is" : "es are");
    if (progress->crowded > 0)
        fprintf(to, "there were more sockets than can be watched at once: name fewer processes\n");
}

/* JSON */

static json_t *json_advice(const struct advise_advice *advice)
{
    const struct advise_finding *finding = &advice->finding;
    const struct advise_cell *cell = &finding->cell;
    const struct advise_verdict *verdict = &advise_verdicts[finding->verdict];
    static const char *const units[] = {[ADVISE_SHARE] = "share",
                                        [ADVISE_SECONDS] = "seconds",
                                        [ADVISE_COUNT] = "count",
                                        [ADVISE_TIMES] = "times"};
    bool rule = advice->proposal.rule[0] != '\0';
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:f, s:{s:f, s:s, s:s}, s:s, s:s?, "
        "s:o}",
        "id", finding->id, "program", json_text(finding->group->process->program), "script",
        json_text(finding->group->process->script), "verdict", verdict->name, "side",
        verdict_side_name(verdict->side), "role", name_of_bits(finding->group->role, role_names),
        "port", finding->port != 0 ? json_integer(finding->port) : json_null(), "sockets",
        (json_int_t)cell->sockets, "of", (json_int_t)finding->of, "samples",
        (json_int_t)cell->samples, "seconds", cell->seconds, "figure", "value", cell->figure,
        "unit", units[verdict->unit], "text", advice->figure, "advice", verdict->advice, "rule",
        rule ? advice->proposal.rule : NULL, "no_rule",
        rule ? json_null() : json_text(advice->proposal.reason));
}

/* Names of verdicts. */
static json_t *json_skipped(const struct advise_watch *watch)
{
    json_t *names = json_array();
    for (unsigned id = 0; id < VERDICT_COUNT; id++)
        if ((watch->groups.skipped >> id & 1) != 0)
            json_array_append_new(names, json_string(advise_verdicts[id].name));
    return names;
}

static int print_json_advice(const struct advise_advice *advice, size_t count,
                             const struct advise_watch *watch)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_advice(&advice[i]));
    return print_json(json_pack(
        "{s:f, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:o}", "seconds", watch->progress.elapsed,
        "looks", (json_int_t)watch->progress.looks, "processes",
        (json_int_t)watch->progress.processes, "sockets", (json_int_t)watch->progress.sockets,
        "elsewhere", (json_int_t)watch->progress.elsewhere, "crowded", watch->progress.crowded > 0,
        "watch_longer",
        watch->groups.lacking > 0 ? json_real(ceil(watch->groups.lacking)) : json_null(), "advice",
        list, "untold", json_skipped(watch)));
}

/* The command */

static int write_rule_file(const char *path, const char *text)
{
    if (write_file(path, text, strlen(text)) != 0)
        return command_failure("cannot write %s: %s", path, strerror(errno));
    return 0;
}

/* The table goes to standard output, unless the rule file goes there. */
static int show_advice(const struct advise_arguments *arguments, const struct advise_advice *advice,
                       size_t count, const struct advise_watch *watch)
{
    bool piped = arguments->output == NULL && !arguments->json && !isatty(STDOUT_FILENO);
    char *text = rule_file_text(advice, count, watch);
    int status = 0;
    if (text == NULL)
        return command_failure("%s", strerror(ENOMEM));
    if (arguments->json)
        status = print_json_advice(advice, count, watch);
    else
        print_outcome(piped ? stderr : stdout, advice, count, watch);
    if (arguments->output != NULL)
        status |= write_rule_file(arguments->output, text);
    else if (piped)
        fputs(text, stdout);
    free(text);
    return status;
}

static int write_advice(const struct advise_arguments *arguments, const struct advise_watch *watch)
{
    size_t count = 0, ready = 0;
    struct advise_finding *findings = groups_findings(&watch->groups, &count);
    struct advise_advice *advice = calloc(count + 1, sizeof *advice);
    int status = 1;
    while (advice != NULL && ready < count &&
           advice_prepare(&findings[ready], &watch->sysctls, &advice[ready]) == 0)
        ready++;
    if (advice == NULL || ready < count)
        command_failure("%s", strerror(ENOMEM));
    else
        status = show_advice(arguments, advice, count, watch);
    for (size_t i = 0; advice != NULL && i < ready; i++)
        free(advice[i].who);
    free(advice);
    free(findings);
    return status;
}

/* If there was nothing to watch, report why and return true. */
static bool report_misuse(const struct advise_watch *watch)
{
    const char *glob = watch->watched.selection.glob;
    unsigned refused = 0, readable = 0;
    for (const struct advise_process *process = watch->watched.first; process != NULL;
         process = process->next) {
        refused += process->refused != 0 && !process->ended;
        readable += process->refused == 0;
    }
    if (watch->watched.first == NULL && glob != NULL)
        command_failure("no program \"%s\" is running", glob);
    else if (watch->watched.first == NULL)
        command_failure("the processes have ended");
    else if (readable == 0)
        command_failure("%u process%s not be looked into: be their user, or root "
                        "(CAP_SYS_PTRACE)",
                        refused, refused == 1 ? " may" : "es may");
    return readable == 0;
}

static int advise_programs(const struct advise_arguments *arguments, struct advise_watch *watch)
{
    struct sigaction action = {.sa_handler = note_signal};
    const struct advise_selection *selection = &watch->watched.selection;
    bool show_it = isatty(STDERR_FILENO);
    int status;
    for (size_t i = 0; i < selection->count; i++)
        if (kill(selection->pids[i], 0) != 0 && errno == ESRCH)
            return command_failure("%d: no such process", selection->pids[i]);
    sigaction(SIGINT, &action, NULL);
    watch->interrupted = &interrupted;
    watch->tell = show_it ? show_progress : NULL;
    status = sampler_run(watch);
    if (show_it)
        fputs("\r\033[K", stderr);
    if (status != 0)
        status = command_failure("sock_diag: %s", strerror(errno));
    else
        status = report_misuse(watch) ? 1 : write_advice(arguments, watch);
    groups_free(&watch->groups);
    watched_free(&watch->watched);
    return status;
}

static int advise_from_helper(const struct advise_arguments *arguments, struct advise_watch *watch)
{
    char error[QUERY_ERROR_SIZE];
    int status;
    watch->reported = true;
    if (advise_reported(watch, error) != 0)
        status = command_failure("%s", error);
    else if (watch->progress.processes == 0)
        status = command_failure("the helper knows no such program: its rules must say "
                                 "report = true");
    else
        status = write_advice(arguments, watch);
    groups_free(&watch->groups);
    watched_free(&watch->watched);
    return status;
}

/* "10", "2.5", "10s". */
static bool read_seconds(const char *word, double least, double *seconds)
{
    char *end;
    *seconds = strtod(word, &end);
    if (end == word || (*end != '\0' && strcmp(end, "s") != 0))
        return false;
    return *seconds >= least && *seconds <= SECONDS_MOST;
}

/* Returns 0, or the exit status after a message. */
static int read_arguments(int count, char *const *words, const struct advise_arguments *arguments,
                          pid_t *pids, struct advise_watch *watch)
{
    for (int i = 0; i < count; i++)
        if (!read_pid(words[i], &pids[i]))
            return command_misuse("\"%s\" is no process ID", words[i]);
    if ((count > 0) + (arguments->glob != NULL) + arguments->all != 1)
        return command_misuse("expected either processes, -p GLOB or --all");
    if (arguments->from_helper && strcmp(arguments->seconds, SECONDS_USUAL) != 0)
        return command_misuse("-t says how long to watch: leave it out with --from-helper");
    if (!read_seconds(arguments->seconds, 0.5, &watch->seconds))
        return command_misuse("-t %s: expected a number of seconds from 0.5 to %.0f",
                              arguments->seconds, SECONDS_MOST);
    if (!read_seconds(arguments->idle, 1, &watch->idle_least))
        return command_misuse("--idle %s: expected a number of seconds from 1 to %.0f",
                              arguments->idle, SECONDS_MOST);
    sysctls_read(&watch->sysctls);
    watch->watched.selection =
        (struct advise_selection){pids, (size_t)count, arguments->glob, arguments->all};
    return 0;
}

static int cmd_advise(int argc, char **argv)
{
    struct advise_arguments arguments = {.seconds = SECONDS_USUAL, .idle = IDLE_USUAL};
    struct advise_watch watch = {.seconds = 0};
    pid_t *pids;
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    pids = calloc((size_t)argc, sizeof *pids);
    if (pids == NULL)
        return command_failure("%s", strerror(errno));
    status = read_arguments(argc - first, argv + first, &arguments, pids, &watch);
    if (status == 0)
        status = arguments.from_helper ? advise_from_helper(&arguments, &watch)
                                       : advise_programs(&arguments, &watch);
    free(pids);
    return status;
}

static const struct flag flags[] = {
    {"program", 'p', FLAG_VALUE, offsetof(struct advise_arguments, glob), "GLOB",
     "watch the processes of a program", "<program>", NULL},
    {"all", 'a', FLAG_SWITCH, offsetof(struct advise_arguments, all), NULL,
     "watch every accessible process", NULL, NULL},
    {"time", 't', FLAG_VALUE, offsetof(struct advise_arguments, seconds), "SECONDS",
     "how long to watch [" SECONDS_USUAL "]", NULL, NULL},
    {"idle", 0, FLAG_VALUE, offsetof(struct advise_arguments, idle), "SECONDS",
     "how long a connection without traffic counts as idle [" IDLE_USUAL "]", NULL, NULL},
    {"from-helper", 0, FLAG_SWITCH, offsetof(struct advise_arguments, from_helper), NULL,
     "judge what socktuned has seen, in place of watching", NULL, NULL},
    {"output", 'o', FLAG_VALUE, offsetof(struct advise_arguments, output), "FILE",
     "write the rules to FILE", "<file>", NULL},
    FLAG_JSON(struct advise_arguments, json),
    FLAGS_END,
};

const struct command advise_command = {
    .name = "advise",
    .summary = "watch programs and propose rules for them",
    .synopsis = "PID... [-t SECONDS] [-o FILE] [--json]\n-p GLOB | --all [-t SECONDS] ...\n"
                "--from-helper (PID... | -p GLOB | --all) [-o FILE] [--json]",
    .details =
        "Watches the sockets of running programs, and of their children, and tells what slows "
        "them down or could hang them, with the figures that show it. With -o, or where "
        "standard output is no terminal, it writes a rule file with the reasons as "
        "comments. Nothing is changed.",
    .flags = flags,
    .notes =
        "You can watch your own processes; root can watch all. Ctrl-C ends the watch early and "
        "shows what was found.",
    .operand = "<process>",
    .run = cmd_advise,
};
