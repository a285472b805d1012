/* SPDX-License-Identifier: MIT */
/*
 * What `socktune doctor` finds about a running process.
 */
#include "attachments.h"
#include "commands.h"
#include "console.h"
#include "doctor_report.h"
#include "library.h"
#include "policy_file.h"
#include "process_sockets.h"
#include "show_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static json_t *describe_process(const struct process *process)
{
    static const char *const seccomp[] = {"off", "strict", "filter"};
    return json_pack(
        "{s:i, s:b, s:b, s:s, s:o, s:b, s:b, s:b, s:b}", "pid", (int)process->pid, "loaded",
        process->library_loaded, "no_new_privs", process->no_new_privs, "seccomp",
        process->seccomp >= 0 && process->seccomp <= 2 ? seccomp[process->seccomp] : "unknown",
        "ld_preload", json_text(process_getenv(process, "LD_PRELOAD")), "io_uring",
        process->uring_open, "other_mounts", process->other_mounts, "other_network",
        process->other_network, "other_users", process->other_users);
}

static void report_sockets(struct doctor_report *report, const struct process *process)
{
    json_t *sockets = json_array();
    for (size_t i = 0; i < process->socket_count; i++) {
        const struct process_socket *one = &process->sockets[i];
        json_array_append_new(sockets, json_pack("{s:i, s:s, s:s, s:o, s:o}", "fd", one->fd,
                                                 "protocol", one->protocol, "state", one->state,
                                                 "local", json_endpoint(one->local, false),
                                                 "remote", json_endpoint(one->remote, false)));
    }
    json_object_set_new(report->root, "sockets", sockets);
    json_object_set_new(report->root, "other_sockets",
                        json_integer((json_int_t)process->other_sockets));
}

static void report_attached(struct doctor_report *report, const struct process *process)
{
    struct attachments attachments;
    const struct attach_state *state;
    attachments_read(&attachments);
    state = attachments_find(&attachments, process->cgroup);
    if (state != NULL)
        doctor_find(report, FINDING_NOTE, "attached", NULL,
                    "the rules %s are attached to its cgroup %s by BPF (`socktune attach`): they "
                    "are for it, whether or not preloading reaches it",
                    state->about.rules, state->about.cgroup);
    attachments_free(&attachments);
}

/* Report whether the process has the library, and why not. */
static void report_loaded(struct doctor_report *report, const struct process *process)
{
    const char *preload = process_getenv(process, "LD_PRELOAD");
    if (process->exe == NULL || process->library_loaded || process->unknown & UNKNOWN_MAPS)
        return;
    if (preload != NULL && strstr(preload, LIBRARY_NAME) != NULL)
        doctor_find(
            report, FINDING_WARNING, "preload-ignored",
            "See that the path exists where the program runs, and is readable for its user. The "
            "loader told why on standard error when the program started; other findings may, too.",
            "LD_PRELOAD=%s was in its environment when it started, but the library is not loaded",
            preload);
    else
        doctor_find(
            report, FINDING_NOTE, "not-loaded",
            "Start it again by `socktune run`, or with LD_PRELOAD and SOCKTUNE_RULES in its "
            "environment (Environment= in its systemd unit).",
            "it runs without " LIBRARY_NAME);
    doctor_find(
        report, FINDING_INSTEAD, "apply", NULL,
        "`socktune apply -c RULES %d`: gives the sockets that it has open what the rules say, as "
        "it runs; with --watch SECONDS also those to come. A listener so tuned passes its options "
        "on to what it accepts. Needs the rights of its user.",
        process->pid);
}

/*
 * The library must be where the program's loader looks for it. This does not apply to programs that
 * change their root after the start (haproxy, sshd): the new root has no loader either.
 */
static void report_mounts(struct doctor_report *report, const struct process *process,
                          const struct executable *executable, const char *library)
{
    if (!process->other_mounts || process->library_loaded || executable->loader == NULL ||
        library == NULL || strchr(library, '$') != NULL ||
        !process_sees(process, executable->loader) || process_sees(process, library))
        return;
    doctor_find(
        report, FINDING_OBSTACLE, "library-not-visible",
        "Show the library and the rules to it read-only at the same paths: BindReadOnlyPaths= in "
        "a systemd unit, -v PATH:PATH:ro of a container, a bind mount for a chroot.",
        "it has another root directory or mount namespace than this shell, and %s does not exist "
        "there",
        library);
}

