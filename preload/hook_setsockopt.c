/* SPDX-License-Identifier: MIT */
/*
 * setsockopt(): the program's own settings, which a rule may force or ignore.
 */
#include "kernel_socket.h"
#include "learn.h"
#include "real.h"
#include "reconnect.h"
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

/* What a rule gives at connect() and the program sets itself is the program's, whatever the rule's
 * value: nobody undoes it when the socket is connected to another peer. */
static __attribute__((noinline)) void note_own(int fd, int level, int optname)
{
    optname = canonical(level, optname);
    for (uint32_t i = 0; i < state.policy.option_count; i++)
        if (state.policy.options[i].optname == optname && state.policy.options[i].level == level)
            reconnect_note_own(fd, i);
}

__attribute__((visibility("default"))) int setsockopt(int fd, int level, int optname,
                                                      const void *value, socklen_t length)
{
    if (__builtin_expect(state.guard_count != 0, 0) && guarded(fd, level, optname))
        return 0;
    if (tunes_at(PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED)))
        note_own(fd, level, optname);
    return real.setsockopt(fd, level, optname, value, length);
}
