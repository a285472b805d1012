/* SPDX-License-Identifier: MIT */
/*
 * Lists of processes.
 */
#include "process_list.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

bool read_pid(const char *word, pid_t *pid)
{
    char *end;
    long number;
    errno = 0;
    number = strtol(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || errno || number < 1 || number > INT_MAX)
        return false;
    *pid = (pid_t)number;
    return true;
}

static int by_number(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;
    return (a > b) - (a < b);
}

pid_t *all_processes(size_t *count)
{
    DIR *directory = opendir("/proc");
    size_t room = 1024;
    pid_t *pids = directory != NULL ? malloc(room * sizeof *pids) : NULL;
    *count = 0;
    for (struct dirent *entry; pids != NULL && (entry = readdir(directory)) != NULL;) {
        if (!read_pid(entry->d_name, &pids[*count]) || pids[*count] == getpid())
            continue;
        if (++*count == room) {
            pid_t *larger = reallocarray(pids, room *= 2, sizeof *pids);
            if (larger == NULL)
                free(pids);
            pids = larger;
        }
    }
    if (directory != NULL)
        closedir(directory);
    if (pids != NULL)
        qsort(pids, *count, sizeof *pids, by_number);
    return pids;
}
