/* SPDX-License-Identifier: MIT */
#include "own_netns.h"

#include "compat.h"
#include "kernel.h"
#include "late_state.h"
#include "own_pid.h"

void own_netns_leave(void)
{
    if (late_state != NULL)
        __atomic_store_n(&late_state->left_netns, true, __ATOMIC_RELAXED);
}

bool own_netns_is_left(void)
{
    return late_state == NULL || __atomic_load_n(&late_state->left_netns, __ATOMIC_RELAXED);
}

bool own_netns_is(uint64_t cookie, int fd)
{
    if (own_netns_is_left())
        return false;
    if (own_pid_netns() == 0)
        own_pid_note_netns(kernel_get_cookie(fd, SO_NETNS_COOKIE));
    return own_pid_netns() == cookie;
}
