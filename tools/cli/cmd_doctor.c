/* SPDX-License-Identifier: MIT */
/*
 * socktune doctor: tells whether preloading reaches a program, and what to do where it does not.
 *
 * All findings go into one JSON value. It is what --json prints, and the text for people is made
 * from it, so that both say the same.
 */
#include "commands.h"
#include "console.h"
#include "elf.h"
#include "front_end_limits.h"
#include "library.h"
#include "match.h"
#include "policy_file.h"
#include "print_diagnostic.h"
#include "process.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_WIDTH   80
#define TEXT_SOCKETS 12 /* sockets listed in the text; --json has all */

enum finding_kind {
    FINDING_OBSTACLE, /* preloading does not reach the program */
    FINDING_WARNING,  /* part of what it does may be missed, or fail */
    FINDING_INSTEAD,  /* a way that works although preloading does not */
    FINDING_NOTE
};

static const char *const kind_names[] = {[FINDING_OBSTACLE] = "obstacle",
                                         [FINDING_WARNING] = "warning",
                                         [FINDING_INSTEAD] = "instead",
                                         [FINDING_NOTE] = "note"};

struct report {
    json_t *root;
    json_t *findings; /* in root */
    bool obstructed;
    bool unsure;       /* something decisive could not be read */
    enum front_end by; /* --by; FRONT_END_COUNT: every way */
};

/* --- building the report ---------------------------------------------------------------------- */

/* Add a finding; `advice` may be NULL. */
static void __attribute__((format(printf, 5, 6)))
find(struct report *report, enum finding_kind kind, const char *id, const char *advice,
     const char *format, ...)
{
    va_list arguments;
    char *text = NULL;

    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    json_array_append_new(report->findings,
                          json_pack("{s:s, s:s, s:o, s:s?}", "kind", kind_names[kind], "id", id,
                                    "text", json_text(text), "advice", advice));
    free(text);
    report->obstructed |= kind == FINDING_OBSTACLE;
}

/* --- the executable --------------------------------------------------------------------------- */

static json_t *describe_executable(const struct executable *executable)
{
    static const char *const loaders[] = {[LOADER_NONE] = "none",
                                          [LOADER_GLIBC] = "glibc",
                                          [LOADER_MUSL] = "musl",
                                          [LOADER_OTHER] = "other"};
    json_t *needed = json_array();

    for (char **name = executable->needed; *name; name++)
        json_array_append_new(needed, json_text(*name));
    return json_pack("{s:o, s:o, s:b, s:s?, s:s?, s:o, s:o, s:b, s:b, s:b, s:b}", "path",
                     json_text(executable->path), "file", json_text(executable->file), "script",
                     executable->hops > 0, "machine",
                     executable->readable ? elf_machine_name(executable->abi) : NULL, "libc",
                     executable->readable ? loaders[executable->loader_kind] : NULL, "loader",
                     json_text(executable->loader), "needed", needed, "go", executable->go,
                     "setuid", executable->setuid, "setgid", executable->setgid, "capabilities",
                     executable->capabilities);
}

static void report_obstacles(struct report *report, unsigned obstacles)
{
    const unsigned passable = OBSTACLES_AVOIDED | OBSTACLES_PARTIAL | OBSTACLE_UNREADABLE;
    size_t count;
    const struct obstacle *table = obstacle_table(&count);

    for (size_t i = 0; i < count; i++)
        if (obstacles & table[i].bit)
            find(report, table[i].bit & passable ? FINDING_WARNING : FINDING_OBSTACLE, table[i].id,
                 table[i].advice, "%s", table[i].problem);
    report->unsure |= obstacles & OBSTACLE_UNREADABLE;
}

/* What reaches sockets without the program's help. */
static void report_outside(struct report *report)
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
        find(report, FINDING_INSTEAD, "from-outside", NULL, "%s", ways[i]);
}

/* What ld.so or the kernel will meet when the program starts. */
static void report_loading(struct report *report, const struct executable *executable,
                           unsigned obstacles)
{
    if (!(obstacles & OBSTACLE_ARCHITECTURE) && executable->loader != NULL &&
        access(executable->loader, F_OK) != 0)
        find(report, FINDING_OBSTACLE, "loader-missing",
             "Install the C library of the program's machine and word size.",
             "its ELF interpreter %s does not exist: execve() fails with ENOENT",
             executable->loader);
    if (executable->abi.word_size == 1 && executable->abi.machine == 62) /* ELFCLASS32, x86-64 */
        find(report, FINDING_WARNING, "x32", "Build it for x86-64.",
             "it is an x32 program: `run --supervise` lets its calls pass");
}

