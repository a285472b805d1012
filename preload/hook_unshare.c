/* SPDX-License-Identifier: MIT */
/*
 * unshare(): passes every call on, and notes CLONE_NEWNET: the thread enters another network
 * namespace (own_netns.h).
 */
#include "own_netns.h"
#include "real.h"

#include <sched.h>

__attribute__((visibility("default"))) int unshare(int flags)
{
    if ((flags & CLONE_NEWNET) != 0)
        own_netns_leave();
    return real.unshare(flags);
}
