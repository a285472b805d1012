/* SPDX-License-Identifier: MIT */
#include "compile_lock.h"

#include "kernel.h"

#include <errno.h>
#include <sys/file.h>

#define STEP_NS 2000000L
#define STEPS   1000

const char *compile_lock(const char *path, uint32_t uid, int *lock)
{
    const struct {
        long seconds, nanoseconds;
    } step = {0, STEP_NS};
    *lock = kernel_open(path, O_RDONLY | O_NONBLOCK);
    if (*lock < 0)
        return errno == EACCES ? "may not be read" : "cannot be opened";
    for (int i = 0; i < STEPS; i++) {
        if (kernel_call(SYS_flock, *lock, LOCK_EX | LOCK_NB) == 0)
            return NULL;
        kernel_call(SYS_nanosleep, &step, NULL);
    }
    compile_unlock(*lock);
    *lock = -1;
    return uid == 0 ? NULL : "no fresh policy, and somebody else has been compiling for too long";
}

void compile_unlock(int lock)
{
    if (lock >= 0)
        kernel_close(lock);
}
