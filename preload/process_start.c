/* SPDX-License-Identifier: MIT */
/*
 * glibc passes argv and the environment to the constructor. With -z initfirst it runs before libc
 * has set `__environ`. Without (another object took initfirst), an earlier constructor may have
 * called setenv(), so `__environ` is the valid environment.
 *
 * musl passes no arguments to constructors, but has set `__environ`. The arguments are right below
 * the environment that the kernel made. After setenv() the environment is on the heap, and the
 * arguments cannot be found; then the executed name (AT_EXECFN) replaces argv[0].
 */
#include "process_start.h"

#include "handed_over.h"
#include "kernel.h"
#include "text.h"
#include "weak_libc.h"

#include <elf.h>
#include <sys/auxv.h>

/* The kernel puts the strings of arguments and environment, and AT_EXECFN above them, into at most
 * this much of the stack (three quarters of 8 MiB, fs/exec.c). The pointers are below. */
#define START_BYTES_MAX ((uintptr_t)16 << 20)

static char *no_environment[1];

static const char *executed_name(void)
{
    return (const char *)getauxval(AT_EXECFN); /* NOLINT(performance-no-int-to-ptr) */
}

/* True for the environment that the kernel made, false for one that setenv() made. */
static bool is_on_stack(char *const *environment)
{
    uintptr_t top = (uintptr_t)executed_name();
    return top != 0 && (uintptr_t)environment < top &&
           top - (uintptr_t)environment < START_BYTES_MAX;
}

/* Finds argv: it ends with the NULL right below the environment, and begins after the number of its
 * strings. */
static const char *const *argv_below(char *const *environment)
{
    const char *const *end = (const char *const *)environment - 1;
    for (intptr_t count = 0;; count++)
        if ((intptr_t)end[-count - 1] == count)
            return end - count;
}

/* True for the arguments of a glibc constructor, false for random register contents. No pointer is
 * dereferenced before the numbers fit. */
static bool are_arguments(int argc, char **argv, char **environment)
{
    return argc >= 0 && (uintptr_t)argc < START_BYTES_MAX / sizeof *argv &&
           environment == argv + argc + 1 && is_on_stack(environment);
}

void process_start_find(struct process_start *start, int argc, char **argv, char **environment)
{
    bool given = are_arguments(argc, argv, environment);
    bool set = &__environ != NULL && __environ != NULL;
    start->environment = set ? __environ : given ? environment : no_environment;
    if (given) {
        start->argv = (const char *const *)argv;
    } else if (is_on_stack(start->environment)) {
        start->argv = argv_below(start->environment);
    } else {
        start->argv_copy[0] = executed_name();
        start->argv_copy[1] = NULL;
        start->argv = start->argv_copy;
    }
}

static bool is_on(char *const *environment, const char *name)
{
    const char *value = text_getenv(environment, name);
    return value != NULL && value[0] != 0 && !text_equal(value, "0");
}

static bool has_prefix(const char *text, const char *begin)
{
    while (*begin != 0 && *text == *begin) {
        text++;
        begin++;
    }
    return *begin == 0;
}

static void remove_variables(char *const *environment)
{
    char **to = (char **)environment;
    for (char *const *from = environment; *from != NULL; from++)
        if (!has_prefix(*from, "SOCKTUNE_"))
            *to++ = *from;
    *to = NULL;
}

/* The whole entry NAME=value, or NULL. `name` includes the "=". */
static const char *entry_of(char *const *environment, const char *name)
{
    for (; *environment != NULL; environment++)
        if (has_prefix(*environment, name))
            return *environment;
    return NULL;
}

struct settings process_start_settings(const struct process_start *start)
{
    char *const *environment = start->environment;
    struct settings settings = {.owner.uid = (uint32_t)getauxval(AT_EUID),
                                .secure = getauxval(AT_SECURE) != 0};
    if (settings.secure) {
        remove_variables(environment);
        return settings;
    }
    settings.rules = text_getenv(environment, "SOCKTUNE_RULES");
    settings.trace = text_getenv(environment, "SOCKTUNE_TRACE");
    settings.helper = text_getenv(environment, "SOCKTUNE_HELPER");
    settings.runtime = text_getenv(environment, "XDG_RUNTIME_DIR");
    settings.journal = text_getenv(environment, "JOURNAL_STREAM");
    settings.owner.home = text_getenv(environment, "HOME");
    settings.owner.xdg = text_getenv(environment, "XDG_CACHE_HOME");
    settings.home = entry_of(environment, "HOME=");
    settings.cache_home = entry_of(environment, "XDG_CACHE_HOME=");
    settings.handed_over = handed_over_end(
        environment, text_getenv(environment, "LISTEN_FDS") != NULL ? kernel_call(SYS_getpid) : 0);
    settings.disable = is_on(environment, "SOCKTUNE_DISABLE");
    settings.live = is_on(environment, "SOCKTUNE_LIVE");
    settings.strict = is_on(environment, "SOCKTUNE_STRICT");
    return settings;
}

const char *process_start_cgroup(char *buffer, size_t size)
{
    int fd = kernel_open("/proc/self/cgroup", O_RDONLY);
    if (fd < 0)
        return NULL;
    size_t length = 0;
    long got;
    while (length + 1 < size &&
           (got = kernel_call(SYS_read, fd, buffer + length, size - 1 - length)) > 0)
        length += (size_t)got;
    kernel_close(fd);
    buffer[length] = 0;
    /* The line of the version 2 hierarchy is "0::/PATH"; cgroups(7). */
    for (char *line = buffer; *line != 0;) {
        char *end = line;
        while (*end != 0 && *end != '\n')
            end++;
        bool is_last = *end == 0;
        *end = 0;
        if (has_prefix(line, "0::"))
            return line + 3;
        line = is_last ? end : end + 1;
    }
    return NULL;
}