static void report_executable(struct report *report, const struct executable *executable,
                              unsigned obstacles)
{
    json_object_set_new(report->root, "executable", describe_executable(executable));
    report_loading(report, executable, obstacles);
    report_obstacles(report, obstacles);
    if (obstacles & OBSTACLES_LASTING)
        report_outside(report);
    if (!(obstacles & OBSTACLE_SECURE) &&
        (executable->setuid || executable->setgid || executable->capabilities))
        find(report, FINDING_WARNING, "secure-others",
             "Take the bit or the capabilities from the file, and give them when it is started: "
             "AmbientCapabilities= in its systemd unit, or setpriv --inh-caps --ambient-caps.",
             "its file bears set-user-ID, set-group-ID or capabilities: started by you it gains "
             "nothing, but for users who gain by it the loader ignores LD_PRELOAD (AT_SECURE)");
    if (executable_needs(executable, "liburing.so"))
        find(report, FINDING_WARNING, "io-uring",
             "Most programs have a setting that switches io_uring off, or do without it under "
             "`socktune run --supervise --no-io-uring`.",
             "it is linked to liburing: sockets that it makes, connects or accepts through "
             "io_uring pass the library by; those accepted from a listener that it opened with "
             "listen() still inherit the listener's options");
}

/* --- the library ------------------------------------------------------------------------------ */

/* What LD_PRELOAD would name; the caller frees it. NULL, and a finding, if there is no library. */
static char *find_library(struct report *report)
{
    char *path = library_path();
    char *named = path ? library_for_ld_so(path) : NULL;

    free(path);
    if (!named)
        find(report, FINDING_OBSTACLE, "library-missing",
             "Install it with `make install`, or build it with `make`.",
             LIBRARY_NAME " is neither beside this command nor in %s", library_directory);
    json_object_set_new(report->root, "library", json_text(named));
    return named;
}

/* --- the rules -------------------------------------------------------------------------------- */

/* What each way of applying the rule, or only `by`, does not give. */
static json_t *describe_limits(const struct policy *policy, const struct policy_rule *rule,
                               enum front_end by)
{
    json_t *list = json_array();

    for (unsigned way = 0; way < FRONT_END_COUNT; way++) {
        if (by != FRONT_END_COUNT && way != by)
            continue;
        for (uint32_t i = 0; i < rule->actions.count; i++) {
            uint32_t index = rule->actions.first + i;
            const struct policy_action *action = &policy->actions[index];
            const struct front_end_limit *limit =
                front_end_limit_of((enum front_end)way, policy, action, action->phases);
            if (limit != NULL)
                json_array_append_new(list, limit_json(policy, index, limit));
        }
    }
    return list;
}

static json_t *describe_rule(const struct policy *policy, const struct policy_rule *rule,
                             enum front_end by)
{
    json_t *options = json_array();
    uint32_t last = UINT32_MAX;

    for (uint32_t i = 0; i < rule->actions.count; i++) {
        const struct policy_action *action = &policy->actions[rule->actions.first + i];

        if (action->option != last)
            json_array_append_new(
                options, json_text(policy_string(policy, policy->options[action->option].name)));
        last = action->option;
    }
    return json_pack("{s:o, s:o, s:i, s:o, s:o}", "name",
                     json_text(policy_string(policy, rule->name)), "file",
                     json_text(policy_string(policy, rule->file)), "line", (int)rule->line,
                     "options", options, "missed", describe_limits(policy, rule, by));
}

static json_t *describe_active(const struct policy *policy, const struct identity *identity,
                               enum front_end by)
{
    uint32_t *active = calloc(policy->rule_count + 1u, sizeof *active);
    uint32_t count = active ? active_rules(policy, identity, active) : 0;
    json_t *rules = json_array();

    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(rules, describe_rule(policy, &policy->rules[active[i]], by));
    free(active);
    return rules;
}

