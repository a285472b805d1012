/* SPDX-License-Identifier: MIT */
/*
 * When a process was started: field 22 of /proc/PID/stat, in clock ticks since boot (proc(5)).
 */
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FIELD_STATE = 3, FIELD_START = 22 };

static double read_clock(clockid_t id)
{
    struct timespec now = {0, 0};
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double process_started(pid_t pid)
{
    char path[64], line[1024], *field;
    FILE *file;
    double started = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    /* The name, in parentheses, may hold anything. */
    if (fgets(line, sizeof line, file) != NULL && (field = strrchr(line, ')')) != NULL) {
        for (int number = FIELD_STATE - 1; field != NULL && number < FIELD_START; number++)
            field = strchr(field + 1, ' ');
        if (field != NULL)
            started = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME) +
                      strtod(field, NULL) / (double)sysconf(_SC_CLK_TCK);
    }
    fclose(file);
    return started;
}
