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
static const char shell[] = "/bin/sh"; /* of execvp(3) */

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

/* Scripts */

/* The command that `env ARGUMENTS` runs, and its arguments, cut out of `arguments`. Returns how
 * many words; 0: env runs something else, or fails. The kernel passes all that follows the
 * interpreter as one argument, which only `env -S` takes apart. */
static size_t env_words(char *arguments, const char *words[SCRIPT_WORDS])
{
    static const char split[] = "--split-string=";
    size_t flags = arguments[0] == '-' ? 1 + strspn(arguments + 1, "iv0") : 0, count = 0;
    char *rest = NULL, *word;
    if (flags != 0 && arguments[flags] == 'S')
        arguments += flags + 1;
    else if (begins_with(arguments, split))
        arguments += strlen(split);
    else if (flags != 0 || strchr(arguments, '=') != NULL)
        return 0;
    else
        return words[0] = arguments, 1;
    for (word = strtok_r(arguments, " \t", &rest); word != NULL && count < SCRIPT_WORDS;
         word = strtok_r(NULL, " \t", &rest)) {
        if (count == 0 && (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0))
            (void)strtok_r(NULL, " \t", &rest); /* the option's own argument */
        else if (count != 0 || (word[0] != '-' && strchr(word, '=') == NULL))
            words[count++] = word;
    }
    return count;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static char *skip_blanks(char *from, const char *end)
{
    while (from < end && is_blank(*from))
        from++;
    return from;
}

/* The words of a `#!` line of SCRIPT_LINE bytes: the interpreter, and all that follows it, or NULL.
 * Both are cut out of `line`. Returns 0, or -1 with errno, as the kernel answers (load_script() in
 * fs/binfmt_script.c): ENOEXEC if there is no name or if it does not end within the line; EACCES if
 * the file ends where the name should be. */
static int read_script_line(char *line, const char **name, char **argument)
{
    char *limit = line + SCRIPT_LINE - 1, *end = memchr(line, '\n', SCRIPT_LINE);
    char *first = skip_blanks(line + 2, end != NULL ? end : limit), *last = first;
    if (first == (end != NULL ? end : limit))
        return errno = ENOEXEC, -1;
    if (end == NULL)
        end = limit;
    while (last < end && *last != '\0' && !is_blank(*last))
        last++;
    if (last == limit)
        return errno = ENOEXEC, -1;
    if (last == first)
        return errno = EACCES, -1;
    while (is_blank(end[-1]))
        end--;
    *end = '\0';
    *name = first;
    *argument = *last != '\0' ? skip_blanks(last, end) : NULL;
    *last = '\0';
    return 0;
}

/* The words that come before a script in the command line of its interpreter: those of its `#!`
 * line, cut out of `line`; without env(1), which becomes the command that it looks for, and then
 * `searched`. Returns how many, or -1 with errno. */
static int script_words(char *line, const char *words[SCRIPT_WORDS], bool *searched)
{
    char *argument;
    size_t count = 0;
    *searched = false;
    if (read_script_line(line, &words[0], &argument) != 0)
        return -1;
    if (argument == NULL)
        return 1;
    if (strcmp(text_basename(words[0]), "env") == 0)
        count = env_words(argument, words);
    if (count != 0) {
        *searched = true;
        return (int)count;
    }
    words[1] = argument;
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

/* The file */

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

/* What one file of the chain is, and what comes next. */
struct script_step {
    enum {
        STEP_PROGRAM,  /* an ELF file: the end of the chain */
        STEP_SCRIPT,   /* `next` runs it */
        STEP_SEARCHED, /* so too, started by env(1) */
        STEP_UNKNOWN   /* the kernel answers ENOEXEC */
    } kind;
    bool binary; /* STEP_UNKNOWN: no text */
    char *next;
};

/* What execvp(3) was called with last, by us or by env(1). It gives to /bin/sh what the kernel does
 * not know. */
struct script_entry {
    char *path;
    size_t words; /* of the command line then */
    unsigned hops;
};

static size_t count_words(char *const *words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    return count;
}

/* Find what runs the script at `path`. Returns 0, or -1 with errno; then `file` is the command that
 * env(1) will look for in vain, if that is why. */
static int follow_script(const char *path, char *line, struct executable *executable,
                         struct script_step *step)
{
    const char *words[SCRIPT_WORDS];
    bool searched;
    int count = script_words(line, words, &searched);
    if (count < 0 && errno == ENOEXEC) {
        *step = (struct script_step){.kind = STEP_UNKNOWN};
        return 0;
    }
    executable->readable = false; /* nothing is known of the interpreter yet */
    if (count < 0)
        return -1;
    step->kind = searched ? STEP_SEARCHED : STEP_SCRIPT;
    step->next = searched ? executable_find(words[0]) : strdup(words[0]);
    if (step->next == NULL) {
        int error = errno;
        free(executable->file);
        executable->file = strdup(words[0]);
        return errno = error, -1;
    }
    return put_before(executable, words, (size_t)count, path);
}

/* Read one file of the chain. Returns 0, or -1 with errno. */
static int read_file(const char *path, struct executable *executable, struct script_step *step)
{
    char start[SCRIPT_LINE + 1] = "";
    ssize_t length;
    int fd, result = 0;
    *step = (struct script_step){.kind = STEP_PROGRAM};
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
    if (length < 0)
        result = -1;
    else if (length >= SELFMAG && memcmp(start, ELFMAG, SELFMAG) == 0)
        result = elf_file_read(fd, executable);
    else if (begins_with(start, "#!"))
        result = follow_script(path, start, executable, step);
    else
        *step = (struct script_step){.kind = STEP_UNKNOWN,
                                     .binary = memchr(start, '\0', (size_t)length) != NULL};
    close(fd);
    return result;
}

/* Forget the scripts since the entry, whose last interpreter is unknown to the kernel: /bin/sh runs
 * the entry itself. Returns 0, or -1 with errno. */
static int run_by_shell(struct executable *executable, const struct script_entry *entry,
                        struct script_step *step)
{
    static const char *const words[] = {shell};
    size_t excess = count_words(executable->command) - entry->words, i;
    for (i = 0; i < excess; i++)
        free(executable->command[i]);
    for (i = 0; executable->command[excess + i] != NULL; i++)
        executable->command[i] = executable->command[excess + i];
    executable->command[i] = NULL;
    executable->hops = entry->hops;
    executable->readable = false;
    step->next = strdup(shell);
    return step->next == NULL ? -1 : put_before(executable, words, 1, entry->path);
}

/* Take the step that follows `at`. Returns 0, or -1 with errno; at the end, step->next is NULL. */
static int take_step(const char *at, struct executable *executable, struct script_entry *entry,
                     struct script_step *step)
{
    bool last = strcmp(at, shell) == 0;
    if (read_file(at, executable, step) != 0)
        return -1;
    last |= step->binary && strcmp(at, entry->path) == 0;
    if (step->kind == STEP_UNKNOWN && last)
        return errno = ENOEXEC, -1;
    if (step->kind == STEP_UNKNOWN && run_by_shell(executable, entry, step) != 0)
        return -1;
    if (step->next != NULL && ++executable->hops > SCRIPT_DEPTH)
        return errno = ELOOP, -1;
    if (step->kind == STEP_SEARCHED && step->next != NULL) {
        free(entry->path);
        *entry = (struct script_entry){strdup(step->next), count_words(executable->command),
                                       executable->hops};
    }
    return entry->path != NULL ? 0 : -1;
}

static int follow_chain(struct executable *executable)
{
    struct script_entry entry = {strdup(executable->path), 1, 0};
    struct script_step step = {.next = strdup(executable->path)};
    int result = 0;
    while (result == 0 && step.next != NULL && entry.path != NULL) {
        char *at = step.next;
        result = take_step(at, executable, &entry, &step);
        free(at);
    }
    if (entry.path == NULL)
        result = -1;
    free(entry.path);
    free(step.next);
    return result;
}

int executable_read(const char *path, struct executable *executable)
{
    *executable = (struct executable){.needed = (char **)no_libraries};
    executable->path = strdup(path);
    executable->command = calloc(2, sizeof *executable->command);
    if (executable->path == NULL || executable->command == NULL ||
        (executable->command[0] = strdup(path)) == NULL)
        return -1;
    return follow_chain(executable);
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
