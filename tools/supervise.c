/* SPDX-License-Identifier: MIT */
/*
 * Putting this process under supervision: the supervisor first, then the filter, since the filter
 * cannot be taken off again.
 */
#include "supervise.h"
#include "commands.h"
#include "elf.h"
#include "match.h"
#include "supervise_filter.h"
#include "supervise_server.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- warnings --------------------------------------------------------------------------------- */

#define BIT(moment) MOMENT_BIT(MOMENT_##moment)

/* What of an action cannot be had, or NULL. */
static const char *beyond(const struct policy_action *action)
{
    if (action->op == OP_TRANSPORT)
        return "is decided at socket(), which is not supervised";
    if (action->moments & (BIT(CONNECTED) | BIT(LISTENING)))
        return "is to be set after connect() or listen(), when the program has gone on already";
    if (action->moments & BIT(ACCEPT))
        return "is not had from the listener, and accept() is not supervised: accepted sockets "
               "will be without it";
    if (action->moments & BIT(ACCEPT_WILDCARD))
        return "depends on the local address, and accept() is not supervised: what listeners on "
               "all addresses accept will be without it";
    return NULL;
}

static void warn_of_rule(const struct policy *policy, const struct policy_rule *rule)
{
    for (uint32_t a = rule->actions.first; a < rule->actions.first + rule->actions.count; a++) {
        const struct policy_action *action = &policy->actions[a];
        const char *why = beyond(action);
        if (why)
            fprintf(stderr, "%s:%u: warning: under --supervise, %s %s\n",
                    policy_string(policy, action->file), action->line,
                    policy_string(policy, policy->options[action->option].name), why);
    }
}

static void warn_of_rules(const struct policy *policy, char *const *argv)
{
    char *path = executable_find(argv[0]);
    char *file = path ? realpath(path, NULL) : NULL;
    const struct identity identity = {
        .executable = file, .argv = (const char *const *)argv, .uid = geteuid()};

    for (uint32_t i = 0; i < policy->rule_count; i++)
        if (rule_is_for(policy, &policy->rules[i], &identity))
            warn_of_rule(policy, &policy->rules[i]);
    free(file);
    free(path);
}

/* --- starting --------------------------------------------------------------------------------- */

static bool may_filter(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capget, &header, data) == 0 &&
           data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective & CAP_TO_MASK(CAP_SYS_ADMIN);
}

static int fail_to_filter(void)
{
    if (errno == EBUSY)
        command_failure("supervised already: a process tree can have one supervisor, and a "
                        "container runtime or another `socktune run --supervise` is it");
    else
        command_failure("cannot install the seccomp filter: %s", strerror(errno));
    return -1;
}

static int install(const struct supervision *supervision, const struct needs *needs)
{
    struct server_link link;
    int listener;

    if (needs_nothing(needs))
        return filter_install(supervision->policy, needs, supervision->refuse_uring) < 0
                   ? fail_to_filter()
                   : 0;
    if (server_start(supervision->policy, supervision->trace, &link) != 0) {
        command_failure("cannot start the supervisor: %s", strerror(errno));
        return -1;
    }
    listener = filter_install(supervision->policy, needs, supervision->refuse_uring);
    if (listener < 0)
        return fail_to_filter();
    if (server_hand_over(&link, listener) != 0) {
        command_failure("the supervisor does not start: %s", strerror(errno));
        return -1;
    }
    return 0;
}

int supervise_self(const struct supervision *supervision)
{
    struct needs needs;

    warn_of_rules(supervision->policy, supervision->argv);
    needs_of(supervision->policy, &needs);
    if (needs_nothing(&needs) && !supervision->refuse_uring)
        return 0;
    /* Else a program that gains privileges could be led astray by the filter. */
    if (!may_filter() && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        command_failure("cannot set no_new_privs: %s", strerror(errno));
        return -1;
    }
    return install(supervision, &needs);
}
