/* SPDX-License-Identifier: MIT */
/*
 * setsockopt(): the program's own settings, which a rule may force or ignore.
 */
#include "kernel_socket.h"
#include "learn.h"
#include "real.h"
#include "trace.h"
#include "tune.h"

#include <errno.h>

/* include/uapi/asm-generic/socket.h. The table knows these options by the numbers that carry the
 * same structure on every word size; programs on 64 bits use the old ones. */
enum { RCVTIMEO_OLD = 20, SNDTIMEO_OLD = 21, RCVTIMEO_NEW = 66, SNDTIMEO_NEW = 67 };

static int canonical(int level, int optname)
{
    if (level == SOL_SOCKET && optname == RCVTIMEO_OLD)
        return RCVTIMEO_NEW;
    if (level == SOL_SOCKET && optname == SNDTIMEO_OLD)
        return SNDTIMEO_NEW;
    return optname;
}

static bool swallows(int fd, uint32_t option)
{
    struct sockinfo sockinfo;
    bool swallow = learn_guard(&state.policy, &state.active, KERNEL_SOCKET(fd), option, &sockinfo);
    if (swallow)
        trace_swallowed(fd, &sockinfo, option);
    return swallow;
}

/* Not in line: what hardly any call needs is to cost no call the saving of registers. */
static __attribute__((noinline)) bool guarded(int fd, int level, int optname)
{
    optname = canonical(level, optname);
    for (uint32_t i = 0; i < state.guard_count; i++) {
        const struct policy_option *option = &state.policy.options[state.guards[i]];
        if (option->optname != optname || option->level != level)
            continue;
        int saved = errno;
        bool swallow = swallows(fd, state.guards[i]);
        errno = saved;
        return swallow;
    }
    return false;
}

__attribute__((visibility("default"))) int setsockopt(int fd, int level, int optname,
                                                      const void *value, socklen_t length)
{
    if (__builtin_expect(state.guard_count != 0, 0) && guarded(fd, level, optname))
        return 0;
    return real.setsockopt(fd, level, optname, value, length);
}
