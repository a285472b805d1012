/* SPDX-License-Identifier: MIT */
/*
 * The data is on a page that fork() wipes (MADV_WIPEONFORK) and vfork() does not.
 */
#include "own_pid.h"

#include "kernel.h"

#include <stddef.h>

struct own_page {
    uint32_t pid;   /* 0: not known yet in this process */
    uint64_t netns; /* from own_pid_note_netns(), or 0 */
};

/* NULL: there is no such page. Only the constructor writes it. */
static struct own_page *own;

bool own_pid_start(void)
{
    struct own_page *page = own == NULL ? kernel_map(sizeof *page) : NULL;
    if (page != NULL && kernel_call(SYS_madvise, page, sizeof *page, MADV_WIPEONFORK) == 0)
        own = page;
    else if (page != NULL)
        kernel_call(SYS_munmap, page, sizeof *page);
    return own != NULL;
}

uint32_t own_pid(void)
{
    uint32_t known = __atomic_load_n(&own->pid, __ATOMIC_RELAXED);
    if (known == 0) {
        known = (uint32_t)kernel_call(SYS_getpid);
        __atomic_store_n(&own->pid, known, __ATOMIC_RELAXED);
    }
    return known;
}

bool own_pid_is_borrowed(void)
{
    return own != NULL && own_pid() != (uint32_t)kernel_call(SYS_getpid);
}

uint64_t own_pid_netns(void)
{
    return __atomic_load_n(&own->netns, __ATOMIC_RELAXED);
}

void own_pid_note_netns(uint64_t cookie)
{
    __atomic_store_n(&own->netns, cookie, __ATOMIC_RELAXED);
}
