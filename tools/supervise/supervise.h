/* SPDX-License-Identifier: MIT */
/*
 * socktune run --supervise: tuning a program, and all that it starts, from outside.
 */
#ifndef SOCKTUNE_SUPERVISE_H
#define SOCKTUNE_SUPERVISE_H

#include "policy.h"

struct supervision {
    const struct policy *policy;
    const char *trace; /* as SOCKTUNE_TRACE, or NULL */
    bool refuse_uring; /* io_uring_setup answers ENOSYS */
    char *const *argv; /* the program, for warnings */
};

/*
 * Put this process, which is going to be the program, under supervision. Warns of what rules for
 * the program ask and only the preloaded library can give. Returns 0, or -1 after saying why not;
 * then the process cannot be used for the program.
 */
int supervise_self(const struct supervision *supervision);

#endif
