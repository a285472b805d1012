/* SPDX-License-Identifier: MIT */
/*
 * socktune ps: the running processes that have the library or a supervisor, or are in a cgroup with
 * attached rules, and their rules. Each process is a JSON object; the text is printed from it. The
 * helper knows the rules of programs that take new rules.
 */
#include "attachments.h"
#include "commands.h"
#include "console.h"
#include "policy_file.h"
#include "process.h"
#include "query_client.h"
#include "show_socket.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A cache: the rules of the previous process, which are usually those of the next one too. */
struct known_rules {
    char path[PATH_MAX + 64];
    bool good; /* `loaded` is valid */
    struct loaded loaded;
};

static void drop_diagnostic(void *context, enum severity severity, struct location at,
                            const char *message)
{
    (void)context, (void)severity, (void)at, (void)message;
}

static void forget_rules(struct known_rules *known)
{
    if (known->good)
        loaded_free(&known->loaded);
    *known = (struct known_rules){.good = false};
}

/* Returns the policy, or NULL if the rules at `path` cannot be used. */
static const struct policy *know_rules(struct known_rules *known, const char *path)
{
    struct diagnostics diagnostics = {.report = drop_diagnostic};
    if (strcmp(known->path, path) != 0) {
        forget_rules(known);
        snprintf(known->path, sizeof known->path, "%s", path);
        known->good = load_rules(path, NULL, &diagnostics, &known->loaded) == 0;
    }
    return known->good ? &known->loaded.policy : NULL;
}

/* The RULES of `socktune run -c RULES`, or NULL. */
static const char *named_rules(char *const *argv)
{
    static const char name[] = "--config";
    for (; *argv != NULL && strcmp(*argv, "--") != 0; argv++) {
        const char *after = strncmp(*argv, name, sizeof name - 1) == 0 ? *argv + sizeof name - 1
                            : strncmp(*argv, "-c", 2) == 0             ? *argv + 2
                                                                       : NULL;
        if (after != NULL && *after == '\0')
            return argv[1];
        if (after != NULL)
            return after + (*after == '=');
    }
    return NULL;
}

/* Write the path of the process's rules, as the process names it, into `path`. Returns false if it
 * has none. */
static bool find_rules(const struct process *process, char path[PATH_MAX])
{
    const char *own = process_getenv(process, "SOCKTUNE_RULES");
    const char *named = NULL;
    char link[64], directory[PATH_MAX];
    struct process supervisor = {.pid = 0};
    ssize_t length;
    if (process->supervisor != 0 && process_read(process->supervisor, &supervisor) == 0) {
        named = named_rules(supervisor.argv);
        own = process_getenv(&supervisor, "SOCKTUNE_RULES");
    }
    if (named == NULL)
        named = own != NULL && *own != '\0' ? own : default_rules();
    snprintf(path, PATH_MAX, "%s", named != NULL ? named : "");
    if (process->supervisor != 0)
        process_free(&supervisor);
    if (*path == '\0' || *path == '/')
        return *path != '\0';
    snprintf(link, sizeof link, "/proc/%d/cwd", process->thread);
    length = readlink(link, directory, sizeof directory - 1);
    directory[length > 0 ? length : 0] = '\0';
    if (strlen(directory) + 1 + strlen(path) < PATH_MAX) {
        size_t room = strlen(directory) + 1;
        memmove(path + room, path, strlen(path) + 1);
        memcpy(path, directory, room - 1);
        path[room - 1] = '/';
    }
    return true;
}

/* Programs that take new rules */

#define PATIENCE 2u /* seconds */

/* What the helper knows of each process that takes new rules, by PID; empty without a helper. */
static json_t *live_states(void)
{
    char error[QUERY_ERROR_SIZE];
    json_t *answer = query_json("/v1/processes", PATIENCE, error), *states = json_object();
    const json_t *process;
    size_t i;
    json_array_foreach(json_object_get(answer, "processes"), i, process)
    {
        char pid[16];
        snprintf(pid, sizeof pid, "%d", (int)json_integer_value(json_object_get(process, "pid")));
        if (json_is_object(json_object_get(process, "live")) &&
            json_is_false(json_object_get(process, "ended")))
            json_object_set(states, pid, json_object_get(process, "live"));
    }
    json_decref(answer);
    return states;
}

/* A process that has taken the current rules is not stale, even if the files have changed since it
 * started. */
