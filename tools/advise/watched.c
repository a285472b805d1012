/* SPDX-License-Identifier: MIT */
/*
 * Scans /proc.
 */
#include "watched.h"
#include "glob.h"
#include "process.h"
#include "process_list.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMM_LENGTH 15u /* maximum length of the names that the kernel keeps */

/* The identity of a process */

static bool is_interpreter(const char *program)
{
    static const char *const names[] = {"python*", "perl*",  "ruby*",   "node",  "nodejs", "php*",
                                        "java",    "bash",   "sh",      "dash",  "ksh*",   "zsh*",
                                        "lua*",    "tclsh*", "Rscript", "guile*"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (glob_match(names[i], program))
            return true;
    return false;
}

const char *watched_script(const char *program, char *const *argv)
{
    if (!is_interpreter(program) || argv[0] == NULL)
        return NULL;
    for (size_t i = 1; argv[i] != NULL; i++) {
        if (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "-e") == 0)
            return NULL; /* the next argument is the program's text */
        if (argv[i][0] != '-')
            return *text_basename(argv[i]) != '\0' ? text_basename(argv[i]) : NULL;
    }
    return NULL;
}

static bool is_selected(const struct advise_selection *selection, const struct process *process)
{
    const char *argv0 = process->argv[0] != NULL ? process->argv[0] : process->name;
    const char *exe = process->exe != NULL ? process->exe : process->name;
    if (selection->glob == NULL || !process_is_program(process))
        return selection->all && process_is_program(process);
    if (strchr(selection->glob, '/') != NULL)
        return glob_match(selection->glob, exe) || glob_match(selection->glob, argv0);
    return glob_match(selection->glob, text_basename(exe)) ||
           glob_match(selection->glob, text_basename(argv0));
}

/* Returns 0, or -1 with errno if there is no memory. */
static int describe_process(struct advise_process *into, const struct process *process)
{
    const char *program = process->exe != NULL ? text_basename(process->exe) : process->name;
    const char *script = watched_script(program, process->argv);
    char path[64];
    struct stat status;
    into->program = strdup(program);
    into->script = script != NULL ? strdup(script) : NULL;
    into->cut = process->exe == NULL && strlen(program) >= COMM_LENGTH;
    snprintf(path, sizeof path, "/proc/%d/ns/net", process->pid);
    if (stat(path, &status) == 0)
        into->network = status.st_ino;
    return into->program != NULL && (script == NULL || into->script != NULL) ? 0 : -1;
}

/* Scans */

/* Returns the parent process; 0 if the process has ended. */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[512];
    FILE *file;
    const char *end;
    size_t got;
    int parent = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[got] = '\0';
    end = strrchr(text, ')'); /* the name may contain any character */
    if (end == NULL || sscanf(end, ") %*c %d", &parent) != 1)
        return 0;
    return parent;
}

static bool is_named(const struct advise_selection *selection, pid_t pid)
{
    for (size_t i = 0; i < selection->count; i++)
        if (selection->pids[i] == pid)
            return true;
    return false;
}

/* True if the process, or an ancestor of it, was named. */
static bool is_descendant_of_any(const struct advise_watched *watched, pid_t pid)
{
    for (unsigned depth = 0; pid > 1 && depth < 32; depth++) {
        struct advise_process *known = NULL;
        if (is_named(&watched->selection, pid))
            return true;
        HASH_FIND(handle, watched->by_pid, &pid, sizeof pid, known);
        if (known != NULL)
            return true;
        pid = parent_of(pid);
    }
    return is_named(&watched->selection, pid);
}

static int watch_process(struct advise_watched *watched, const struct process *process)
{
    struct advise_process *one = calloc(1, sizeof *one);
    if (one == NULL || describe_process(one, process) != 0) {
        if (one != NULL)
            free(one->program);
        free(one);
        errno = ENOMEM;
        return -1;
    }
    one->pid = process->pid;
    one->next = watched->first;
    watched->first = one;
    HASH_ADD(handle, watched->by_pid, pid, sizeof one->pid, one);
    return 0;
}