/* Which rules of `path` (NULL: there are none) are for a program. */
static void report_rules(struct report *report, const char *path, const struct identity *identity)
{
    struct diagnostics diagnostics = {
        .report = print_error, .show = print_place, .context = stderr};
    struct loaded loaded;
    json_t *active;

    if (!path) {
        find(report, FINDING_NOTE, "no-rules",
             "Write /etc/socktune.d/NAME.conf, or name a rule file by -c; socktune.conf(5) tells "
             "how.",
             "there are no rules: SOCKTUNE_RULES is not set, and there is neither /etc/socktune.d "
             "nor /etc/socktune.conf");
        return;
    }
    if (load_rules(path, NULL, &diagnostics, &loaded) != 0) {
        find(report, FINDING_WARNING, "bad-rules", "Correct what `socktune check` tells.",
             "the rules at %s have errors: programs run untuned", path);
        return;
    }
    active = describe_active(&loaded.policy, identity, report->by);
    if (json_array_size(active) == 0)
        find(report, FINDING_NOTE, "no-rule-matches", NULL, "no rule of %s is for it", path);
    json_object_set_new(report->root, "rules",
                        json_pack("{s:o, s:I, s:o}", "path", json_text(path), "total",
                                  (json_int_t)loaded.policy.rule_count, "active", active));
    loaded_free(&loaded);
}

/* --- a program -------------------------------------------------------------------------------- */

static void report_script(struct report *report, const struct executable *executable)
{
    if (executable->hops)
        find(report, FINDING_NOTE, "script",
             "In a rule, match it by program = the interpreter's name and command = \"*NAME*\". "
             "Give doctor its arguments too, if rules look at them.",
             "it is a script that %s runs, and that is what rules see; programs that the script "
             "starts are preloaded too, each as `socktune doctor` tells of it",
             executable->file);
}

/* The words before a script's path in the command line of its interpreter: those of its `#!` line,
 * without env(1), which becomes the interpreter. Cuts `line` up; returns how many. */
static size_t interpreter_words(const char *path, char *line, int size, const char *words[2])
{
    FILE *file = fopen(path, "re");
    bool read = file != NULL && fgets(line, size, file) != NULL && strncmp(line, "#!", 2) == 0;
    char *rest = NULL, *first = read ? strtok_r(line + 2, " \t\n", &rest) : NULL;
    size_t count = 0;
    if (file != NULL)
        fclose(file);
    if (first == NULL)
        return 0;
    if (strcmp(first, "env") == 0 ||
        strcmp(first + strlen(first) - (strlen(first) > 4 ? 4 : 0), "/env") == 0)
        do
            first = strtok_r(NULL, " \t\n", &rest);
        while (first != NULL && (*first == '-' || strchr(first, '=') != NULL));
    if (first != NULL)
        words[count++] = first;
    words[count] = strtok_r(NULL, "\n", &rest); /* one argument, blanks and all */
    return count + (words[count] != NULL && *words[count] != '\0');
}

/* The command line as the kernel makes it: a script's interpreter and path stand before its
 * arguments. `line` has room for the words of the `#!` line. malloc()ed. */
static const char **command_line_of(const struct executable *executable, char *const *command,
                                    char *line, int size)
{
    const char *words[2] = {NULL, NULL};
    size_t count = 0, used = 0;
    const char **argv;

    while (command[count] != NULL)
        count++;
    argv = calloc(count + 4, sizeof *argv);
    if (argv == NULL)
        abort();
    if (executable->hops == 1)
        for (size_t i = 0, n = interpreter_words(executable->path, line, size, words); i < n; i++)
            argv[used++] = words[i];
    if (executable->hops && used == 0)
        argv[used++] = executable->file;
    argv[used++] = executable->hops ? executable->path : command[0];
    for (size_t i = 1; i < count; i++)
        argv[used++] = command[i];
    return argv;
}