static void add_live_state(json_t *object, const json_t *states)
{
    char pid[16];
    json_t *state;
    snprintf(pid, sizeof pid, "%d", (int)json_integer_value(json_object_get(object, "pid")));
    state = json_object_get(states, pid);
    json_object_set_new(object, "live", state != NULL ? json_incref(state) : json_null());
    if (state != NULL)
        json_object_set_new(object, "stale",
                            json_boolean(strcmp(json_string_value(json_object_get(state, "state")),
                                                "current") != 0));
}

/* Processes */

/* The start time of a process is known in clock ticks of 10 ms, rounded down. */
static bool is_changed_since(const char *path, double started)
{
    const double margin = 0.02;
    struct stat status;
    return stat(path, &status) == 0 &&
           (double)status.st_mtim.tv_sec + (double)status.st_mtim.tv_nsec / 1e9 > started + margin;
}

/* Has a rule file changed since then? */
static bool is_stale(const struct policy *policy, const char *path, double started)
{
    bool stale = is_changed_since(path, started);
    for (uint32_t i = 0; i < policy->source_count; i++)
        stale |= policy->sources[i].kind != SOURCE_LINK &&
                 is_changed_since(policy_string(policy, policy->sources[i].path), started);
    return stale;
}

/* The current rules that match the process. */
static json_t *active_of(const struct policy *policy, const struct process *process)
{
    const struct identity identity = process_identity(process);
    uint32_t *active = calloc(policy->rule_count + 1u, sizeof *active);
    uint32_t count = active != NULL ? active_rules(policy, &identity, active) : 0;
    json_t *rules = json_array();
    for (uint32_t i = 0; i < count; i++) {
        const struct policy_rule *rule = &policy->rules[active[i]];
        json_array_append_new(rules, json_pack("{s:o, s:o, s:i}", "rule",
                                               json_text(policy_string(policy, rule->name)), "file",
                                               json_text(policy_string(policy, rule->file)), "line",
                                               (int)rule->line));
    }
    free(active);
    return rules;
}

/* Why the loaded library is inactive, according to the environment; NULL if it is active. */
static const char *why_off(const struct process *process)
{
    const char *disable = process_getenv(process, "SOCKTUNE_DISABLE");
    if (process->supervisor == 0 && disable != NULL && *disable != '\0' &&
        strcmp(disable, "0") != 0)
        return "SOCKTUNE_DISABLE is in its environment";
    if (process->supervisor == 0 && (process->unknown & UNKNOWN_ENVIRONMENT))
        return "you may not read its environment, which names its rules";
    return NULL;
}

/* `attached`: the attachment that provides its rules, since `started`; or NULL. */
static json_t *describe_rules(const struct process *process, const struct attach_state *attached,
                              struct known_rules *known, double started)
{
    char path[PATH_MAX], below_root[PATH_MAX + 64];
    const char *untuned = attached == NULL ? why_off(process) : NULL;
    const struct policy *policy = NULL;
    json_t *active = NULL;
    bool found = attached != NULL || (untuned == NULL && find_rules(process, path));
    if (attached != NULL) {
        snprintf(path, sizeof path, "%s", attached->about.rules);
        policy = know_rules(known, path);
        untuned = policy == NULL ? "its rules cannot be read, or have errors" : NULL;
    } else if (found) {
        snprintf(below_root, sizeof below_root, "/proc/%d/root%s", process->thread, path);
        policy = know_rules(known, process->other_mounts ? below_root : path);
        untuned = policy == NULL ? "its rules cannot be read, or have errors" : NULL;
    } else if (untuned == NULL) {
        untuned = "there are no rules";
    }
    if (policy != NULL) {
        active = active_of(policy, process);
        untuned = json_array_size(active) == 0 ? "no rule is for it" : NULL;
    }
    return json_pack("{s:o, s:o, s:b, s:o}", "rules", json_text(found ? path : NULL), "active",
                     active != NULL ? active : json_array(), "stale",
                     policy != NULL && is_stale(policy, known->path, started), "untuned",
                     json_text(untuned));
}

static json_t *describe_process(const struct process *process, const struct attach_state *attached,
                                struct known_rules *known)
{
    double started = process_started(process->pid);
    const char *by = attached != NULL           ? "attach"
                     : process->supervisor != 0 ? "supervise"
                                                : "preload";
    json_t *object = json_pack("{s:i, s:o, s:s, s:f}", "pid", (int)process->pid, "program",
                               json_text(process->name), "by", by, "started", started);
    /* An attachment knows its beginning in whole seconds, rounded down: files that changed within
     * that second count as older, since rules are often written just before. */
    json_t *rules = describe_rules(process, attached, known,
                                   attached != NULL ? (double)attached->about.since + 1 : started);
    json_object_update(object, rules);
    json_decref(rules);
    return object;
}

