/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: a round visits each process and skips those that no rule matches. With
 * --watch, the children of the named processes are treated too.
 */
#include "apply_run.h"
#include "apply_undo.h"
#include "commands.h"
#include "duplicate.h"
#include "glob.h"
#include "print_diagnostic.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static volatile sig_atomic_t stopped;

/* Processes */

/* --fd */
static bool is_chosen_descriptor(const struct apply_run *run, const struct open_socket *sockets,
                                 size_t count)
{
    bool chosen = run->only_fd < 0;
    for (size_t i = 0; i < count; i++)
        chosen |= sockets[i].fd == run->only_fd;
    return chosen;
}

/* Returns 0, or -1 with errno if its sockets may not be duplicated. */
static int apply_sockets(struct apply_run *run, const struct process *process)
{
    struct open_sockets open = {0};
    struct socket_owner owner;
    int result = socket_owner_open(process->pid, &owner), error;
    if (result == 0)
        result = open_sockets_read(process->pid, &open);
    for (size_t i = 0, count; result == 0 && i < open.count && !stopped; i += count) {
        count = descriptors_of_one(&open, i);
        if (!is_chosen_descriptor(run, &open.items[i], count))
            continue;
        run->chosen_sockets++;
        result = apply_socket(run, &owner, process, &open.items[i], count);
    }
    error = errno;
    open_sockets_free(&open);
    socket_owner_close(&owner);
    return errno = error, result;
}

/* --program, with the meaning of `program` in rules. */
static bool is_asked_for(const char *glob, const struct process *process)
{
    const char *names[] = {process->exe, process->argv[0]};
    for (size_t i = 0; i < 2; i++) {
        const char *slash =
            names[i] != NULL && strchr(glob, '/') == NULL ? strrchr(names[i], '/') : NULL;
        if (names[i] != NULL && glob_match(glob, slash != NULL ? slash + 1 : names[i]))
            return true;
    }
    return false;
}

/* --user, --netns and --program. */
static bool is_chosen(const struct apply_run *run, const struct process *process)
{
    char path[64];
    struct stat status;
    if (run->user != NULL && process->effective_uid != run->uid)
        return false;
    snprintf(path, sizeof path, "/proc/%d/ns/net", process->thread);
    if (run->network && (stat(path, &status) != 0 || status.st_ino != run->network))
        return false;
    return run->program == NULL || is_asked_for(run->program, process);
}

/* Find the rules that match the process, and apply them to its sockets. */
static void apply_identified(struct apply_run *run, const struct process *process)
{
    const struct identity identity = process_identity(process);
    struct active *active = &run->active;
    *active = (struct active){run->active_rules, 0};
    active->count = active_rules(&run->loaded.policy, &identity, run->active_rules);
    run->counts.processes += active->count != 0;
    if (active->count && apply_sockets(run, process) != 0 && !is_gone(errno))
        apply_report_refused(run, process, errno);
    if (!active->count && !run->all && run->round == 1 && !run->json)
        fprintf(stderr, "%s[%d]: no rule is for it\n", process->shown, process->pid);
}

/* Returns 0, or -1 if the process does not exist or no longer runs a program. */
static int apply_process(struct apply_run *run, pid_t pid)
{
    struct process process;
    int result = process_identify(pid, &process);
    if (result == 0 && !process_is_program(&process))
        result = -1;
    else if (result == 0 && is_chosen(run, &process)) {
        run->matching++;
        apply_identified(run, &process);
    }
    process_free(&process);
    return result;
}

/* Report an error if the flags select no process or no socket. With --watch, the descriptor of --fd
 * may appear later. */
static void report_no_choice(struct apply_run *run, bool named)
{
    if (run->program != NULL && run->matching == 0)
        command_failure("no running process is called \"%s\"%s", run->program,
                        run->user != NULL || run->network ? " there" : "");
    else if (named && run->matching == 0 && !run->failed)
        command_failure("no named process is of the user or the network namespace asked for");
    else if (run->only_fd >= 0 && run->watch == NULL && run->counts.processes > 0 &&
             run->counts.refused == 0 && run->chosen_sockets == 0)
        command_failure("descriptor %d is no socket in any process that a rule is for",
                        run->only_fd);
    else
        return;
    run->failed = true;
}