static void report_confinement(struct doctor_report *report, const struct process *process)
{
    if (process->supervisor != 0)
        doctor_find(
            report, FINDING_NOTE, "supervised", NULL,
            "it is supervised already (`socktune run --supervise`): its rules are those that were "
            "given there");
    else if (process->seccomp)
        doctor_find(
            report, FINDING_WARNING, "seccomp",
            "Let the filter allow setsockopt and getsockopt, or keep to rules on listeners: those "
            "are applied before listen(), as a rule before the program confines itself.",
            "a seccomp filter confines it (its own or a container's): options that a filter did "
            "not foresee may fail or, if it kills, end the program");
    if (process->no_new_privs)
        doctor_find(
            report, FINDING_NOTE, "no-new-privs", NULL,
            "no_new_privs is set: set-user-ID programs that it starts gain nothing, so preloading "
            "reaches them too");
    if (process->uring_open)
        doctor_find(
            report, FINDING_WARNING, "io-uring-open",
            "Most programs have a setting that switches io_uring off, or do without it under "
            "`socktune run --supervise --no-io-uring`.",
            "it has an io_uring open: sockets made, connected or accepted through it pass the "
            "library and --supervise by; accepted ones still inherit their listener's options");
    else if (process->uring_loaded)
        doctor_find(report, FINDING_NOTE, "io-uring-loaded", NULL,
                    "liburing is loaded, but no io_uring is open");
    if (process->other_network)
        doctor_find(
            report, FINDING_NOTE, "network-namespace", NULL,
            "it is in another network namespace: net.* sysctls, which bound some values, are "
            "those of that namespace");
    if (process->other_users)
        doctor_find(report, FINDING_NOTE, "user-namespace", NULL,
                    "it is in another user namespace: options that need a privilege need it there");
    if (process->exe_deleted)
        doctor_find(
            report, FINDING_NOTE, "replaced", NULL,
            "its file has been removed or replaced since it started: this tells of the old one");
}

static void report_environment(struct doctor_report *report, const struct process *process)
{
    const char *disable = process_getenv(process, "SOCKTUNE_DISABLE");
    if (disable != NULL && *disable && strcmp(disable, "0") != 0)
        doctor_find(report, FINDING_WARNING, "disabled", "Start it again without SOCKTUNE_DISABLE.",
                    "SOCKTUNE_DISABLE=%s was in its environment when it started: the library does "
                    "nothing there",
                    disable);
    if (process->unknown) {
        report->unsure |= process->unknown & UNKNOWN_EXE;
        doctor_find(report, FINDING_WARNING, "not-permitted", "Ask again as root.",
                    "you may not see all of what is asked here of a process of user %u",
                    process->real_uid);
    }
}

/* The obstacles if the process were started again in the same way; its privileges are known. */
static unsigned process_obstacles(const struct process *process,
                                  const struct executable *executable, const char *library)
{
    struct launch launch = {.library = library,
                            .preload = process_getenv(process, "LD_PRELOAD"),
                            .asan_options = process_getenv(process, "ASAN_OPTIONS"),
                            .uid = process->real_uid,
                            .gid = process->real_gid,
                            .no_new_privs = process->no_new_privs};
    unsigned obstacles = executable_obstacles(executable, &launch);
    if (process->php_loaded)
        obstacles |= OBSTACLE_DEEPBIND;
    if (process->secure == SECURE_YES)
        obstacles |= OBSTACLE_SECURE;
    else if (process->secure == SECURE_NO)
        obstacles &= ~(unsigned)OBSTACLE_SECURE;
    /* If the library is loaded, only traffic that it cannot see remains an obstacle. */
    return process->library_loaded ? obstacles & (OBSTACLE_GO | OBSTACLE_DEEPBIND) : obstacles;
}

static void examine_running(struct doctor_report *report, const struct process *process,
                            const char *library)
{
    struct executable executable;
    char link[32];
    snprintf(link, sizeof link, "/proc/%d/exe", process->pid);
    if (executable_read(link, &executable) == 0) {
        free(executable.path);
        free(executable
                 .file); /* a link, if the file has been deleted or is in another mount namespace */
        executable.path = strdup(process->exe);
        executable.file = strdup(process->exe);
        executable.apache = false; /* the mappings of the process show whether PHP is loaded */
        doctor_report_executable(report, &executable,
                                 process_obstacles(process, &executable, library));
        report_mounts(report, process, &executable, library);
    } else {
        report->unsure = true;
        doctor_find(report, FINDING_WARNING, "unreadable", "Ask again as root.",
                    "its executable cannot be examined: %s", strerror(errno));
    }
    executable_free(&executable);
}

static const char *rules_of(const struct process *process, const char *named)
{
    const char *own = process_getenv(process, "SOCKTUNE_RULES");
    return named != NULL ? named : own != NULL && *own ? own : default_rules();
}

static void report_process(struct doctor_report *report, const struct process *process,
                           const char *rules)
{
    const struct identity identity = process_identity(process);
    char *library = doctor_find_library(report);
    json_object_set_new(report->root, "program",
                        json_text(process->exe != NULL ? process->exe : process->name));
    json_object_set_new(report->root, "process", describe_process(process));
    if (process->exe != NULL)
        examine_running(report, process, library);
    else if (!(process->unknown & UNKNOWN_EXE))
        doctor_find(
            report, FINDING_OBSTACLE, "no-program", NULL,
            "it is a kernel thread, or has ended and waits for its parent: it has no program");
    report_loaded(report, process);
    report_attached(report, process);
    report_environment(report, process);
    report_confinement(report, process);
    doctor_report_rules(report, rules_of(process, rules), &identity);
    report_sockets(report, process);
    free(library);
}

int doctor_examine_process(struct doctor_report *report, pid_t pid, const char *rules)
{
    struct process process;
    int status = 0;
    if (process_read(pid, &process) == 0) {
        report_process(report, &process, rules);
    } else {
        status = errno == ESRCH ? EXIT_NOT_FOUND : 1;
        command_failure("process %d: %s", pid, strerror(errno));
    }
    process_free(&process);
    return status;
}