static int cannot_execute(const struct executable *executable)
{
    int error = errno;

    if (error == ENOEXEC)
        command_failure("%s: neither a sound ELF executable nor a script", executable->file);
    else if (error == ELOOP)
        command_failure("%s: scripts run by scripts, deeper than the kernel follows",
                        executable->path);
    else if (executable->file && executable->path &&
             strcmp(executable->file, executable->path) != 0)
        command_failure("%s: runs %s: %s", executable->path, executable->file, strerror(error));
    else
        command_failure("%s: %s", executable->path ? executable->path : "", strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

static int examine_program(struct report *report, char *const *command, const char *rules)
{
    const char *name = command[0];
    struct executable executable;
    char *path = executable_find(name);
    char *library;
    int status = 0;

    if (!path) {
        command_failure("%s: %s", name, errno == ENOENT ? "no such program" : strerror(errno));
        return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
    }
    json_object_set_new(report->root, "program", json_text(name));
    library = find_library(report);
    if (executable_read(path, &executable) != 0) {
        status = cannot_execute(&executable);
    } else {
        struct launch launch = launch_of_self(library);
        char line[512];
        const char **argv = command_line_of(&executable, command, line, sizeof line);
        char *file = realpath(executable.file, NULL); /* as /proc/PID/exe will have it */
        char *cgroup = process_cgroup(0);             /* as `socktune run` has it */
        const struct identity identity = {.executable = file != NULL ? file : executable.file,
                                          .argv = argv,
                                          .uid = geteuid(),
                                          .gid = getegid(),
                                          .cgroup = cgroup};

        report_executable(report, &executable, executable_obstacles(&executable, &launch));
        report_script(report, &executable);
        report_rules(report, rules ? rules : default_rules(), &identity);
        free(file);
        free(cgroup);
        free(argv);
    }
    executable_free(&executable);
    free(library);
    free(path);
    return status;
}

/* --- a process -------------------------------------------------------------------------------- */

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

static void report_sockets(struct report *report, const struct process *process)
{
    json_t *sockets = json_array();

    for (size_t i = 0; i < process->socket_count; i++) {
        const struct process_socket *one = &process->sockets[i];

        json_array_append_new(sockets, json_pack("{s:i, s:s, s:s, s:s, s:s}", "fd", one->fd,
                                                 "protocol", one->protocol, "state", one->state,
                                                 "local", one->local, "remote", one->remote));
    }
    json_object_set_new(report->root, "sockets", sockets);
    json_object_set_new(report->root, "other_sockets",
                        json_integer((json_int_t)process->other_sockets));
}

/* Whether it has the library, and why not. */
static void report_loaded(struct report *report, const struct process *process)
{
    const char *preload = process_getenv(process, "LD_PRELOAD");

    if (!process->exe || process->library_loaded || process->unknown & UNKNOWN_MAPS)
        return;
    if (preload && strstr(preload, LIBRARY_NAME))
        find(report, FINDING_WARNING, "preload-ignored",
             "See that the path exists where the program runs, and is readable for its user. The "
             "loader told why on standard error when the program started; other findings may, too.",
             "LD_PRELOAD=%s was in its environment when it started, but the library is not loaded",
             preload);
    else
        find(report, FINDING_NOTE, "not-loaded",
             "Start it again by `socktune run`, or with LD_PRELOAD and SOCKTUNE_RULES in its "
             "environment (Environment= in its systemd unit).",
             "it runs without " LIBRARY_NAME);
    find(report, FINDING_INSTEAD, "apply", NULL,
         "`socktune apply -c RULES %d`: gives the sockets that it has open what the rules say, as "
         "it runs; with --watch SECONDS also those to come. A listener so tuned passes its options "
         "on to what it accepts. Needs the rights of its user.",
         process->pid);
}

/*
 * The library must be where the program's loader looks for it. A program that changed its root
 * after its start (haproxy, sshd) is not meant: in its new root there is no loader either.
 */
static void report_mounts(struct report *report, const struct process *process,
                          const struct executable *executable, const char *library)
{
    if (!process->other_mounts || process->library_loaded || !executable->loader || !library ||
        strchr(library, '$') || !process_sees(process, executable->loader) ||
        process_sees(process, library))
        return;
    find(report, FINDING_OBSTACLE, "library-not-visible",
         "Show the library and the rules to it read-only at the same paths: BindReadOnlyPaths= in "
         "a systemd unit, -v PATH:PATH:ro of a container, a bind mount for a chroot.",
         "it has another root directory or mount namespace than this shell, and %s does not exist "
         "there",
         library);
}

static void report_confinement(struct report *report, const struct process *process)
{
    if (process->supervisor != 0)
        find(report, FINDING_NOTE, "supervised", NULL,
             "it is supervised already (`socktune run --supervise`): its rules are those that were "
             "given there");
    else if (process->seccomp)
        find(report, FINDING_WARNING, "seccomp",
             "Let the filter allow setsockopt and getsockopt, or keep to rules on listeners: those "
             "are applied before listen(), as a rule before the program confines itself.",
             "a seccomp filter confines it (its own or a container's): options that a filter did "
             "not foresee may fail or, if it kills, end the program");
    if (process->no_new_privs)
        find(report, FINDING_NOTE, "no-new-privs", NULL,
             "no_new_privs is set: set-user-ID programs that it starts gain nothing, so preloading "
             "reaches them too");
    if (process->uring_open)
        find(report, FINDING_WARNING, "io-uring-open",
             "Most programs have a setting that switches io_uring off, or do without it under "
             "`socktune run --supervise --no-io-uring`.",
             "it has an io_uring open: sockets made, connected or accepted through it pass the "
             "library and --supervise by; accepted ones still inherit their listener's options");
    else if (process->uring_loaded)
        find(report, FINDING_NOTE, "io-uring-loaded", NULL,
             "liburing is loaded, but no io_uring is open");
    if (process->other_network)
        find(report, FINDING_NOTE, "network-namespace", NULL,
             "it is in another network namespace: net.* sysctls, which bound some values, are "
             "those of that namespace");
    if (process->other_users)
        find(report, FINDING_NOTE, "user-namespace", NULL,
             "it is in another user namespace: options that need a privilege need it there");
    if (process->exe_deleted)
        find(report, FINDING_NOTE, "replaced", NULL,
             "its file has been removed or replaced since it started: this tells of the old one");
}

static void report_environment(struct report *report, const struct process *process)
{
    const char *disable = process_getenv(process, "SOCKTUNE_DISABLE");

    if (disable && *disable && strcmp(disable, "0") != 0)
        find(report, FINDING_WARNING, "disabled", "Start it again without SOCKTUNE_DISABLE.",
             "SOCKTUNE_DISABLE=%s was in its environment when it started: the library does "
             "nothing there",
             disable);
    if (process->unknown) {
        report->unsure |= process->unknown & UNKNOWN_EXE;
        find(report, FINDING_WARNING, "not-permitted", "Ask again as root.",
             "you may not see all of what is asked here of a process of user %u",
             process->real_uid);
    }
}

/* The obstacles for a next start like this one. Whether privileges were gained is known here. */
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

    if (process->secure == SECURE_YES)
        obstacles |= OBSTACLE_SECURE;
    else if (process->secure == SECURE_NO)
        obstacles &= ~(unsigned)OBSTACLE_SECURE;
    /* Where the library is loaded, only what it cannot see there remains. */
    return process->library_loaded ? obstacles & OBSTACLE_GO : obstacles;
}

static void examine_running(struct report *report, const struct process *process,
                            const char *library)
{
    struct executable executable;
    char link[32];

    snprintf(link, sizeof link, "/proc/%d/exe", process->pid);
    if (executable_read(link, &executable) == 0) {
        free(executable.path);
        executable.path = strdup(process->exe);
        report_executable(report, &executable, process_obstacles(process, &executable, library));
        report_mounts(report, process, &executable, library);
    } else {
        report->unsure = true;
        find(report, FINDING_WARNING, "unreadable", "Ask again as root.",
             "its executable cannot be examined: %s", strerror(errno));
    }
    executable_free(&executable);
}

static const char *rules_of(const struct process *process, const char *named)
{
    const char *own = process_getenv(process, "SOCKTUNE_RULES");

    return named ? named : own && *own ? own : default_rules();
}

static void report_process(struct report *report, const struct process *process, const char *rules)
{
    const struct identity identity = process_identity(process);
    char *library = find_library(report);

    json_object_set_new(report->root, "program",
                        json_text(process->exe ? process->exe : process->name));
    json_object_set_new(report->root, "process", describe_process(process));
    if (process->exe)
        examine_running(report, process, library);
    else if (!(process->unknown & UNKNOWN_EXE))
        find(report, FINDING_OBSTACLE, "no-program", NULL,
             "it is a kernel thread, or has ended and waits for its parent: it has no program");
    report_loaded(report, process);
    report_environment(report, process);
    report_confinement(report, process);
    report_rules(report, rules_of(process, rules), &identity);
    report_sockets(report, process);
    free(library);
}

static int examine_process(struct report *report, pid_t pid, const char *rules)
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

/* --- text for people -------------------------------------------------------------------------- */

static const char *get_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Print words, indented behind what stands on the line already, within TEXT_WIDTH columns. */
static void print_wrapped(const char *text, int indent)
{
    int column = indent;

    while (*text) {
        int length = (int)strcspn(text, " ");

        if (column > indent && column + 1 + length > TEXT_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_finding(const json_t *finding)
{
    static const enum colour colours[] = {[FINDING_OBSTACLE] = COLOUR_RED,
                                          [FINDING_WARNING] = COLOUR_YELLOW,
                                          [FINDING_INSTEAD] = COLOUR_GREEN,
                                          [FINDING_NOTE] = COLOUR_DIM};
    const char *kind = get_text(finding, "kind");
    const char *advice = get_text(finding, "advice");
    enum colour mark = COLOUR_NONE;

    for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++)
        if (strcmp(kind, kind_names[i]) == 0)
            mark = colours[i];
    printf("  %s%-8s%s  ", colour(stdout, mark), kind, colour(stdout, COLOUR_NONE));
    print_wrapped(get_text(finding, "text"), 12);
    if (advice) {
        printf("%*s", 12, "-> ");
        print_wrapped(advice, 12);
    }
}

static void print_rule(const json_t *rule)
{
    const json_t *options = json_object_get(rule, "options");
    const json_t *missed = json_object_get(rule, "missed");
    char place[64];

    snprintf(place, sizeof place, ":%d", (int)json_integer_value(json_object_get(rule, "line")));
    printf("    %s  (%s%s)", get_text(rule, "name"), get_text(rule, "file"), place);
    for (size_t i = 0; i < json_array_size(options); i++)
        printf("%s%s", i ? ", " : ": ", json_string_value(json_array_get(options, i)));
    putchar('\n');
    for (size_t i = 0; i < json_array_size(missed); i++) {
        const json_t *limit = json_array_get(missed, i);
        char text[512];

        snprintf(text, sizeof text, "by %s, %s %s", get_text(limit, "by"),
                 get_text(limit, "option"), get_text(limit, "reason"));
        printf("      ");
        print_wrapped(text, 8);
    }
}

static void print_rules(const json_t *rules)
{
    const json_t *active = json_object_get(rules, "active");

    if (json_array_size(active) == 0)
        return;
    printf("  %zu of the %lld rules of %s are for it:\n", json_array_size(active),
           (long long)json_integer_value(json_object_get(rules, "total")), get_text(rules, "path"));
    for (size_t i = 0; i < json_array_size(active); i++)
        print_rule(json_array_get(active, i));
}

static void print_sockets(const json_t *sockets, json_int_t others)
{
    size_t count = json_array_size(sockets);

    if (count == 0)
        return;
    printf("  sockets:\n");
    for (size_t i = 0; i < count && i < TEXT_SOCKETS; i++) {
        const json_t *one = json_array_get(sockets, i);

        printf("    fd %-4d %-5s %-12s %s -> %s\n",
               (int)json_integer_value(json_object_get(one, "fd")), get_text(one, "protocol"),
               get_text(one, "state"), get_text(one, "local"), get_text(one, "remote"));
    }
    if (count > TEXT_SOCKETS)
        printf("    and %zu more (--json lists them)\n", count - TEXT_SOCKETS);
    if (others)
        printf("    and %lld of other kinds (unix, netlink)\n", (long long)others);
}

static void print_executable(const json_t *executable)
{
    const char *path = get_text(executable, "path"), *file = get_text(executable, "file");
    const char *machine = get_text(executable, "machine");

    if (!file)
        return;
    printf("  %s", file);
    if (machine)
        printf(" (%s, %s%s)", machine,
               strcmp(get_text(executable, "libc"), "none") == 0 ? "static"
                                                                 : get_text(executable, "libc"),
               json_is_true(json_object_get(executable, "go")) ? ", Go" : "");
    if (json_is_true(json_object_get(executable, "script")))
        printf(" runs the script %s", path);
    putchar('\n');
}

static const char *verdict_of(const struct report *report)
{
    const json_t *process = json_object_get(report->root, "process");

    if (report->obstructed)
        return "preloading cannot reach it";
    if (report->unsure)
        return "cannot tell whether preloading reaches it";
    if (!process)
        return "preloading reaches it";
    return json_is_true(json_object_get(process, "loaded"))
               ? LIBRARY_NAME " is loaded in it"
               : "preloading reaches it once it is started again";
}

static void print_text(const struct report *report)
{
    const json_t *root = report->root;
    const json_t *pid = json_object_get(json_object_get(root, "process"), "pid");
    const char *program = get_text(root, "program");
    const char *slash = pid ? strrchr(program, '/') : NULL;
    enum colour mark = report->obstructed ? COLOUR_RED
                       : report->unsure   ? COLOUR_YELLOW
                                          : COLOUR_GREEN;

    printf("%s%s", colour(stdout, mark), slash ? slash + 1 : program);
    if (pid)
        printf(" (%d)", (int)json_integer_value(pid));
    printf(": %s%s\n", verdict_of(report), colour(stdout, COLOUR_NONE));
    print_executable(json_object_get(root, "executable"));
    for (size_t i = 0; i < json_array_size(report->findings); i++)
        print_finding(json_array_get(report->findings, i));
    print_rules(json_object_get(root, "rules"));
    print_sockets(json_object_get(root, "sockets"),
                  json_integer_value(json_object_get(root, "other_sockets")));
}

/* --- the command ------------------------------------------------------------------------------ */

/* A process id, or 0 if that is none but a program's name. */
static pid_t parse_pid(const char *text)
{
    char *end;
    long pid;

    if (*text < '0' || *text > '9')
        return 0;
    errno = 0;
    pid = strtol(text, &end, 10);
    return *end == '\0' && errno == 0 && pid > 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

static int conclude(struct report *report, bool json)
{
    bool reachable = !report->obstructed && !report->unsure;

    json_object_set_new(report->root, "reachable",
                        !report->obstructed && report->unsure ? json_null()
                                                              : json_boolean(reachable));
    json_object_set_new(report->root, "verdict", json_string(verdict_of(report)));
    if (json) {
        if (print_json(json_incref(report->root)) != 0)
            return 1;
    } else {
        print_text(report);
    }
    return reachable ? 0 : 1;
}

struct doctor_arguments {
    const char *by;
    const char *rules;
    bool json;
};

static int cmd_doctor(int argc, char **argv)
{
    struct doctor_arguments arguments = {.rules = NULL};
    struct report report = {0};
    int status = 0;
    int first = parse_flags(argc, argv, &arguments, &status);
    pid_t pid;

    if (first < 0)
        return status;
    if (argc == first)
        return command_misuse("which program or process?");
    status = read_front_end(arguments.by, &report.by);
    if (status)
        return status;
    report.findings = json_array();
    report.root = json_pack("{s:O}", "findings", report.findings);
    pid = argc - first == 1 ? parse_pid(argv[first]) : 0;
    status = pid ? examine_process(&report, pid, arguments.rules)
                 : examine_program(&report, argv + first, arguments.rules);
    if (status == 0)
        status = conclude(&report, arguments.json);
    json_decref(report.findings);
    json_decref(report.root);
    return status;
}

static const struct flag flags[] = {
    FLAG_RULES(struct doctor_arguments, rules),
    FLAG_BY(struct doctor_arguments, by),
    FLAG_JSON(struct doctor_arguments, json),
    FLAGS_END,
};

const struct command doctor_command = {
    .name = "doctor",
    .summary = "find out whether preloading reaches a program",
    .synopsis = "[-c RULES] [--by WAY] [--json] PROGRAM [ARGUMENT...] | PID",
    .details =
        "PROGRAM is looked up in PATH, as a shell does; a number is a running process (for a "
        "program with such a name, write ./NUMBER). Prints what prevents preloading and what to "
        "do instead, which rules are for the program, and the sockets of a process.",
    .flags = flags,
    .notes = "The exit status is 0 if preloading reaches the program, 1 if it does not or if that "
             "cannot be determined, and 127 if there is no such program or process.",
    .operand = "<program>",
    .operands_last = true,
    .run = cmd_doctor,
};