/* Returns how many of the named processes exist. */
static size_t apply_round(struct apply_run *run, const pid_t *named, size_t count)
{
    pid_t *every = named != NULL ? NULL : all_processes(&count);
    const pid_t *pids = named != NULL ? named : every;
    size_t alive = 0;
    run->round++;
    run->counts = (struct apply_counts){.processes = 0};
    run->json_sockets = json_array();
    run->json_refused = json_array();
    for (size_t i = 0; pids != NULL && i < count && !stopped; i++) {
        if (apply_process(run, pids[i]) == 0) {
            alive++;
        } else if (named != NULL && run->round == 1) {
            run->failed = true;
            command_failure("%d: no such process, or it runs no program", pids[i]);
        }
    }
    if (run->round == 1)
        report_no_choice(run, named != NULL);
    apply_report_round(run);
    if (run->save != NULL && !run->dry_run && undo_save(run->undo_notes, run->save) != 0)
        run->failed = true;
    json_decref(run->json_sockets);
    json_decref(run->json_refused);
    apply_end_seen_round(run);
    free(every);
    return alive;
}

/* Rounds */

static void note_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void pause_for(double seconds)
{
    struct timespec pause = {.tv_sec = (time_t)seconds};
    pause.tv_nsec = (long)((seconds - floor(seconds)) * 1e9);
    nanosleep(&pause, NULL); /* a signal interrupts it */
}

static bool is_listed(pid_t pid, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* The named processes that still run, and all their descendants: malloc()ed, `*count` of them; NULL
 * if memory is exhausted. Frees `named`. */
static pid_t *follow_forks(pid_t *named, size_t *count)
{
    size_t every_count, kept = 0;
    pid_t *every = all_processes(&every_count);
    pid_t *all = every != NULL ? calloc(every_count + 1, sizeof *all) : NULL;
    bool grown = all != NULL;
    for (size_t i = 0; all != NULL && i < *count; i++)
        if (is_listed(named[i], every, every_count))
            all[kept++] = named[i];
    while (grown) {
        grown = false;
        for (size_t i = 0; i < every_count; i++) {
            if (is_listed(every[i], all, kept) || !is_listed(process_parent(every[i]), all, kept))
                continue;
            all[kept++] = every[i];
            grown = true;
        }
    }
    free(every);
    free(named);
    *count = kept;
    return all;
}

/* Frees `named`. */
static void run_rounds(struct apply_run *run, pid_t *named, size_t count, double pause)
{
    const bool follow = named != NULL;
    struct sigaction action = {.sa_handler = note_signal};
    if (pause > 0) {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
    }
    while (apply_round(run, named, count) > 0 && pause > 0 && !stopped) {
        pause_for(pause);
        if (follow && (named = follow_forks(named, &count)) == NULL)
            break;
    }
    free(named);
    apply_end_seen_round(run);
}

int apply_run_rounds(struct apply_run *run, pid_t *named, size_t count, double pause)
{
    struct diagnostics diagnostics = {
        .report = print_error, .show = print_place, .context = stderr};
    const struct policy *policy = &run->loaded.policy;
    int status = 0;
    if (load_rules(run->rules, NULL, &diagnostics, &run->loaded) != 0) {
        free(named);
        return EXIT_RULES;
    }
    run->undo_notes = json_array();
    run->defaults.policy = policy;
    run->active_rules = calloc(policy->rule_count + 1u, sizeof(uint32_t));
    run->result = malloc(sizeof *run->result);
    if (run->active_rules == NULL || run->result == NULL ||
        reconciler_make(&run->reconciler, policy, run->dry_run) != 0)
        status = command_failure("%s", strerror(errno));
    else if (run->save != NULL && !run->dry_run)
        status = undo_prepare(run->save);
    if (status != 0) {
        free(named);
    } else {
        run_rounds(run, named, count, pause);
        status = run->failed;
    }
    json_decref(run->undo_notes);
    reconciler_free(&run->reconciler);
    default_sockets_free(&run->defaults);
    free(run->result);
    free(run->active_rules);
    loaded_free(&run->loaded);
    return status;
}
