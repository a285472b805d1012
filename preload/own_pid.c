/* SPDX-License-Identifier: MIT */
/*
 * A page that fork() wipes and vfork() does not.
 */
#include "own_pid.h"

#include "kernel.h"

#include <stddef.h>

/* 0: a child that has not asked yet. NULL: there is no such page. Written by the constructor alone.
 */
static uint32_t *pid;

bool own_pid_start(void)
{
    uint32_t *page = pid == NULL ? kernel_map(sizeof *page) : NULL;
    if (page != NULL && kernel_call(SYS_madvise, page, sizeof *page, MADV_WIPEONFORK) == 0)
        pid = page;
    else if (page != NULL)
        kernel_call(SYS_munmap, page, sizeof *page);
    return pid != NULL;
}

uint32_t own_pid(void)
{
    uint32_t known = __atomic_load_n(pid, __ATOMIC_RELAXED);
    if (known == 0) {
        known = (uint32_t)kernel_call(SYS_getpid);
        __atomic_store_n(pid, known, __ATOMIC_RELAXED);
    }
    return known;
}

bool own_pid_is_borrowed(void)
{
    return pid != NULL && own_pid() != (uint32_t)kernel_call(SYS_getpid);
}
