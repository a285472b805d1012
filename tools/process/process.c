/* SPDX-License-Identifier: MIT */
/*
 * What /proc says about a process: proc(5).
 */
#include "process.h"

#include "compat.h"
#include "process_files.h"
#include "process_sockets.h"
#include "text.h"
#include "utf8.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The command line */

/* A program that shows a title in place of its arguments leaves empty ones behind it. */
static char **without_padding(char **words)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    while (count > 1 && !*words[count - 1])
        words[--count] = NULL;
    return words;
}

/* A title is one string: its words then, for it begins with the program's name. Joined by spaces
 * they read as before. */
static char **without_title(char **words)
{
    size_t count = 1;
    char **larger;
    if (words[0] == NULL || words[1] != NULL || strchr(words[0], ' ') == NULL)
        return words;
    for (const char *at = words[0]; *at; at++)
        count += *at == ' ';
    larger = reallocarray(words, count + 1, sizeof *words);
    if (larger == NULL)
        return words;
    for (size_t i = 1; i <= count; i++) {
        larger[i] = strchr(larger[i - 1], ' ');
        if (larger[i] != NULL)
            *larger[i]++ = '\0';
        else
            break;
    }
    return larger;
}

/* Facts */

/* "Name:" of status, the first line. */
static void read_name(const char *status, struct process *process)
{
    char *escaped;
    sscanf(status, "Name:\t%63[^\n]", process->name);
    escaped = utf8_escaped(process->name);
    if (escaped != NULL)
        snprintf(process->shown, sizeof process->shown, "%s", escaped);
    free(escaped);
}

static int read_status(struct process *process)
{
    size_t size;
    char *status = process_file_read(process->thread, "status", &size);
    if (status == NULL) {
        if (errno == ENOENT)
            errno = ESRCH;
        return -1;
    }
    read_name(status, process);
    process->real_uid = (uid_t)process_status_number(status, "Uid", 0, 0);
    process->effective_uid = (uid_t)process_status_number(status, "Uid", 1, 0);
    process->real_gid = (gid_t)process_status_number(status, "Gid", 0, 0);
    process->effective_gid = (gid_t)process_status_number(status, "Gid", 1, 0);
    process->no_new_privs = process_status_number(status, "NoNewPrivs", 0, 0) == 1;
    process->seccomp = (int)process_status_number(status, "Seccomp", 0, 0);
    free(status);
    return 0;
}

static int read_exe(struct process *process)
{
    static const char deleted[] = " (deleted)";
    char path[PATH_MAX], target[PATH_MAX];
    ssize_t length =
        readlink(process_file_path(process->thread, "exe", path), target, sizeof target - 1);
    size_t mark = sizeof deleted - 1;
    if (length < 0) {
        process->unknown |= errno == ENOENT ? 0 : UNKNOWN_EXE; /* ENOENT: it has none */
        return 0;
    }
    target[length] = '\0';
    if ((size_t)length > mark && strcmp(target + length - mark, deleted) == 0) {
        target[(size_t)length - mark] = '\0';
        process->exe_deleted = true;
    }
    process->exe = strdup(target);
    return process->exe != NULL ? 0 : -1;
}

static void read_maps(struct process *process)
{
    char path[PATH_MAX], line[PATH_MAX + 128];
    FILE *maps = fopen(process_file_path(process->thread, "maps", path), "re");
    /* Without the permission, open() succeeds in some kernels and read() fails or gives nothing. */
    if (maps == NULL || fgets(line, sizeof line, maps) == NULL) {
        process->unknown |= UNKNOWN_MAPS;
    } else {
        do {
            const char *name = strrchr(line, '/');
            if (name == NULL)
                continue;
            if (strncmp(name, "/libsocktune.so", 15) == 0)
                process->library_loaded = true;
            else if (strncmp(name, "/liburing", 9) == 0)
                process->uring_loaded = true;
            else if (strncmp(name, "/libphp", 7) == 0)
                process->php_loaded = true;
        } while (fgets(line, sizeof line, maps) != NULL);
    }
    if (maps != NULL)
        fclose(maps);
}

/* Of the size of the process's words, not ours. */
static void read_auxv(struct process *process)
{
    size_t size;
    char *text = process_file_read(process->thread, "auxv", &size);
    uint64_t first = 0;
    bool wide;
    process->secure = SECURE_UNKNOWN;
    if (text == NULL || size < 16) {
        free(text);
        return;
    }
    /* The first type is a small number: in a 64-bit vector its upper half is 0, in a 32-bit one
     * that place holds the first value, which is an address (AT_SYSINFO_EHDR) or not 0 in any case.
     */
    memcpy(&first, text, sizeof first);
    wide = first >> 32 == 0;
    for (size_t at = 0, step = wide ? 16 : 8; at + step <= size; at += step) {
        Elf64_auxv_t entry = {0};
        Elf32_auxv_t narrow = {0};
        if (wide) {
            memcpy(&entry, text + at, sizeof entry);
        } else {
            memcpy(&narrow, text + at, sizeof narrow);
            entry.a_type = narrow.a_type;
            entry.a_un.a_val = narrow.a_un.a_val;
        }
        if (entry.a_type == AT_SECURE)
            process->secure = entry.a_un.a_val ? SECURE_YES : SECURE_NO;
    }
    free(text);
}

