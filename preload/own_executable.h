/* SPDX-License-Identifier: MIT */
/*
 * Which file this program was executed from. To find out costs system calls, so it is asked for
 * when a rule depends on it. For the constructor.
 */
#ifndef SOCKTUNE_OWN_EXECUTABLE_H
#define SOCKTUNE_OWN_EXECUTABLE_H

#include <linux/limits.h>
#include <stddef.h>

enum own_executable_known { EXECUTABLE_UNKNOWN, EXECUTABLE_NAME, EXECUTABLE_PATH };

struct own_executable {
    const char *argv0; /* may be NULL */
    const char *path;  /* NULL: cannot be found out, or was not asked for */
    enum own_executable_known known;
    char bytes[PATH_MAX];
};

/* Nothing is known but argv[0]. */
static inline void own_executable_begin(struct own_executable *executable, const char *argv0)
{
    executable->argv0 = argv0;
    executable->path = NULL;
    executable->known = EXECUTABLE_UNKNOWN;
}

/*
 * Fill `path`. EXECUTABLE_NAME: at least the basename has to be right, the directory may not be;
 * EXECUTABLE_PATH: all of it. /proc/self/exe tells, but to make its entry for a new process is the
 * dearest thing a start would do. For the basename it is not needed where the file that was
 * executed is not a symbolic link and has the name of argv[0].
 */
void own_executable_find(struct own_executable *executable, enum own_executable_known wanted);

#endif
