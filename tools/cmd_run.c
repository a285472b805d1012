/* SPDX-License-Identifier: MIT */
/*
 * socktune run: checks the rules, and becomes the program, with the library preloaded.
 */
#include "commands.h"
#include "elf.h"
#include "flags.h"
#include "library.h"
#include "policy_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As env(1): its own failure, as against the program's. */
#define EXIT_OWN_FAILURE 125

/* Puts one variable into the environment; frees `value`, which may be NULL (with errno). */
static int set_variable(const char *name, char *value)
{
    int failed = !value || setenv(name, value, 1) != 0;

    if (failed)
        command_failure("cannot set %s: %s", name, strerror(errno));
    free(value);
    return failed;
}

/* Checks the rules and points SOCKTUNE_RULES at them. Returns 0 or an exit status. */
static int set_rules(const char *rules, bool verbose)
{
    struct diagnostics diagnostics = {.report = verbose ? print_diagnostic : print_error,
                                      .context = stderr};
    struct check_context context = current_context();
    struct loaded loaded;
    int failed;

    if (!rules) {
        command_failure("no rules: name some with -c, set SOCKTUNE_RULES, or write "
                        "/etc/socktune.d/NAME.conf or /etc/socktune.conf");
        return EXIT_RULES;
    }
    if (load_rules(rules, verbose ? &context : NULL, &diagnostics, &loaded) != 0)
        return EXIT_RULES;
    failed = set_variable("SOCKTUNE_RULES", policy_store(rules, &loaded));
    loaded_free(&loaded);
    return failed ? EXIT_OWN_FAILURE : 0;
}

/* What stands between the library and the program; 0 too if the program cannot be looked into, for
 * execvp() will tell why. */
static unsigned obstacles_of(const char *program, const char *library)
{
    char *path = executable_find(program);
    struct launch launch = launch_of_self(library);
    struct executable executable;
    unsigned obstacles = 0;

    if (!path)
        return 0;
    if (executable_read(path, &executable) == 0)
        obstacles = executable_obstacles(&executable, &launch);
    executable_free(&executable);
    free(path);
    return obstacles;
}

static void warn(const char *program, unsigned obstacles)
{
    size_t count;
    const struct obstacle *table = obstacle_table(&count);

    for (size_t i = 0; i < count; i++)
        if (obstacles & table[i].bit)
            fprintf(stderr, "socktune run: warning: %s runs untuned: %s. %s\n", program,
                    table[i].problem, table[i].advice);
}

/* ASan's shared runtime aborts when it is not the first object. It need not be, for us: we replace
 * no function that it has to see first. */
static int allow_asan(void)
{
    static const char option[] = "verify_asan_link_order=0";
    const char *before = getenv("ASAN_OPTIONS");
    char *value = NULL;

    if (asprintf(&value, "%s%s%s", before ? before : "", before && *before ? ":" : "", option) < 0)
        value = NULL;
    return set_variable("ASAN_OPTIONS", value);
}

/* Finds out how the library reaches the program, and sets the environment for that. */
static int preload(const char *program, const char *path, bool verbose)
{
    char *library = library_for_ld_so(path);
    unsigned obstacles = library ? obstacles_of(program, library) : 0;
    char *list = NULL;
    int status = EXIT_OWN_FAILURE;

    if (library && obstacles & OBSTACLE_MUSL_TOKEN) {
        free(library);
        library = strdup(path);
        obstacles &= ~(unsigned)OBSTACLE_MUSL_TOKEN;
    }
    if (!verbose)
        obstacles &= ~(unsigned)OBSTACLE_UNREADABLE; /* it may well be reached */
    warn(program, obstacles & ~(unsigned)OBSTACLE_ASAN);
    list = library ? library_appended(getenv("LD_PRELOAD"), library) : NULL;
    if (!list && errno == EINVAL)
        command_failure("ld.so cannot preload %s: the path has a space, a colon or a dollar sign",
                        path);
    else if (set_variable("LD_PRELOAD", list) == 0)
        status = obstacles & OBSTACLE_ASAN && allow_asan() ? EXIT_OWN_FAILURE : 0;
    free(library);
    return status;
}

static int set_preload(const char *program, bool verbose)
{
    char *path = library_path();
    int status;

    if (!path) {
        command_failure("cannot find " LIBRARY_NAME " beside the socktune command or in " LIBDIR
                        "/socktune");
        return EXIT_OWN_FAILURE;
    }
    status = preload(program, path, verbose);
    free(path);
    return status;
}

/* `file` NULL: not asked for; "" or "stderr": to standard error; a file: by its absolute path,
 * since the program may change its directory. */
static int set_trace(const char *file)
{
    bool is_stderr = file && (!*file || strcmp(file, "stderr") == 0);

    if (!file)
        return 0;
    return set_variable("SOCKTUNE_TRACE", is_stderr ? strdup("stderr") : absolute_path(file))
               ? EXIT_OWN_FAILURE
               : 0;
}

/* Returns only if the program cannot be run. */
static int become(char **argv)
{
    execvp(argv[0], argv);
    command_failure("%s: %s", argv[0], strerror(errno));
    return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

int cmd_run(int argc, char **argv)
{
    const char *rules = NULL, *trace = NULL;
    bool verbose = false;
    const struct flag flags[] = {{"config", 'c', FLAG_VALUE, &rules},
                                 {"trace", 0, FLAG_OPTIONAL, &trace},
                                 {"verbose", 'v', FLAG_SWITCH, &verbose},
                                 {NULL, 0, FLAG_SWITCH, NULL}};
    int status;
    int first = parse_flags(argc, argv, flags, OPERANDS_LAST, &status);

    if (first < 0)
        return status;
    if (first == argc)
        return command_misuse("expected the program to run");
    status = set_rules(rules ? rules : default_rules(), verbose);
    if (!status)
        status = set_preload(argv[first], verbose);
    if (!status)
        status = set_trace(trace);
    return status ? status : become(argv + first);
}