/* Does it still have the memory and the descriptors of its process? */
static bool has_executable(pid_t tid)
{
    char path[PATH_MAX], target[PATH_MAX];
    return readlink(process_file_path(tid, "exe", path), target, sizeof target) >= 0;
}

pid_t process_live_thread(pid_t pid)
{
    char path[PATH_MAX];
    pid_t found = pid;
    DIR *tasks;
    if (has_executable(pid) || errno != ENOENT)
        return pid;
    tasks = opendir(process_file_path(pid, "task", path));
    for (struct dirent *entry; tasks != NULL && found == pid && (entry = readdir(tasks)) != NULL;) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid > 0 && tid != pid && has_executable(tid))
            found = tid;
    }
    if (tasks != NULL)
        closedir(tasks);
    return found;
}

/* Namespaces */

/* True if both lead to another file. */
static bool leads_elsewhere(struct process *process, const char *name)
{
    char path[PATH_MAX], own[PATH_MAX];
    struct stat theirs, ours;
    snprintf(own, sizeof own, "/proc/self/%s", name);
    if (stat(process_file_path(process->thread, name, path), &theirs) != 0 ||
        stat(own, &ours) != 0) {
        process->unknown |= UNKNOWN_NAMESPACES;
        return false;
    }
    return theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev;
}

/* The whole */

char *process_cgroup(pid_t pid)
{
    char path[PATH_MAX], line[PATH_MAX + 16];
    char *cgroup = NULL;
    FILE *file;
    snprintf(path, sizeof path, pid != 0 ? "/proc/%d/cgroup" : "/proc/self/cgroup", (int)pid);
    file = fopen(path, "re");
    /* The line of the version 2 hierarchy is "0::/PATH"; cgroups(7). */
    while (file != NULL && cgroup == NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            cgroup = strdup(line + 3);
    }
    if (file != NULL)
        fclose(file);
    return cgroup;
}

int process_identify(pid_t pid, struct process *process)
{
    char **words;
    *process = (struct process){.pid = pid,
                                .thread = process_live_thread(pid),
                                .argv = process_no_words,
                                .environment = process_no_words};
    if (read_status(process) != 0 || read_exe(process) != 0)
        return -1;
    process->cgroup = process_cgroup(process->thread);
    words = process_words_read(process->thread, "cmdline");
    if (words != NULL)
        process->argv = without_title(without_padding(words));
    return 0;
}

struct identity process_identity(const struct process *process)
{
    bool hidden = process->exe == NULL && process->unknown & UNKNOWN_EXE;
    return (struct identity){.executable = hidden ? process->name : process->exe,
                             .argv = (const char *const *)process->argv,
                             .uid = process->effective_uid,
                             .gid = process->effective_gid,
                             .cgroup = process->cgroup};
}

const char *process_program_name(const struct process *process)
{
    const char *argv0 = process->argv[0];
    return text_basename(argv0 != NULL && *argv0 != '\0' ? argv0
                         : process->exe != NULL          ? process->exe
                                                         : process->name);
}

bool process_is_program(const struct process *process)
{
    return process->exe != NULL || process->argv[0] != NULL;
}

int process_read(pid_t pid, struct process *process)
{
    char **words;
    if (process_identify(pid, process) != 0)
        return -1;
    read_maps(process);
    read_auxv(process);
    words = process_words_read(process->thread, "environ");
    if (words != NULL)
        process->environment = words;
    else
        process->unknown |= UNKNOWN_ENVIRONMENT;
    process->supervisor = process->seccomp == 2 ? process_supervisor(pid) : 0;
    process->other_mounts = leads_elsewhere(process, "root");
    process->other_mounts |= leads_elsewhere(process, "ns/mnt");
    process->other_network = leads_elsewhere(process, "ns/net");
    process->other_users = leads_elsewhere(process, "ns/user");
    if (process_sockets_read(process) != 0)
        return -1;
    if (process->exe == NULL && !(process->unknown & UNKNOWN_EXE))
        process->unknown = 0; /* a kernel thread or a zombie: there is nothing to know */
    return 0;
}

void process_free(struct process *process)
{
    free(process->cgroup);
    free(process->exe);
    process_words_free(process->argv);
    process_words_free(process->environment);
    free(process->sockets);
}

const char *process_getenv(const struct process *process, const char *name)
{
    size_t length = strlen(name);
    for (char **entry = process->environment; *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

bool process_sees(const struct process *process, const char *path)
{
    char root[PATH_MAX];
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int directory =
        open(process_file_path(process->thread, "root", root), O_PATH | O_DIRECTORY | O_CLOEXEC);
    long fd;
    bool seen;
    if (directory < 0)
        return false;
    fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
    seen = fd >= 0;
    if (fd < 0 && errno == ENOSYS) /* before Linux 5.6; absolute links then lead astray */
        seen = faccessat(directory, path + strspn(path, "/"), F_OK, 0) == 0;
    if (fd >= 0)
        close((int)fd);
    close(directory);
    return seen;
}
