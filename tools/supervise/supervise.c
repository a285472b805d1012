/* SPDX-License-Identifier: MIT */
/*
 * Putting this process under supervision: the supervisor first, then the filter, since the filter
 * cannot be taken off again.
 */
#include "supervise.h"
#include "apply.h"
#include "compat.h"
#include "failure.h"
#include "handed_over.h"
#include "kernel_socket.h"
#include "learn.h"
#include "messages.h"
#include "notify_filter.h"
#include "obstacles.h"
#include "process.h"
#include "reachability.h"
#include "rule_warnings.h"
#include "stay_parent.h"
#include "supervisor.h"
#include "target.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sockets that the program is started with */

/* Sockets that this process passes on, such as a listener of systemd's, are ones that the program
 * will make no call about. True for a listener of MPTCP. */
static bool tune_opened(const struct policy *policy, const struct active *active,
                        const struct default_value *defaults, int fd)
{
    struct sockinfo sockinfo;
    struct decision decision;
    struct application application = {.policy = policy,
                                      .sockinfo = &sockinfo,
                                      .socket = KERNEL_SOCKET(fd),
                                      .timing = APPLY_AFTERWARDS,
                                      .defaults = defaults};
    if (!learn_history(KERNEL_SOCKET(fd), &sockinfo))
        return false;
    application.phases = sockinfo_phases_behind(&sockinfo);
    learn_decision(policy, active, KERNEL_SOCKET(fd), &sockinfo, PHASE_SOCKET, application.phases,
                   &decision);
    if (sockinfo_is_connection(&sockinfo))
        apply_drop_early(policy, &decision);
    apply_actions(&application, &decision);
    return (sockinfo.roles & ROLE_LISTEN) != 0 &&
           socket_get_int(KERNEL_SOCKET(fd), SOL_SOCKET, SO_PROTOCOL) == IPPROTO_MPTCP;
}

/* Those that are handed over on purpose get what all rules say, others what rules with `inherited =
 * true` do. True if there is a listener of MPTCP. */
static bool tune_all_opened(const struct policy *policy, const struct active *active,
                            const struct active *inherited, const struct default_value *defaults)
{
    DIR *directory = opendir("/proc/self/fd");
    int handed_over = handed_over_end(environ, getpid());
    const struct dirent *entry;
    bool multipath = false;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        struct stat status;
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (*entry->d_name != '.' && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode))
            multipath |= tune_opened(policy, fd < handed_over ? active : inherited, defaults, fd);
    }
    if (directory != NULL)
        closedir(directory);
    return multipath;
}

/* The first program */

static int tune_inherited(const struct policy *policy, struct program *program)
{
    const struct active *active = &program->active;
    struct default_value *defaults = target_kernel_defaults(policy);
    uint32_t *rules = calloc(active->count + 1u, sizeof *rules);
    int failed = -1;
    if (defaults != NULL && rules != NULL) {
        struct active inherited = {rules, active_rules_inherited(policy, active, rules)};
        program->multipath = tune_all_opened(policy, active, &inherited, defaults);
        failed = 0;
    }
    free(rules);
    free(defaults);
    return failed;
}

/* Which rules are for the program that is going to run; scripts are followed, as execve() does. The
 * rules are malloc()ed; returns 0, or -1 with errno. */
static int identify_program(const struct policy *policy, char *const *argv, struct program *program)
{
    char *path = executable_find(argv[0]), *cgroup = process_cgroup(0);
    struct executable executable = {.path = NULL};
    bool known = path != NULL && executable_read(path, &executable) == 0;
    const char **line = known ? executable_command_line(&executable, argv) : NULL;
    const struct identity identity = {.executable = known ? executable.file : NULL,
                                      .argv = line != NULL ? line : (const char *const *)argv,
                                      .uid = geteuid(),
                                      .gid = getegid(),
                                      .cgroup = cgroup};
    uint32_t *rules = calloc(policy->rule_count + 1, sizeof *rules);
    *program = (struct program){.active = {.rules = rules}, .go = known && executable.go};
    snprintf(program->name, sizeof program->name, "%.63s", text_basename(identity.argv[0]));
    if (rules != NULL)
        program->active.count = active_rules(policy, &identity, rules);
    free(line);
    if (path != NULL)
        executable_free(&executable);
    free(cgroup);
    free(path);
    return rules != NULL ? 0 : -1;
}

static int prepare_program(const struct policy *policy, struct program *program)
{
    /* The peer of a socket must not read them (inetd). */
    if (messages_fit())
        rule_warnings_print(policy, &program->active);
    return tune_inherited(policy, program);
}