/* Returns 0, or -1 if there is no memory. */
static int consider_process(struct advise_watched *watched, pid_t pid)
{
    struct advise_process *known;
    struct process process;
    int result = 0;
    bool by_pid = watched->selection.count > 0;
    HASH_FIND(handle, watched->by_pid, &pid, sizeof pid, known);
    if (known != NULL) {
        known->seen = true;
        return 0;
    }
    if (by_pid && !is_descendant_of_any(watched, pid))
        return 0;
    if (process_identify(pid, &process) == 0 &&
        (by_pid || is_selected(&watched->selection, &process)))
        result = watch_process(watched, &process);
    process_free(&process);
    HASH_FIND(handle, watched->by_pid, &pid, sizeof pid, known);
    if (known != NULL)
        known->seen = true;
    return result;
}

static int note_inode(struct advise_watched *watched, uint64_t inode,
                      struct advise_process *process)
{
    struct advise_inode *known;
    HASH_FIND(handle, watched->by_inode, &inode, sizeof inode, known);
    if (known == NULL) {
        known = calloc(1, sizeof *known);
        if (known == NULL)
            return -1;
        known->inode = inode;
        known->process = process;
        HASH_ADD(handle, watched->by_inode, inode, sizeof known->inode, known);
    } else if (known->process->ended) {
        known->process = process;
    }
    known->scan = watched->scans;
    return 0;
}

static int read_descriptors(struct advise_watched *watched, struct advise_process *process)
{
    struct open_sockets open;
    int result = open_sockets_read(process->pid, &open);
    process->refused = result != 0 ? errno : 0;
    result = result != 0 && errno == ENOMEM ? -1 : 0;
    for (size_t i = 0; result == 0 && i < open.count; i++)
        result = note_inode(watched, open.items[i].inode, process);
    open_sockets_free(&open);
    return result;
}

/* Removes inodes that are no longer open, and processes that have ended. */
static void sweep_ended(struct advise_watched *watched)
{
    struct advise_process *process, *next_process;
    struct advise_inode *inode, *next_inode;
    HASH_ITER(handle, watched->by_inode, inode, next_inode)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        if (inode->scan != watched->scans) {
            HASH_DELETE(handle, watched->by_inode, inode); /* NOLINT(clang-analyzer-unix.Malloc) */
            free(inode);
        }
    }
    HASH_ITER(handle, watched->by_pid, process, next_process)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        if (!process->seen) {
            process->ended = true;
            HASH_DELETE(handle, watched->by_pid, process); /* NOLINT(clang-analyzer-unix.Malloc) */
        }
    }
}

int watched_scan(struct advise_watched *watched)
{
    struct advise_process *process, *next;
    size_t count;
    pid_t *pids = all_processes(&count);
    int result = 0;
    if (pids == NULL)
        return -1;
    watched->scans++;
    for (process = watched->first; process != NULL; process = process->next)
        process->seen = false;
    for (size_t i = 0; i < count && result == 0; i++)
        result = consider_process(watched, pids[i]);
    HASH_ITER(handle, watched->by_pid, process, next)
    {
        if (result == 0)
            result = read_descriptors(watched, process);
    }
    sweep_ended(watched);
    free(pids);
    return result;
}

struct advise_process *watched_owner(const struct advise_watched *watched, uint64_t inode)
{
    struct advise_inode *known = NULL;
    if (inode != 0)
        HASH_FIND(handle, watched->by_inode, &inode, sizeof inode, known);
    return known != NULL ? known->process : NULL;
}

size_t watched_running(const struct advise_watched *watched)
{
    return HASH_CNT(handle, watched->by_pid);
}

void watched_free(struct advise_watched *watched)
{
    struct advise_process *process = watched->first, *next_process;
    struct advise_inode *inode, *next_inode;
    HASH_ITER(handle, watched->by_inode, inode, next_inode)
    {
        HASH_DELETE(handle, watched->by_inode, inode); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(inode);
    }
    HASH_CLEAR(handle, watched->by_pid);
    for (; process != NULL; process = next_process) {
        next_process = process->next;
        free(process->program);
        free(process->script);
        free(process);
    }
    watched->first = NULL;
}
