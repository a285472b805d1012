/* SPDX-License-Identifier: MIT */
/*
 * socktune run: checks the rules, and becomes the program, with the library preloaded or under
 * supervision.
 */
#include "commands.h"
#include "executable_failure.h"
#include "library.h"
#include "messages.h"
#include "obstacles.h"
#include "policy_cache.h"
#include "print_diagnostic.h"
#include "supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As env(1): its own failure, as against the program's. */
#define EXIT_OWN_FAILURE 125

/* Puts one variable into the environment; frees `value`, which may be NULL (with errno). */
static int set_variable(const char *name, char *value)
{
    int failed = value == NULL || setenv(name, value, 1) != 0;
    if (failed)
        command_failure("cannot set %s: %s", name, strerror(errno));
    free(value);
    return failed;
}

/* Reads and checks the rules. Returns 0 with `*loaded`, or an exit status. */
static int read_rules(const char *rules, bool verbose, struct loaded *loaded)
{
    struct diagnostics diagnostics = {
        .report = verbose ? print_diagnostic : print_error, .show = print_place, .context = stderr};
    struct check_context context = current_context();
    if (rules == NULL) {
        command_failure("no rules: name some with -c, set SOCKTUNE_RULES, or write "
                        "/etc/socktune.d/NAME.conf or /etc/socktune.conf");
        return EXIT_RULES;
    }
    if (rules_are_standard_input(rules)) {
        command_failure("standard input is the program's: write the rules into a file");
        return EXIT_RULES;
    }
    return load_rules(rules, verbose ? &context : NULL, &diagnostics, loaded) ? EXIT_RULES : 0;
}

/* What stands between the library and the program; 0 too if the program cannot be looked into, for
 * execvp() reports why. */
static unsigned obstacles_of(const char *program, const char *library)
{
    char *path = executable_find(program);
    struct launch launch = launch_of_self(library);
    struct executable executable;
    unsigned obstacles = 0;
    if (path == NULL)
        return 0;
    if (executable_read(path, &executable) == 0)
        obstacles = executable_obstacles(&executable, &launch);
    executable_free(&executable);
    free(path);
    return obstacles;
}

static void warn_of_obstacles(const char *program, unsigned obstacles)
{
    size_t count;
    const struct obstacle *table = obstacle_table(&count);
    for (size_t i = 0; i < count; i++)
        if (obstacles & table[i].bit)
            message_warn("%s %s: %s. %s", program,
                         table[i].bit & OBSTACLES_PARTIAL ? "is tuned in part" : "runs untuned",
                         table[i].problem, table[i].advice);
}

/* ASan's shared runtime aborts when it is not the first object. It need not be, for us: we replace
 * no function that it has to see first. */
static int allow_asan(void)
{
    static const char option[] = "verify_asan_link_order=0";
    const char *before = getenv("ASAN_OPTIONS");
    char *value = NULL;
    if (asprintf(&value, "%s%s%s", before != NULL ? before : "",
                 before != NULL && *before ? ":" : "", option) < 0)
        value = NULL;
    return set_variable("ASAN_OPTIONS", value);
}

/* Finds out how the library reaches the program, and sets the environment for that. */
static int set_preload(const char *program, const char *path, bool verbose)
{
    char *library = library_for_ld_so(path);
    unsigned obstacles = library != NULL ? obstacles_of(program, library) : 0;
    char *list = NULL;
    int status = EXIT_OWN_FAILURE;
    if (library != NULL && obstacles & OBSTACLE_MUSL_TOKEN) {
        free(library);
        library = strdup(path);
        obstacles &= ~(unsigned)OBSTACLE_MUSL_TOKEN;
    }
    if (!verbose)
        obstacles &= ~(unsigned)OBSTACLE_UNREADABLE; /* it may well be reached */
    warn_of_obstacles(program, obstacles & ~(unsigned)OBSTACLE_ASAN);
    list = library != NULL ? library_appended(getenv("LD_PRELOAD"), library) : NULL;
    if (list == NULL && errno == EINVAL)
        command_failure("ld.so cannot preload %s: the path has a space, a colon or a dollar sign",
                        path);
    else if (set_variable("LD_PRELOAD", list) == 0)
        status = obstacles & OBSTACLE_ASAN && allow_asan() ? EXIT_OWN_FAILURE : 0;
    free(library);
    return status;
}

