/* SPDX-License-Identifier: MIT */
/*
 * What `socktune doctor` finds about an executable file, and about a program by its command line.
 */
#include "commands.h"
#include "console.h"
#include "doctor_report.h"
#include "executable_failure.h"
#include "library.h"
#include "policy_file.h"
#include "process.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The executable */

static json_t *describe_executable(const struct executable *executable)
{
    static const char *const loaders[] = {[LOADER_NONE] = "none",
                                          [LOADER_GLIBC] = "glibc",
                                          [LOADER_MUSL] = "musl",
                                          [LOADER_OTHER] = "other"};
    json_t *needed = json_array();
    for (char **name = executable->needed; *name; name++)
        json_array_append_new(needed, json_text(*name));
    return json_pack("{s:o, s:o, s:b, s:o, s:s?, s:s?, s:o, s:o, s:b, s:b, s:b, s:b}", "path",
                     json_text(executable->path), "file", json_text(executable->file), "script",
                     executable->hops > 0, "runs", json_text(executable->script), "machine",
                     executable->readable ? elf_machine_name(executable->abi) : NULL, "libc",
                     executable->readable ? loaders[executable->loader_kind] : NULL, "loader",
                     json_text(executable->loader), "needed", needed, "go", executable->go,
                     "setuid", executable->setuid, "setgid", executable->setgid, "capabilities",
                     executable->capabilities);
}

static void report_obstacles(struct doctor_report *report, unsigned obstacles)
{
    const unsigned passable = OBSTACLES_AVOIDED | OBSTACLES_PARTIAL | OBSTACLE_UNREADABLE;
    size_t count;
    const struct obstacle *table = obstacle_table(&count);
    for (size_t i = 0; i < count; i++)
        if (obstacles & table[i].bit)
            doctor_find(report, table[i].bit & passable ? FINDING_WARNING : FINDING_OBSTACLE,
                        table[i].id, table[i].advice, "%s", table[i].problem);
    report->unsure |= obstacles & OBSTACLE_UNREADABLE;
}

/* Front ends that do not need the program's loader. */
static void report_outside(struct doctor_report *report)
{
    static const char *const ways[] = {
        "`socktune run --supervise`: the same rules, applied from outside at connect, listen and "
        "bind. Accepted sockets have what they inherit, and get the rest at the program's first "
        "epoll_ctl() or setsockopt(TCP_NODELAY) on them. If a signal handler without SA_RESTART "
        "interrupts connect() before the supervisor has received the call, connect() returns EINTR "
        "and no connection is being made, though POSIX says that one is: a program that then waits "
        "for it instead of calling connect() again takes an unconnected socket for a connected "
        "one. Needs no root, but without it programs that it starts gain no privileges by "
        "set-user-ID.",
        "listeners that a parent makes and passes on: accepted sockets inherit their options. A "
        "parent that preloading reaches can be tuned as usual; a systemd .socket unit sets "
        "KeepAlive=, NoDelay=, SendBuffer=, ReceiveBuffer=, IPTOS=, Mark= and others itself.",
        "a BPF program on its cgroup (sockops, bpf_setsockopt): sees every TCP connection; needs "
        "root.",
        "sysctls net.ipv4.tcp_* and net.core.* of a network namespace of its own, and routes in it "
        "(`ip route change ... congctl NAME quickack 1`): reach all sockets in it.",
        "nftables: marks DSCP and priority of packets by cgroup, user or port."};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        doctor_find(report, FINDING_INSTEAD, "from-outside", NULL, "%s", ways[i]);
}

void doctor_report_executable(struct doctor_report *report, const struct executable *executable,
                              unsigned obstacles)
{
    json_object_set_new(report->root, "executable", describe_executable(executable));
    report_obstacles(report, obstacles);
    if (obstacles & OBSTACLES_LASTING)
        report_outside(report);
    if (!(obstacles & OBSTACLE_SECURE) &&
        (executable->setuid || executable->setgid || executable->capabilities))
        doctor_find(
            report, FINDING_WARNING, "secure-others",
            "Take the bit or the capabilities from the file, and give them when it is started: "
            "AmbientCapabilities= in its systemd unit, or setpriv --inh-caps --ambient-caps.",
            "its file bears set-user-ID, set-group-ID or capabilities: started by you it gains "
            "nothing, but for users who gain by it the loader ignores LD_PRELOAD (AT_SECURE)");
    if (executable->apache && !(obstacles & OBSTACLE_DEEPBIND))
        doctor_find(
            report, FINDING_NOTE, "apache",
            "Ask `socktune doctor PID` of the running server: it tells whether PHP is loaded.",
            "it is Apache. If it loads PHP as a module (mod_php), the sockets of PHP's extensions "
            "pass the library by, as those of the php command do; only `socktune run --supervise` "
            "and `socktune apply` reach them. PHP of its own (php-fpm) is a program of its own");
    if (executable_needs(executable, "liburing.so") != NULL)
        doctor_find(
            report, FINDING_WARNING, "io-uring",
            "Most programs have a setting that switches io_uring off, or do without it under "
            "`socktune run --supervise --no-io-uring`.",
            "it is linked to liburing: sockets that it makes, connects or accepts through "
            "io_uring pass the library by; those accepted from a listener that it opened with "
            "listen() still inherit the listener's options");
}

