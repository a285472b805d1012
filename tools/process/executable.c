/* SPDX-License-Identifier: MIT */
/*
 * From a name or path to the program that runs: the search in PATH, scripts and their interpreters,
 * and what the file's mode and attributes say.
 */
#include "executable.h"
#include "elf_file.h"
#include "text.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_LINE  256 /* BINPRM_BUF_SIZE of the kernel: no more of a `#!` line is read */
#define SCRIPT_DEPTH 5   /* how many interpreters the kernel follows (execve(2), ELOOP) */

static const char *const no_libraries[] = {NULL};

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

const char *executable_needs(const struct executable *executable, const char *prefix)
{
    for (char **name = executable->needed; *name; name++)
        if (begins_with(*name, prefix))
            return *name;
    return NULL;
}

/* --- scripts ---------------------------------------------------------------------------------- */

/* The command that `env ARGUMENTS` runs, cut out of `arguments`; NULL if there is none. The kernel
 * passes all that follows the interpreter as one argument, which `env -S` takes apart. */
static char *env_command(char *arguments)
{
    char *rest = NULL, *word;

    if (begins_with(arguments, "-S"))
        arguments += 2;
    else if (begins_with(arguments, "--split-string="))
        arguments += strlen("--split-string=");
    for (word = strtok_r(arguments, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0)
            (void)strtok_r(NULL, " \t", &rest); /* the option's own argument */
        else if (word[0] != '-' && !strchr(word, '='))
            return word;
    }
    return NULL;
}

/*
 * The program that runs the script that begins with `line`: the interpreter of its `#!`; the
 * command, if that is env(1); without `#!`, /bin/sh as execvp(3) does. Returns a malloc()ed path;
 * or NULL with errno, and `sought` is the command that env(1) will look for in vain, if that is
 * why.
 */
static char *script_interpreter(char *line, const char **sought)
{
    char *rest = NULL, *interpreter, *arguments, *command;

    if (!begins_with(line, "#!"))
        return strdup("/bin/sh");
    line[strcspn(line, "\n")] = '\0';
    interpreter = strtok_r(line + 2, " \t", &rest);
    if (!interpreter)
        return errno = ENOEXEC, NULL;
    arguments = rest ? rest + strspn(rest, " \t") : NULL;
    if (arguments && strcmp(text_basename(interpreter), "env") == 0 &&
        (command = env_command(arguments))) {
        char *found = executable_find(command);

        if (!found)
            *sought = command;
        return found;
    }
    return strdup(interpreter);
}

/* --- the file --------------------------------------------------------------------------------- */

char *executable_find(const char *name)
{
    const char *path = getenv("PATH");
    int error = ENOENT;

    if (strchr(name, '/'))
        return strdup(name);
    if (!path)
        path = "/bin:/usr/bin"; /* what execvp(3) takes then */
    for (const char *end; *name; path = end + 1) {
        char candidate[PATH_MAX];
        struct stat status;
        int length;

        end = strchrnul(path, ':');
        length = snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)(end - path), path,
                          end > path ? "/" : "./", name);
        if (length < (int)sizeof candidate && stat(candidate, &status) == 0 &&
            S_ISREG(status.st_mode)) {
            if (access(candidate, X_OK) == 0)
                return strdup(candidate);
            error = EACCES;
        }
        if (!*end)
            break;
    }
    return errno = error, NULL;
}

/* Mode, owner and capabilities of the file that runs. Those of a script mean nothing: the kernel
 * takes them from the interpreter. */
static int read_privileges(const char *path, struct executable *executable)
{
    struct stat status;
    struct statvfs mount;
    bool honoured;

    if (stat(path, &status) != 0 || statvfs(path, &mount) != 0)
        return -1;
    if (!S_ISREG(status.st_mode))
        return errno = S_ISDIR(status.st_mode) ? EISDIR : EACCES, -1;
    if (access(path, X_OK) != 0)
        return -1;
    honoured = !(mount.f_flag & ST_NOSUID);
    executable->uid = status.st_uid;
    executable->gid = status.st_gid;
    executable->setuid = honoured && (status.st_mode & S_ISUID);
    executable->setgid = honoured && (status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP);
    executable->capabilities = honoured && getxattr(path, "security.capability", NULL, 0) > 0;
    return 0;
}

/* Returns 0 with the script's interpreter in `next`, or -1 with errno. */
static int follow_script(char *start, struct executable *executable, char **next)
{
    const char *sought = NULL;
    int error;

    executable->readable = false; /* nothing is known of the interpreter yet */
    *next = script_interpreter(start, &sought);
    if (*next)
        return 0;
    error = errno;
    if (sought) {
        char *name = strdup(sought);

        free(executable->file);
        executable->file = name;
    }
    errno = error;
    return -1;
}

/* Read one file of the chain. Returns 0, with `next` NULL when it is the program, or with what
 * runs it when it is a script; or -1 with errno. */
static int read_file(const char *path, struct executable *executable, char **next)
{
    char start[SCRIPT_LINE + 1] = "";
    ssize_t length;
    int fd, result;

    free(executable->file);
    executable->file = realpath(path, NULL);
    if (!executable->file && !(executable->file = strdup(path)))
        return -1;
    if (read_privileges(path, executable) != 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -1;
    length = pread(fd, start, SCRIPT_LINE, 0);
    executable->readable = true;
    if (length >= SELFMAG && memcmp(start, ELFMAG, SELFMAG) == 0) {
        result = elf_file_read(fd, executable);
    } else if (length < 0 || memchr(start, '\0', (size_t)length)) {
        errno = length < 0 ? errno : ENOEXEC;
        result = -1;
    } else {
        result = follow_script(start, executable, next);
    }
    close(fd);
    return result;
}

int executable_read(const char *path, struct executable *executable)
{
    char *next = NULL, *at;
    int result;

    *executable = (struct executable){.needed = (char **)no_libraries};
    executable->path = strdup(path);
    at = strdup(path);
    if (!executable->path || !at) {
        free(at);
        return -1;
    }
    while ((result = read_file(at, executable, &next)) == 0 && next) {
        free(at);
        at = next;
        next = NULL;
        if (++executable->hops > SCRIPT_DEPTH) {
            errno = ELOOP;
            result = -1;
            break;
        }
    }
    free(at);
    return result;
}

void executable_free(struct executable *executable)
{
    free(executable->path);
    free(executable->file);
    free(executable->loader);
    if (executable->needed != (char **)no_libraries) {
        for (char **name = executable->needed; *name; name++)
            free(*name);
        free(executable->needed);
    }
}
