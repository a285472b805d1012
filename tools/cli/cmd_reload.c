/* SPDX-License-Identifier: MIT */
/*
 * socktune reload: gives running programs the current rules and reports the results.
 */
#include "commands.h"
#include "console.h"
#include "query_client.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE 10u /* seconds to wait for the helper's answer */
#define ROUNDS   100 /* queries until the helper has finished */
#define PAUSE_NS 50000000

struct reload_arguments {
    bool open, json;
};

/* Queries to the helper */

static bool ignore_part(void *unused, const char *part, size_t length)
{
    (void)unused, (void)part, (void)length;
    return true;
}

/* Wait until the helper has finished. Returns its list of processes, or NULL with an error. */
static json_t *await_processes(char error[QUERY_ERROR_SIZE])
{
    json_t *answer = NULL;
    bool busy = true;
    for (int i = 0; i < ROUNDS && busy; i++) {
        json_decref(answer);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        answer = query_json("/v1/processes", PATIENCE, error);
        busy = answer != NULL && json_is_true(json_object_get(answer, "reloading"));
    }
    return answer;
}

/* The processes that run and take new rules. */
static json_t *live_processes(const json_t *answer)
{
    json_t *live = json_array();
    const json_t *process;
    size_t i;
    json_array_foreach(json_object_get(answer, "processes"), i, process)
    {
        const json_t *state = json_object_get(process, "live");
        if (!json_is_object(state) || json_is_true(json_object_get(process, "ended")))
            continue;
        json_array_append_new(live, json_pack("{s:O, s:O, s:O, s:O, s:O, s:O}", "pid",
                                              json_object_get(process, "pid"), "program",
                                              json_object_get(process, "program"), "rules",
                                              json_object_get(state, "rules"), "state",
                                              json_object_get(state, "state"), "policy",
                                              json_object_get(state, "policy"), "error",
                                              json_object_get(state, "error")));
    }
    return live;
}

/* The report */

static size_t count_in_state(const json_t *live, const char *state)
{
    const json_t *process;
    size_t i, count = 0;
    json_array_foreach(live, i, process)
    {
        count += strcmp(json_text_at(process, "state"), state) == 0;
    }
    return count;
}

static void print_report(const json_t *live)
{
    const size_t all = json_array_size(live), waiting = count_in_state(live, "waiting");
    const json_t *process;
    size_t i;
    printf("%zu %s new rules: %zu %s the rules as they are", all,
           all == 1 ? "program takes" : "programs take", count_in_state(live, "current"),
           count_in_state(live, "current") == 1 ? "has" : "have");
    if (waiting > 0)
        printf(", %zu %s them with the next socket call", waiting, waiting == 1 ? "takes" : "take");
    puts(".");
    json_array_foreach(live, i, process)
    {
        const char *error = json_text_at(process, "error");
        if (error != NULL)
            printf("%7d  %s keeps its rules: %s\n",
                   (int)json_integer_value(json_object_get(process, "pid")),
                   json_text_at(process, "program"), error);
    }
}

/* Open sockets */

#define PID_TEXT 12u /* bytes */

/* Apply the rules of the process at `first` to its open sockets, and to those of all later
 * processes with the same rules. The called command reorders the words but does not keep them. */
static int apply_rules(const json_t *live, size_t first, const char *path)
{
    const size_t count = json_array_size(live);
    char **words = calloc(count + 4, sizeof *words);
    char(*pids)[PID_TEXT] = calloc(count, sizeof *pids);
    char name[] = "apply", flag[] = "-c";
    char *rules = strdup(path);
    int argc = 3, status = EXIT_FAILURE;
    if (words != NULL && pids != NULL && rules != NULL) {
        words[0] = name;
        words[1] = flag;
        words[2] = rules;
        for (size_t i = first; i < count; i++) {
            const json_t *process = json_array_get(live, i);
            if (strcmp(json_text_at(process, "rules"), path) != 0)
                continue;
            snprintf(pids[i], sizeof pids[i], "%d",
                     (int)json_integer_value(json_object_get(process, "pid")));
            words[argc++] = pids[i];
        }
        status = command_call(command_find("apply"), argc, words);
    } else {
        command_failure("no memory");
    }
    free(rules);
    free(pids);
    free(words);
    return status;
}

static int apply_to_open(const json_t *live)
{
    int status = EXIT_SUCCESS;
    for (size_t i = 0; i < json_array_size(live); i++) {
        const char *path = json_text_at(json_array_get(live, i), "rules");
        bool done = false;
        for (size_t k = 0; k < i && !done; k++)
            done = strcmp(json_text_at(json_array_get(live, k), "rules"), path) == 0;
        if (!done)
            status |= apply_rules(live, i, path);
    }
    return status;
}

/* The command */

static int report_reload(const struct reload_arguments *arguments, json_t *live)
{
    const size_t good = count_in_state(live, "current") + count_in_state(live, "waiting");
    int status = good == json_array_size(live) ? EXIT_SUCCESS : EXIT_FAILURE;
    if (json_array_size(live) == 0 && !arguments->json) {
        json_decref(live);
        return command_failure("no running program that the helper knows takes new rules: write "
                               "\"live = true;\" into the rule file before the program starts, or "
                               "start it by socktune run --live");
    }
    if (arguments->json)
        return print_json(json_pack("{s:o}", "processes", live)) | status;
    print_report(live);
    if (arguments->open)
        status |= apply_to_open(live);
    json_decref(live);
    return status;
}

static int cmd_reload(int argc, char **argv)
{
    struct reload_arguments arguments = {.open = false};
    char error[QUERY_ERROR_SIZE];
    json_t *answer;
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (first < argc)
        return command_misuse("unexpected argument \"%s\"", argv[first]);
    if (arguments.open && arguments.json)
        return command_misuse("--open reports as apply does: leave out --json");
    if (query_post("/v1/reload", PATIENCE, ignore_part, NULL, error) != 0)
        return command_failure("%s", error);
    answer = await_processes(error);
    if (answer == NULL)
        return command_failure("%s", error);
    status = report_reload(&arguments, live_processes(answer));
    json_decref(answer);
    return status;
}

static const struct flag flags[] = {
    {"open", 0, FLAG_SWITCH, offsetof(struct reload_arguments, open), NULL,
     "also set the options of the rules on open sockets, as apply does", NULL, NULL},
    FLAG_JSON(struct reload_arguments, json),
    FLAGS_END};

const struct command reload_command = {
    .name = "reload",
    .summary = "give running programs the rules as they are now",
    .synopsis = "[--open] [--json]",
    .details =
        "Programs whose rule file says live = true, or that were started by socktune run --live, "
        "take new rules while they run: the helper, socktuned, notices changed rule files within "
        "a second. reload makes it look at once, and says which programs have the rules as they "
        "are and why others have not. A program takes new rules with its next socket call; its "
        "open sockets keep their options, unless --open is given. Root reloads the rules of all "
        "users' programs, others those of their own. The exit status is 0 if no program keeps "
        "older rules.",
    .flags = flags,
    .run = cmd_reload,
};
