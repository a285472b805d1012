/* SPDX-License-Identifier: MIT */
#include "confined.h"

#include "bytes.h"
#include "kernel.h"
#include "late_state.h"
#include "own_pid.h"

#include <errno.h>
#include <linux/prctl.h>

/* Parses "Seccomp:\t2" and returns the number after the tab, or -1 if there is no such line. */
static int seccomp_mode(const char *status, size_t size)
{
    static const char name[] = "\nSeccomp:\t";
    const size_t length = sizeof name - 1;
    for (size_t i = 0; i + length < size; i++)
        if (bytes_equal(status + i, name, length))
            return status[i + length] - '0';
    return -1;
}

static int read_mode(void)
{
    char status[4096];
    int fd = kernel_open("/proc/self/status", O_RDONLY);
    if (fd < 0)
        return -1;
    long got = kernel_call(SYS_read, fd, status, sizeof status);
    kernel_close(fd);
    return got > 0 ? seccomp_mode(status, (size_t)got) : -1;
}

bool confined_at_start(void)
{
    int mode = read_mode();
    if (mode < 0)
        mode = (int)kernel_call(SYS_prctl, PR_GET_SECCOMP, 0L, 0L, 0L, 0L);
    return mode > 0;
}

void confined_watch(bool already)
{
    if (late_state_start() != NULL && already)
        late_state->confined = true;
    own_pid_start();
}

bool confined_now(void)
{
    return late_state == NULL || __atomic_load_n(&late_state->confined, __ATOMIC_RELAXED);
}

/* A vfork()ed child shares its parent's memory, but its filter does not apply to the parent. */
void confined_begin(void)
{
    int saved = errno;
    if (!confined_now() && !own_pid_is_borrowed())
        __atomic_store_n(&late_state->confined, true, __ATOMIC_RELAXED);
    errno = saved;
}
