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
#define SCRIPT_WORDS 8   /* of a `#!` line */

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

/* The command that `env ARGUMENTS` runs, and its arguments, cut out of `arguments`. Returns how
 * many words. The kernel passes all that follows the interpreter as one argument, which `env -S`
 * takes apart. */
static size_t env_words(char *arguments, const char *words[SCRIPT_WORDS])
{
    char *rest = NULL, *word;
    size_t count = 0;
    if (begins_with(arguments, "-S"))
        arguments += 2;
    else if (begins_with(arguments, "--split-string="))
        arguments += strlen("--split-string=");
    for (word = strtok_r(arguments, " \t", &rest); word != NULL && count < SCRIPT_WORDS;
         word = strtok_r(NULL, " \t", &rest)) {
        if (count == 0 && (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0))
            (void)strtok_r(NULL, " \t", &rest); /* the option's own argument */
        else if (count != 0 || (word[0] != '-' && strchr(word, '=') == NULL))
            words[count++] = word;
    }
    return count;
}

/* The words that come before a script in the command line of its interpreter: those of its `#!`
 * line, cut out of `line`; without env(1), which becomes the command that it looks for, and then
 * `searched`. Without `#!`, /bin/sh, as execvp(3) does. Returns how many; 0: there are none. */
static size_t script_words(char *line, const char *words[SCRIPT_WORDS], bool *searched)
{
    char *rest = NULL, *arguments;
    size_t count;
    *searched = false;
    words[0] = "/bin/sh";
    if (!begins_with(line, "#!"))
        return 1;
    line[strcspn(line, "\n")] = '\0';
    for (size_t end = strlen(line); end > 0 && strchr(" \t", line[end - 1]) != NULL; end--)
        line[end - 1] = '\0';
    words[0] = strtok_r(line + 2, " \t", &rest);
    if (words[0] == NULL)
        return 0;
    arguments = rest != NULL ? rest + strspn(rest, " \t") : NULL;
    if (arguments == NULL || !*arguments)
        return 1;
    if (strcmp(text_basename(words[0]), "env") == 0 && (count = env_words(arguments, words)) != 0) {
        *searched = true;
        return count;
    }
    words[1] = arguments;
    return 2;
}

static void free_words(char **words)
{
    for (char **word = words; word != NULL && *word != NULL; word++)
        free(*word);
    free((void *)words);
}

/* The command line of the interpreter: `words`, the script's path, and what stood behind the name
 * of what is executed. Returns 0, or -1 with errno. */
static int put_before(struct executable *executable, const char *const *words, size_t count,
                      const char *script)
{
    size_t old = 0, used = 0;
    char **command;
    while (executable->command[old] != NULL)
        old++;
    command = calloc(count + old + 1, sizeof *command);
    if (command == NULL)
        return -1;
    for (size_t i = 0; i < count; i++)
        command[used++] = strdup(words[i]);
    command[used++] = strdup(script);
    for (size_t i = 1; i < old; i++)
        command[used++] = strdup(executable->command[i]);
    free_words(executable->command);
    executable->command = command;
    executable->script = command[count];
    return 0;
}

/* --- the file --------------------------------------------------------------------------------- */

char *executable_find(const char *name)
{
    const char *path = getenv("PATH");
    int error = ENOENT;
    if (strchr(name, '/') != NULL)
        return strdup(name);
    if (path == NULL)
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

/* Returns 0 with the interpreter of the script at `path` in `next`, or -1 with errno; then `file`
 * is the command that env(1) will look for in vain, if that is why. */
static int follow_script(const char *path, char *start, struct executable *executable, char **next)
{
    const char *words[SCRIPT_WORDS];
    bool searched;
    size_t count = script_words(start, words, &searched);
    executable->readable = false; /* nothing is known of the interpreter yet */
    if (count == 0)
        return errno = ENOEXEC, -1;
    *next = searched ? executable_find(words[0]) : strdup(words[0]);
    if (*next == NULL) {
        int error = errno;
        free(executable->file);
        executable->file = strdup(words[0]);
        return errno = error, -1;
    }
    return put_before(executable, words, count, path);
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
    if (executable->file == NULL && (executable->file = strdup(path)) == NULL)
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
    } else if (length < 0 || memchr(start, '\0', (size_t)length) != NULL) {
        errno = length < 0 ? errno : ENOEXEC;
        result = -1;
    } else {
        result = follow_script(path, start, executable, next);
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
    executable->command = calloc(2, sizeof *executable->command);
    at = strdup(path);
    if (executable->path == NULL || executable->command == NULL ||
        (executable->command[0] = strdup(path)) == NULL || at == NULL) {
        free(at);
        return -1;
    }
    while ((result = read_file(at, executable, &next)) == 0 && next != NULL) {
        free(at);
        at = next;
        next = NULL;
        if (++executable->hops > SCRIPT_DEPTH) {
            errno = ELOOP;
            result = -1;
            break;
        }
    }
    free(next);
    free(at);
    return result;
}

const char **executable_command_line(const struct executable *executable, char *const *arguments)
{
    size_t count = 0, used = 0;
    const char **line;
    while (arguments[count] != NULL)
        count++;
    for (char **word = executable->command; *word; word++)
        used++;
    line = calloc(used + count + 1, sizeof *line);
    if (line == NULL)
        return NULL;
    for (size_t i = 0; i < used; i++)
        line[i] = executable->command[i];
    if (executable->hops == 0)
        line[0] = arguments[0];
    for (size_t i = 1; i < count; i++)
        line[used++] = arguments[i];
    return line;
}

void executable_free(struct executable *executable)
{
    free(executable->path);
    free(executable->file);
    free(executable->loader);
    free_words(executable->command);
    if (executable->needed != (char **)no_libraries) {
        for (char **name = executable->needed; *name; name++)
            free(*name);
        free(executable->needed);
    }
}