/* The library */

/* The path for LD_PRELOAD; the caller frees it. NULL, and a finding, if there is no library. */
char *doctor_find_library(struct doctor_report *report)
{
    char *path = library_path();
    char *named = path != NULL ? library_for_ld_so(path) : NULL;
    free(path);
    if (named == NULL)
        doctor_find(report, FINDING_OBSTACLE, "library-missing",
                    "Install it with `make install`, or build it with `make`.",
                    LIBRARY_NAME " is neither beside this command nor in %s", library_directory);
    json_object_set_new(report->root, "library", json_text(named));
    return named;
}

/* A program */

static void report_script(struct doctor_report *report, const struct executable *executable)
{
    if (executable->hops)
        doctor_find(
            report, FINDING_NOTE, "script",
            "In a rule, match it by script = its name, or by command. Give doctor the script's "
            "arguments too, if rules look at them.",
            "it is a script that %s runs, so program in a rule means %s; programs that the script "
            "starts are preloaded too: ask doctor about each",
            executable->file, text_basename(executable->file));
    if (executable->hops > 1)
        doctor_find(report, FINDING_NOTE, "shim",
                    "If that script executes another program, ask doctor about that program by "
                    "its path.",
                    "its interpreter is itself a script, %s: script in a rule means %s until that "
                    "executes another program",
                    executable->script, text_basename(executable->script));
}

/* A running process already has its ELF interpreter, perhaps in another root directory. */
static bool lacks_loader(struct doctor_report *report, const struct executable *executable)
{
    if (executable->loader == NULL || !elf_abi_is_native(executable->abi) ||
        access(executable->loader, F_OK) == 0)
        return false;
    doctor_find(report, FINDING_OBSTACLE, "loader-missing",
                "Install the C library of the program's machine and word size.",
                "its ELF interpreter %s does not exist: execve() fails with ENOENT",
                executable->loader);
    return true;
}

static void examine_executable(struct doctor_report *report, const struct executable *executable,
                               char *const *command, const char *library, const char *rules)
{
    const struct launch launch = launch_of_self(library);
    const char **argv = executable_command_line(executable, command);
    char *file = realpath(executable->file, NULL); /* as in /proc/PID/exe later */
    char *cgroup = process_cgroup(0);              /* as for `socktune run` */
    const struct identity identity = {.executable = file != NULL ? file : executable->file,
                                      .argv = argv,
                                      .uid = geteuid(),
                                      .gid = getegid(),
                                      .cgroup = cgroup};
    if (argv == NULL)
        abort();
    /* If a program cannot start, other obstacles do not matter. */
    unsigned obstacles =
        lacks_loader(report, executable) ? 0 : executable_obstacles(executable, &launch);

    doctor_report_executable(report, executable, obstacles);
    report_script(report, executable);
    doctor_report_rules(report, rules != NULL ? rules : default_rules(), &identity);
    free(file);
    free(cgroup);
    free(argv);
}

int doctor_examine_program(struct doctor_report *report, char *const *command, const char *rules)
{
    const char *name = command[0];
    struct executable executable;
    char *path = executable_find(name);
    char *library;
    int status = 0;
    if (path == NULL) {
        command_failure("%s: %s", name, errno == ENOENT ? "no such program" : strerror(errno));
        return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    }
    json_object_set_new(report->root, "program", json_text(name));
    library = doctor_find_library(report);
    if (executable_read(path, &executable) != 0)
        status = executable_failure(&executable, errno);
    else
        examine_executable(report, &executable, command, library, rules);
    executable_free(&executable);
    free(library);
    free(path);
    return status;
}
