/* SPDX-License-Identifier: MIT */
/*
 * The file from which this program was executed. Finding it costs system calls, so it is done only
 * if a rule depends on it. Only for the constructor.
 */
#ifndef SOCKTUNE_OWN_EXECUTABLE_H
#define SOCKTUNE_OWN_EXECUTABLE_H

#include <linux/limits.h>
#include <stddef.h>

enum own_executable_known { EXECUTABLE_UNKNOWN, EXECUTABLE_NAME, EXECUTABLE_PATH };

struct own_executable {
    const char *argv0; /* may be NULL */
    const char *path;  /* NULL: unknown, or not asked for */
    enum own_executable_known known;
    char bytes[PATH_MAX];
};

/* Only argv[0] is known. */
static inline void own_executable_begin(struct own_executable *executable, const char *argv0)
{
    executable->argv0 = argv0;
    executable->path = NULL;
    executable->known = EXECUTABLE_UNKNOWN;
}

/*
 * Fill `path`. With EXECUTABLE_NAME only the basename must be right, with EXECUTABLE_PATH the whole
 * path. /proc/self/exe is the source, but creating its entry for a new process would be the most
 * expensive step of a start. The basename does not need it if the executed file is no symbolic link
 * and is named like argv[0].
 */
void own_executable_find(struct own_executable *executable, enum own_executable_known wanted);

#endif