/* Starting */

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

static int install_filter(const struct supervision *supervision, const struct program *program,
                          const struct needs *needs)
{
    struct supervisor_link link;
    int listener;
    if (needs_nothing(needs))
        return filter_install(supervision->policy, needs, supervision->refuse_uring) < 0
                   ? fail_to_filter()
                   : 0;
    if (supervisor_start(supervision->policy, program, supervision->trace, &link) != 0) {
        command_failure("cannot start the supervisor: %s", strerror(errno));
        return -1;
    }
    listener = filter_install(supervision->policy, needs, supervision->refuse_uring);
    if (listener < 0)
        return fail_to_filter();
    if (supervisor_hand_over(&link, listener) != 0) {
        command_failure("the supervisor does not start: %s", strerror(errno));
        return -1;
    }
    return 0;
}

/* A program that gains privileges could be led astray by a filter, so whoever is not privileged
 * must renounce such gains first. Returns 0, or -1 after saying why not. */
static int renounce_privileges(const char *program)
{
    char *path = executable_find(program);
    struct launch launch = launch_of_self("");
    struct executable executable;
    if (path != NULL && executable_read(path, &executable) == 0 &&
        executable_obstacles(&executable, &launch) & OBSTACLE_SECURE)
        message_warn("%s will not gain the privileges that its file gives: supervision by other "
                     "users than root excludes that (no_new_privs)",
                     program);
    if (path != NULL)
        executable_free(&executable);
    free(path);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        return 0;
    command_failure("cannot set no_new_privs: %s", strerror(errno));
    return -1;
}

/* The value of Go's multipathtcp: 1 makes MPTCP of listeners and connections, 2 of listeners alone,
 * 3 of connections alone. 0 if no rule for the program asks for MPTCP. Addresses do not count,
 * since Go knows none when it decides. */
static int mptcp_of_go(const struct policy *policy, const struct active *active)
{
    unsigned roles = 0;
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++) {
            const struct policy_action *action = &policy->actions[rule->actions.first + a];
            int32_t protocol;
            if (action->op != OP_TRANSPORT)
                continue;
            memcpy(&protocol, policy->data + action->value, sizeof protocol);
            roles |= protocol == IPPROTO_MPTCP ? rule->roles : 0;
        }
    }
    if ((roles & ROLE_CONNECT) == 0)
        return (roles & (ROLE_LISTEN | ROLE_ACCEPT)) != 0 ? 2 : 0;
    return (roles & (ROLE_LISTEN | ROLE_ACCEPT)) != 0 ? 1 : 3;
}

/* A multipathtcp that the user has set stays. Returns 0, or -1 with errno. */
static int set_transport_of_go(const struct policy *policy, const struct active *active)
{
    const char *before = getenv("GODEBUG");
    int kind = mptcp_of_go(policy, active), result;
    char *value;
    if (kind == 0 || (before != NULL && strstr(before, "multipathtcp=") != NULL))
        return 0;
    if (asprintf(&value, "%s%smultipathtcp=%d", before != NULL ? before : "",
                 before != NULL && *before != '\0' ? "," : "", kind) < 0)
        return -1;
    result = setenv("GODEBUG", value, 1);
    free(value);
    return result;
}

static int begin_supervision(const struct supervision *supervision, struct program *program)
{
    char problem[256];
    struct needs needs;
    int result;
    if (prepare_program(supervision->policy, program) != 0) {
        command_failure("%s", strerror(errno));
        return -1;
    }
    if (program->go && set_transport_of_go(supervision->policy, &program->active) != 0) {
        command_failure("%s", strerror(errno));
        return -1;
    }
    needs_of(supervision->policy, program, &needs);
    if (needs_nothing(&needs) && !supervision->refuse_uring)
        return 0;
    if (!needs_nothing(&needs) && reachability_problem(problem, sizeof problem))
        message_warn("sockets stay untuned, since the supervisor cannot look into programs: %s",
                     problem);
    if (stay_parent_of_program() != 0) {
        command_failure("cannot fork: %s", strerror(errno));
        return -1;
    }
    if (!may_filter() && renounce_privileges(supervision->argv[0]) != 0)
        return -1;
    result = install_filter(supervision, program, &needs);
    stay_parent_restore();
    return result;
}

int supervise_self(const struct supervision *supervision)
{
    struct program program;
    int result = identify_program(supervision->policy, supervision->argv, &program);
    if (result != 0)
        command_failure("%s", strerror(errno));
    else
        result = begin_supervision(supervision, &program);
    free((void *)program.active.rules);
    return result;
}
