/* SPDX-License-Identifier: MIT */
/*
 * The filter, by libseccomp. Each call is asked about only if a rule needs it, since that costs the
 * program some 20 us; of setsockopt, only the options that a rule guards.
 */
#include "supervise_filter.h"
#include "option.h"

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_NEW_LISTENER
#define SECCOMP_FILTER_FLAG_NEW_LISTENER (1UL << 3)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) /* Linux 5.19 */
#endif

/* A call by its name, and by its number in socketcall(2), which 32-bit x86 programs may use. */
static const struct {
    const char *name;
    unsigned socketcall; /* linux/net.h; 0: none */
} calls[NOTIFIED_COUNT] = {
    [NOTIFIED_BIND] = {"bind", 2},
    [NOTIFIED_CONNECT] = {"connect", 3},
    [NOTIFIED_LISTEN] = {"listen", 4},
    [NOTIFIED_SENDTO] = {"sendto", 11},
    [NOTIFIED_SENDMSG] = {"sendmsg", 16},
    [NOTIFIED_SETSOCKOPT] = {"setsockopt", 14},
    [NOTIFIED_URING] = {"io_uring_setup", 0},
};

/* --- what a policy needs ---------------------------------------------------------------------- */

#define BIT(moment) MOMENT_BIT(MOMENT_##moment)

/*
 * What is decided at socket() is carried out at connect() or listen(). That is too late for what
 * must precede bind(), and a datagram socket may see neither.
 */
static bool needs_bind(const struct policy *policy, const struct policy_rule *rule,
                       const struct policy_action *action)
{
    bool early = policy->options[action->option].flags & OPTION_EARLY;
    bool datagram =
        rule->roles & ROLE_DATAGRAM && rule->protocols & action->protocols & PROTOCOL_DATAGRAM;

    return action->moments & BIT(BIND) || (action->moments & BIT(SOCKET) && (early || datagram));
}

static void add_action(struct needs *needs, const struct policy *policy,
                       const struct policy_rule *rule, const struct policy_action *action)
{
    unsigned moments = action->op == OP_TRANSPORT ? 0 : action->moments;

    if (action->mode == MODE_FORCE || action->mode == MODE_IGNORE) {
        needs->guards[action->option] = true;
        needs->calls[NOTIFIED_SETSOCKOPT] = true;
    }
    if (moments & (BIT(SOCKET) | BIT(LISTEN)) && rule->roles & (ROLE_LISTEN | ROLE_ACCEPT))
        needs->calls[NOTIFIED_LISTEN] = true;
    if (moments & (BIT(SOCKET) | BIT(CONNECT))) {
        needs->calls[NOTIFIED_CONNECT] = true;
        needs->calls[NOTIFIED_SENDTO] = needs->calls[NOTIFIED_SENDMSG] = true;
    }
    needs->calls[NOTIFIED_BIND] |= moments && needs_bind(policy, rule, action);
}

void needs_of(const struct policy *policy, struct needs *needs)
{
    memset(needs, 0, sizeof *needs);
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        for (uint32_t a = 0; a < rule->actions.count; a++)
            add_action(needs, policy, rule, &policy->actions[rule->actions.first + a]);
    }
    needs->calls[NOTIFIED_URING] = !needs_nothing(needs);
}

bool needs_nothing(const struct needs *needs)
{
    for (unsigned i = 0; i < NOTIFIED_COUNT; i++)
        if (needs->calls[i])
            return false;
    return true;
}

/* --- the filter ------------------------------------------------------------------------------- */

/* An int argument: the upper half of its register may hold anything. */
#define INT_IS(argument, value)                                                                    \
    SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)(value))
#define FLAG_IN(argument, flag) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, (flag), (flag))

static int add_option(scmp_filter_ctx filter, int number, int level, int optname)
{
    return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 2, INT_IS(1, level),
                            INT_IS(2, optname));
}

static int add_guards(scmp_filter_ctx filter, int number, const struct policy *policy,
                      const struct needs *needs)
{
    int failed = 0;

    for (uint32_t i = 0; i < policy->option_count && !failed; i++) {
        const struct policy_option *option = &policy->options[i];
        const struct option *row = option_find_number(option->level, option->optname);
        if (!needs->guards[i] || option->level == LEVEL_SOCKTUNE)
            continue;
        failed = add_option(filter, number, option->level, option->optname);
        if (!failed && row && row->other_optname)
            failed = add_option(filter, number, option->level, row->other_optname);
    }
    return failed;
}