static int preload_library(const char *program, bool verbose)
{
    char *path = library_path();
    int status;
    if (path == NULL) {
        command_failure("cannot find " LIBRARY_NAME " beside the socktune command or in %s",
                        library_directory);
        return EXIT_OWN_FAILURE;
    }
    status = set_preload(program, path, verbose);
    free(path);
    return status;
}

/* The command line. */
struct run_arguments {
    const char *rules;
    const char *trace; /* NULL: no; "" or "stderr": to standard error; or a file */
    bool live;
    bool supervise;
    bool no_io_uring;
    bool verbose;
};

/* Why the library cannot write a trace to the file, which it opens in the same way; NULL if it can.
 * The library itself reports no error. */
static const char *trace_obstacle(const char *file)
{
    int fd = open(
        file, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
    struct stat status;
    int failed;
    if (fd < 0)
        return errno == ELOOP ? "it is a symbolic link" : strerror(errno);
    failed = fstat(fd, &status);
    close(fd);
    if (failed != 0)
        return strerror(errno);
    if (!S_ISREG(status.st_mode))
        return "it is not a regular file";
    return geteuid() == 0 && status.st_uid != 0 ? "it is a file of another user" : NULL;
}

static bool is_standard_error(const char *file)
{
    return *file == '\0' || strcmp(file, "stderr") == 0;
}

/* A trace file is named by its absolute path, since the program may change its directory. */
static int set_trace(const char *file)
{
    bool is_stderr = file != NULL && is_standard_error(file);
    if (file == NULL)
        return 0;
    return set_variable("SOCKTUNE_TRACE", is_stderr ? strdup("stderr") : absolute_path(file))
               ? EXIT_OWN_FAILURE
               : 0;
}

/* What SOCKTUNE_RULES is to say. The policy is kept in the cache, where the library looks; if that
 * cannot be, the library has the rules compiled. */
static char *keep_policy(const char *rules, const struct loaded *loaded)
{
    char *absolute = absolute_path(rules);
    if (absolute != NULL && loaded->ruleset != NULL)
        (void)policy_cache_keep(absolute, loaded->blob, loaded->size);
    return absolute;
}

/* From inside: the program loads the library. */
static int prepare_preload(const struct run_arguments *request, const struct loaded *loaded,
                           char **argv)
{
    if (set_variable("SOCKTUNE_RULES", keep_policy(request->rules, loaded)) != 0)
        return EXIT_OWN_FAILURE;
    if (request->live && set_variable("SOCKTUNE_LIVE", strdup("1")) != 0)
        return EXIT_OWN_FAILURE;
    return preload_library(argv[0], request->verbose);
}

/* From outside: the program is supervised. A trace file of the environment may be named by a
 * relative path, and the supervisor has another directory. */
static int prepare_supervision(const struct run_arguments *request, const struct loaded *loaded,
                               char **argv)
{
    const char *disable = getenv("SOCKTUNE_DISABLE"), *trace = getenv("SOCKTUNE_TRACE");
    struct supervision supervision = {
        .policy = &loaded->policy, .refuse_uring = request->no_io_uring, .argv = argv};
    if (disable != NULL && *disable && strcmp(disable, "0") != 0)
        return 0;
    if (trace != NULL && *trace && set_trace(trace) != 0)
        return EXIT_OWN_FAILURE;
    supervision.trace = getenv("SOCKTUNE_TRACE");
    return supervise_self(&supervision) ? EXIT_OWN_FAILURE : 0;
}

/* execve() fails with ENOENT also if the file is there and what runs it is not. Returns true, after
 * a message, if that is so. */
static bool report_missing_interpreter(const char *program)
{
    char *path = executable_find(program);
    struct executable executable = {.path = NULL};
    int result = path != NULL ? executable_read(path, &executable) : 0;
    bool missing = result != 0 && errno == ENOENT;
    bool lacks_loader =
        result == 0 && executable.loader != NULL && access(executable.loader, F_OK) != 0;
    if (missing)
        executable_failure(&executable, ENOENT);
    else if (lacks_loader)
        command_failure("%s: its ELF interpreter %s does not exist", program, executable.loader);
    if (path != NULL)
        executable_free(&executable);
    free(path);
    return missing || lacks_loader;
}

/* Of a file that the kernel does not know. execvp() gives each such file to /bin/sh, but only a
 * text can be meant for that. Returns true, after a message, if it is none. */
static bool refuse_unknown(const char *path)
{
    struct executable executable;
    int result = executable_read(path, &executable);
    bool damaged = result != 0 && errno == ENOEXEC;
    bool is_text = executable.hops == 1 && strcmp(executable.command[0], "/bin/sh") == 0;
    bool foreign = result == 0 && executable.readable && !is_text;
    if (damaged)
        executable_failure(&executable, ENOEXEC);
    else if (foreign)
        command_failure("%s: this kernel does not execute programs for %s", executable.file,
                        elf_machine_name(executable.abi));
    executable_free(&executable);
    return damaged || foreign;
}

/* Returns only if the program cannot be run. */
static int become_program(char **argv)
{
    char *path = executable_find(argv[0]);
    int error;
    if (path != NULL && execv(path, argv) != 0 && errno == ENOEXEC && refuse_unknown(path)) {
        free(path);
        return EXIT_CANNOT_RUN;
    }
    free(path);
    execvp(argv[0], argv);
    error = errno;
    if (error != ENOENT || !report_missing_interpreter(argv[0]))
        command_failure("%s: %s", argv[0], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

/* 0 if a trace can be written where the command line says. */
static int check_trace(const char *file)
{
    const char *obstacle = file != NULL && !is_standard_error(file) ? trace_obstacle(file) : NULL;
    if (obstacle == NULL)
        return 0;
    command_failure("cannot write a trace to %s: %s", file, obstacle);
    return EXIT_OWN_FAILURE;
}

static int run_program(const struct run_arguments *request, char **argv)
{
    struct loaded loaded;
    int status = check_trace(request->trace);
    if (status != 0)
        return status;
    status = read_rules(request->rules, request->verbose, &loaded);
    if (status)
        return status;
    status = set_trace(request->trace);
    if (!status)
        status = request->supervise ? prepare_supervision(request, &loaded, argv)
                                    : prepare_preload(request, &loaded, argv);
    loaded_free(&loaded);
    return status ? status : become_program(argv);
}

static int cmd_run(int argc, char **argv)
{
    struct run_arguments request = {0};
    int status;
    int first = parse_flags(argc, argv, &request, &status);
    if (first < 0)
        return status;
    if (first == argc)
        return command_misuse("expected the program to run");
    if (request.no_io_uring && !request.supervise)
        return command_misuse("--no-io-uring needs --supervise");
    if (request.live && request.supervise)
        return command_misuse("--live cannot be combined with --supervise: a supervised program "
                              "keeps the rules that it was started with");
    if (request.rules == NULL)
        request.rules = default_rules();
    return run_program(&request, argv + first);
}

static const struct flag flags[] = {
    FLAG_RULES(struct run_arguments, rules),
    {"trace", 0, FLAG_OPTIONAL, offsetof(struct run_arguments, trace), "FILE",
     "write each decision to FILE or to standard error", "<file>", NULL},
    {"live", 0, FLAG_SWITCH, offsetof(struct run_arguments, live), NULL,
     "let the program take new rules while it runs (socktune reload), as with live = true in the "
     "rules",
     NULL, NULL},
    {"supervise", 0, FLAG_SWITCH, offsetof(struct run_arguments, supervise), NULL,
     "set options from outside, without a preloaded library: for static, Go and other programs "
     "that preloading does not reach",
     NULL, NULL},
    {"no-io-uring", 0, FLAG_SWITCH, offsetof(struct run_arguments, no_io_uring), NULL,
     "with --supervise, let io_uring_setup() fail with ENOSYS, so that programs use ordinary "
     "system calls",
     NULL, NULL},
    {"verbose", 'v', FLAG_SWITCH, offsetof(struct run_arguments, verbose), NULL,
     "print warnings about the rules too", NULL, NULL},
    FLAGS_END,
};

const struct command run_command = {
    .name = "run",
    .summary = "run a program under rules",
    .synopsis =
        "[-c RULES] [--trace[=FILE]] [--live | --supervise [--no-io-uring]] [--verbose] [--] "
        "PROGRAM [ARGUMENT...]",
    .flags = flags,
    .notes =
        "The exit status is the program's. It is 78 if the rules are wrong, 126 if the program "
        "cannot be run, 127 if it is not found, and 125 if socktune itself fails.",
    .operand = "<program>",
    .operands_last = true,
    .run = cmd_run,
};
