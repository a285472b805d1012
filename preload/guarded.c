/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: a setsockopt() call may set a guarded option directly, maybe under another
 * name (SO_RCVBUFFORCE), or change it as a side effect (IP_TOS changes SO_PRIORITY). In the first
 * case the rule's value replaces the program's. In the second the call is made, and then the
 * guarded option is restored.
 *
 * A value within a bound (at_least, at_most) is passed on. A value outside is replaced by the
 * bound.
 *
 * A `dscp` rule forces only some bits of the byte. The call is made, so the other bits are the
 * program's, and then the code point is restored.
 */
#include "guarded.h"

#include "bound.h"
#include "kernel.h"
#include "learn.h"
#include "readable.h"
#include "trace.h"

#include <errno.h>

enum { READ_MOST = 8 }; /* bytes read of the program's value; a bound is not longer */

/* What the rules say about one option of the socket. */
struct ruling {
    uint32_t option;
    struct sockinfo sockinfo;
    struct guard guard;
};

static int make_call(const struct own_setting *setting)
{
    errno = setting->error;
    return setting->call(setting->fd, setting->level, setting->optname, setting->value,
                         setting->length);
}

static int pretend_success(const struct own_setting *setting)
{
    errno = setting->error;
    return 0;
}

/* Finds the guarded option that the call affects, and what the rules say about it. False if there
 * is none. */
static bool find_ruling(const struct rules_in_force *rules, const struct own_setting *setting,
                        enum sibling_effect effect, struct ruling *ruling)
{
    for (uint32_t i = 0; i < rules->guard_count; i++) {
        ruling->option = rules->guards[i];
        if (policy_option_is_set_by(&rules->policy, ruling->option, setting->level,
                                    setting->optname, effect) &&
            learn_guard(&rules->policy, &rules->active, OWN_SOCKET(setting->fd), ruling->option,
                        &ruling->sockinfo, &ruling->guard))
            return true;
    }
    return false;
}

/* True if the kernel would refuse the value for its length or its address. */
static bool is_refused(const struct own_setting *setting, const struct policy_option *option)
{
    if ((int)setting->length < 0 || setting->length < option->least)
        return true;
    return setting->length != 0 &&
           !readable_memory(setting->fd, setting->value,
                            setting->length < READ_MOST ? setting->length : READ_MOST);
}

/* True if the rule is a bound and the value is within it. */
static bool is_admitted(const struct rules_in_force *rules, const struct own_setting *setting,
                        const struct ruling *ruling)
{
    if (ruling->guard.held == NO_ACTION || ruling->guard.ignored)
        return false;
    const struct policy_action *action = &rules->policy.actions[ruling->guard.held];
    return policy_is_bound(action) &&
           bound_admits_own(&rules->policy, action, setting->value, setting->length);
}

static int set_guarded(const struct rules_in_force *rules, const struct own_setting *setting,
                       const struct ruling *ruling)
{
    if (is_refused(setting, &rules->policy.options[ruling->option]) ||
        is_admitted(rules, setting, ruling))
        return make_call(setting);
    if (ruling->guard.held != NO_ACTION) {
        const struct policy_action *action = &rules->policy.actions[ruling->guard.held];
        if (action->op == OP_MERGE && make_call(setting) != 0)
            return -1;
        if (!tune_force(rules, setting->fd, &ruling->sockinfo, action) && action->op != OP_MERGE)
            return make_call(setting);
    }
    trace_swallowed(rules, setting->fd, &ruling->sockinfo, ruling->option, ruling->guard.held);
    return pretend_success(setting);
}

/* noinline: the second ruling must not enlarge the frame of the usual call. */
static __attribute__((noinline)) int set_disturbing(const struct rules_in_force *rules,
                                                    const struct own_setting *setting,
                                                    const struct ruling *disturbed)
{
    const struct policy_option *option = &rules->policy.options[disturbed->option];
    int before = kernel_get_int(setting->fd, option->level, option->optname);
    struct ruling own;
    int result = find_ruling(rules, setting, SIBLING_SAME, &own) ? set_guarded(rules, setting, &own)
                                                                 : make_call(setting);
    if (result != 0)
        return result;
    if (disturbed->guard.held != NO_ACTION)
        tune_force(rules, setting->fd, &disturbed->sockinfo,
                   &rules->policy.actions[disturbed->guard.held]);
    else if (before >= 0)
        kernel_setsockopt(setting->fd, option->level, option->optname, &before, sizeof before);
    return pretend_success(setting);
}

int guarded_setsockopt(const struct rules_in_force *rules, const struct own_setting *setting)
{
    struct ruling ruling;
    if (find_ruling(rules, setting, SIBLING_DISTURBS, &ruling))
        return set_disturbing(rules, setting, &ruling);
    return find_ruling(rules, setting, SIBLING_SAME, &ruling) ? set_guarded(rules, setting, &ruling)
                                                              : make_call(setting);
}
