/* SPDX-License-Identifier: MIT */
/*
 * setsockopt() by the program itself. A rule may force, bound or ignore the option (guarded.c).
 * Options that the program sets itself are noted (reconnect.h).
 */
#include "guarded.h"
#include "plain_tcp.h"
#include "real.h"
#include "reconnect.h"

#include <errno.h>

/* If a rule sets an option at connect() and the program sets it too, the option belongs to the
 * program: it is not undone when the socket is connected to another peer. */
static void note_own(const struct policy *policy, int fd, int level, int optname)
{
    for (uint32_t i = 0; i < policy->option_count; i++)
        if (policy_option_is_set_by(policy, i, level, optname, SIBLING_SAME))
            reconnect_note_own(fd, policy, i);
}

/* The kernel refused the option, perhaps because a rule made this an MPTCP socket. */
static __attribute__((noinline)) int set_on_plain_tcp(const struct rules_in_force *rules,
                                                      const struct own_setting *setting)
{
    int error = errno;
    bool done = plain_tcp_instead(rules, setting->fd,
                                  &(const struct refused_setting){setting->level, setting->optname,
                                                                  setting->value, setting->length});
    errno = done ? setting->error : error;
    if (done && rules->guard_count != 0)
        return guarded_setsockopt(rules, setting);
    return done ? 0 : -1;
}

/* noinline: the usual call must not pay for saving registers. */
static __attribute__((noinline)) int set_watched(guarded_call *call, int fd, int level, int optname,
                                                 const void *value, socklen_t length)
{
    const struct rules_in_force *rules = rules_enter();
    if (rules_act_at(rules, PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED)))
        note_own(&rules->policy, fd, level, optname);
    const struct own_setting setting = {call, fd, level, optname, value, length, errno};
    int result = rules->guard_count != 0 ? guarded_setsockopt(rules, &setting)
                                         : call(fd, level, optname, value, length);
    if (result != 0 && (errno == ENOPROTOOPT || errno == EOPNOTSUPP) && plain_tcp_concerns_us())
        result = set_on_plain_tcp(rules, &setting);
    rules_leave(rules);
    return result;
}

static inline bool is_watched(void)
{
    return __builtin_expect(state.guard_count != 0, 0) || plain_tcp_concerns_us() ||
           tunes_at(PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED));
}

__attribute__((visibility("default"))) int setsockopt(int fd, int level, int optname,
                                                      const void *value, socklen_t length)
{
    if (is_watched())
        return set_watched(real.setsockopt, fd, level, optname, value, length);
    return real.setsockopt(fd, level, optname, value, length);
}

#ifdef __i386__
/* glibc's alias for 32-bit programs that were built with a 64-bit time_t. */
int __setsockopt64(int fd, int level, int optname, const void *value, socklen_t length);
__attribute__((visibility("default"))) int __setsockopt64(int fd, int level, int optname,
                                                          const void *value, socklen_t length)
{
    if (is_watched())
        return set_watched(real.__setsockopt64, fd, level, optname, value, length);
    return real.__setsockopt64(fd, level, optname, value, length);
}
#endif