/* Why a process that takes new rules still has older ones. */
static const char *live_note(const json_t *live)
{
    static char note[512];
    const char *error = json_text_at(live, "error"), *state = json_text_at(live, "state");
    note[0] = '\0';
    if (error != NULL)
        snprintf(note, sizeof note, " (keeps its rules: %s)", error);
    else if (state != NULL && strcmp(state, "waiting") == 0)
        snprintf(note, sizeof note, " (takes new rules with its next socket call)");
    return note;
}

static void print_process(const json_t *object)
{
    const json_t *active = json_object_get(object, "active");
    const char *untuned = json_text_at(object, "untuned"), *path = json_text_at(object, "rules");
    const json_t *live = json_object_get(object, "live");
    bool stale = json_is_true(json_object_get(object, "stale"));
    time_t started = (time_t)json_real_value(json_object_get(object, "started"));
    struct tm local;
    char when[32] = "";
    if (localtime_r(&started, &local) != NULL)
        strftime(when, sizeof when, "%F %T", &local);
    printf("%7d  %-15s  %-9s  %s  %-7s  ", (int)json_integer_value(json_object_get(object, "pid")),
           json_text_at(object, "program"), json_text_at(object, "by"), when,
           untuned != NULL        ? "untuned"
           : stale                ? "stale"
           : json_is_object(live) ? "live"
                                  : "tuned");
    if (path != NULL)
        printf("%s: ", path);
    for (size_t i = 0; i < json_array_size(active); i++)
        printf("%s%s", i != 0 ? ", " : "", json_text_at(json_array_get(active, i), "rule"));
    printf("%s%s\n", untuned != NULL ? untuned : "", live_note(live));
}

/* List a process in a cgroup with attached rules if a rule matches it. */
static void list_attached(const struct attachments *attachments, const struct process *process,
                          struct known_rules *known, json_t *list)
{
    const struct attach_state *state = attachments_find(attachments, process->cgroup);
    json_t *object;
    if (state == NULL || !process_is_program(process))
        return;
    object = describe_process(process, state, known);
    if (json_array_size(json_object_get(object, "active")) != 0)
        json_array_append(list, object);
    json_decref(object);
}

static json_t *list_processes(void)
{
    struct known_rules known = {.good = false};
    struct attachments attachments;
    json_t *list = json_array(), *states = live_states(), *one;
    size_t count, at;
    pid_t *pids = all_processes(&count);
    attachments_read(&attachments);
    for (size_t i = 0; pids != NULL && i < count; i++) {
        struct process process;
        bool read = process_read(pids[i], &process) == 0;
        if (read && (process.library_loaded || process.supervisor != 0))
            json_array_append_new(list, describe_process(&process, NULL, &known));
        if (read)
            list_attached(&attachments, &process, &known, list);
        process_free(&process);
    }
    json_array_foreach(list, at, one)
    {
        add_live_state(one, states);
    }
    json_decref(states);
    attachments_free(&attachments);
    free(pids);
    forget_rules(&known);
    return list;
}

struct ps_arguments {
    bool json;
};

static int cmd_ps(int argc, char **argv)
{
    struct ps_arguments arguments = {.json = false};
    json_t *list;
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (first < argc)
        return command_misuse("unexpected argument \"%s\"", argv[first]);
    unsetenv("SOCKTUNE_RULES"); /* default_rules() is called for other processes */
    list = list_processes();
    if (arguments.json)
        return print_json(json_pack("{s:o}", "processes", list));
    if (json_array_size(list) == 0)
        puts("No running process that you may look into has the library, a supervisor or "
             "attached rules.");
    else
        printf("%7s  %-15s  %-9s  %-19s  %-7s  %s\n", "PID", "PROGRAM", "BY", "STARTED", "STATE",
               "RULES");
    for (size_t i = 0; i < json_array_size(list); i++)
        print_process(json_array_get(list, i));
    json_decref(list);
    return EXIT_SUCCESS;
}

static const struct flag flags[] = {FLAG_JSON(struct ps_arguments, json), FLAGS_END};

const struct command ps_command = {
    .name = "ps",
    .summary = "list the processes that socktune tunes",
    .synopsis = "[--json]",
    .details =
        "Lists the running processes that have the library or a supervisor, or are in a cgroup "
        "to which rules are attached (root sees them): when each was started, its rules, and "
        "which of them are for it. A process is stale if a file of its rules has changed since "
        "it was started, or since the rules were attached; it keeps the former rules. A live "
        "process takes new rules while it runs, and has the rules as they are, by the helper's "
        "word; it is stale until it has taken them. Only processes that you may look into are "
        "seen.",
    .flags = flags,
    .run = cmd_ps,
};
