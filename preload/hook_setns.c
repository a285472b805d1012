/* SPDX-License-Identifier: MIT */
/*
 * setns(): passes every call on, and notes that the thread may enter another network namespace
 * (own_netns.h).
 */
#include "own_netns.h"
#include "real.h"

#include <sched.h>

__attribute__((visibility("default"))) int setns(int fd, int type)
{
    own_netns_leave();
    return real.setns(fd, type);
}
