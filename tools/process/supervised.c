/* SPDX-License-Identifier: MIT */
/*
 * Looking for the supervisor of a process: it holds the descriptor of seccomp notifications and a
 * pidfd of the program's first process, at fixed numbers (tools/supervise/supervisor.c).
 */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FD_NOTIFICATIONS = 3, FD_FIRST_PROCESS };

/* A number behind `field` in a file of /proc; 0 if there is none. */
static pid_t read_field(const char *path, const char *field)
{
    char line[256];
    size_t length = strlen(field);
    FILE *file = fopen(path, "re");
    pid_t found = 0;
    while (file != NULL && found == 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, field, length) == 0)
            found = (pid_t)strtol(line + length, NULL, 10);
    if (file != NULL)
        fclose(file);
    return found;
}

pid_t process_parent(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    return read_field(path, "PPid:");
}

/* The first process that `supervisor` supervises; 0 if it is none. */
static pid_t first_process_of(pid_t supervisor)
{
    char path[64], target[64];
    ssize_t length;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", supervisor, FD_NOTIFICATIONS);
    length = readlink(path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    if (strcmp(target, "anon_inode:seccomp notify") != 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", supervisor, FD_FIRST_PROCESS);
    return read_field(path, "Pid:");
}

static bool is_descendant(pid_t pid, pid_t ancestor)
{
    while (pid > 1 && pid != ancestor)
        pid = process_parent(pid);
    return pid == ancestor;
}

pid_t process_supervisor(pid_t pid)
{
    DIR *processes = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *entry;
         processes != NULL && found == 0 && (entry = readdir(processes)) != NULL;) {
        pid_t candidate =
            isdigit((unsigned char)*entry->d_name) ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;
        pid_t first = candidate != 0 ? first_process_of(candidate) : 0;
        if (first != 0 && is_descendant(pid, first))
            found = candidate;
    }
    if (processes != NULL)
        closedir(processes);
    return found;
}