static int add_call(scmp_filter_ctx filter, uint32_t arch, enum notified call,
                    const struct policy *policy, const struct needs *needs)
{
    int number = seccomp_syscall_resolve_name_arch(arch, calls[call].name);

    switch (call) {
    case NOTIFIED_SENDTO:
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 1, FLAG_IN(3, MSG_FASTOPEN));
    case NOTIFIED_SENDMSG:
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 1, FLAG_IN(2, MSG_FASTOPEN));
    case NOTIFIED_SETSOCKOPT:
        return add_guards(filter, number, policy, needs);
    default:
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 0);
    }
}

/* All rules for one architecture. Returns 0 or a negative errno, as libseccomp does. */
static int fill(scmp_filter_ctx filter, uint32_t arch, const struct policy *policy,
                const struct needs *needs, bool refuse_uring)
{
    int failed = 0;

    for (unsigned i = 0; i < NOTIFIED_COUNT && !failed; i++)
        if (needs->calls[i] && (i != NOTIFIED_URING || !refuse_uring))
            failed = add_call(filter, arch, (enum notified)i, policy, needs);
    if (!failed && refuse_uring)
        failed = seccomp_rule_add(
            filter, SCMP_ACT_ERRNO(ENOSYS),
            seccomp_syscall_resolve_name_arch(arch, calls[NOTIFIED_URING].name), 0);
    return failed;
}

/* The program of the filter, in `code`, which the caller provides with room. */
static int export_program(scmp_filter_ctx filter, struct sock_filter *code, size_t room,
                          struct sock_fprog *program)
{
    int fd = memfd_create("filter", MFD_CLOEXEC);
    int failed = fd < 0 ? -errno : seccomp_export_bpf(filter, fd);
    ssize_t size = failed ? -1 : pread(fd, code, room * sizeof *code, 0);

    if (fd >= 0)
        close(fd);
    if (failed)
        return failed;
    if (size <= 0)
        return -EIO;
    *program =
        (struct sock_fprog){.len = (unsigned short)((size_t)size / sizeof *code), .filter = code};
    return 0;
}

/*
 * By the system call, not by seccomp_load(): libseccomp 2.5 does not know WAIT_KILLABLE_RECV, with
 * which a notified call, once received, is not interrupted by signals, so that listen() and a
 * non-blocking connect() cannot end with an EINTR that they would not have by themselves.
 */
static int load(const struct sock_fprog *program, bool listener)
{
    unsigned long flags = listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    unsigned long killable = listener ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | killable, program);

    if (fd < 0 && errno == EINVAL && killable)
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
    return (int)fd;
}

int filter_install(const struct policy *policy, const struct needs *needs, bool refuse_uring)
{
    static struct sock_filter code[BPF_MAXINSNS];
    struct sock_fprog program;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int failed = filter ? 0 : -ENOMEM;

    /* Programs of other word sizes are let alone, not killed. */
    if (!failed)
        failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    if (!failed)
        failed = fill(filter, seccomp_arch_native(), policy, needs, refuse_uring);
    if (!failed)
        failed = export_program(filter, code, BPF_MAXINSNS, &program);
    if (filter)
        seccomp_release(filter);
    if (failed) {
        errno = -failed;
        return -1;
    }
    return load(&program, !needs_nothing(needs));
}

/* --- what is asked about ---------------------------------------------------------------------- */

/* Own numbers, without the cost of looking names up. */
static const int numbers[NOTIFIED_COUNT] = {
    [NOTIFIED_BIND] = SYS_bind,
    [NOTIFIED_CONNECT] = SYS_connect,
    [NOTIFIED_LISTEN] = SYS_listen,
    [NOTIFIED_SENDTO] = SYS_sendto,
    [NOTIFIED_SENDMSG] = SYS_sendmsg,
    [NOTIFIED_SETSOCKOPT] = SYS_setsockopt,
    [NOTIFIED_URING] = SYS_io_uring_setup,
};

int notified_identify(const struct seccomp_data *data, struct notified_call *call)
{
    for (unsigned i = 0; i < NOTIFIED_COUNT; i++)
        if (data->nr == numbers[i]) {
            call->kind = (enum notified)i;
            memcpy(call->arguments, data->args, sizeof call->arguments);
            return 0;
        }
    return -1;
}
