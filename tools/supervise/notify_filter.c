/* SPDX-License-Identifier: MIT */
/*
 * The filter, by libseccomp. Each call is asked about only if a rule needs it, since that costs the
 * program some 20 us; of setsockopt, only the options that a rule guards.
 */
#include "notify_filter.h"
#include "compat.h"
#include "fallback.h"
#include "option.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

/* A call by its name, and by its number in socketcall(2), by which 32-bit x86 programs may make it
 * (linux/net.h); 0: not in there. */
static const struct {
    const char *name;
    uint32_t socketcall;
} calls[NOTIFIED_COUNT] = {
    [NOTIFIED_BIND] = {"bind", 2},
    [NOTIFIED_CONNECT] = {"connect", 3},
    [NOTIFIED_LISTEN] = {"listen", 4},
    [NOTIFIED_SENDTO] = {"sendto", 11},
    [NOTIFIED_SENDMSG] = {"sendmsg", 16},
    [NOTIFIED_SENDMMSG] = {"sendmmsg", 20},
    [NOTIFIED_SETSOCKOPT] = {"setsockopt", 14},
    [NOTIFIED_EPOLL] = {"epoll_ctl", 0},
    [NOTIFIED_URING] = {"io_uring_setup", 0},
};

/* What a policy needs */

#define BIT(phase) PHASE_BIT(PHASE_##phase)

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
    return action->phases & BIT(BIND) || (action->phases & BIT(SOCKET) && (early || datagram));
}

static void add_connecting_calls(struct needs *needs)
{
    needs->calls[NOTIFIED_CONNECT] = needs->calls[NOTIFIED_SENDTO] = true;
    needs->calls[NOTIFIED_SENDMSG] = needs->calls[NOTIFIED_SENDMMSG] = true;
}

static void add_action(struct needs *needs, const struct policy *policy,
                       const struct policy_rule *rule, const struct policy_action *action)
{
    unsigned phases = action->op == OP_TRANSPORT ? 0 : action->phases;
    if (policy_is_guard(action)) {
        needs->options[action->option] = true;
        needs->calls[NOTIFIED_SETSOCKOPT] = true;
    }
    if (phases & (BIT(ACCEPT) | BIT(ACCEPT_WILDCARD)) && rule->roles & ROLE_ACCEPT) {
        needs->options[action->option] = true;
        needs->accepted = true;
    }
    if (phases & (BIT(SOCKET) | BIT(LISTEN)) && rule->roles & (ROLE_LISTEN | ROLE_ACCEPT))
        needs->calls[NOTIFIED_LISTEN] = true;
    if (phases & (BIT(SOCKET) | BIT(CONNECT))) {
        add_connecting_calls(needs);
    }
    needs->calls[NOTIFIED_BIND] |= phases && needs_bind(policy, rule, action);
}

/* What is reported must be noticed, whether a rule gives it something or not. */
static void add_report(struct needs *needs, const struct policy_rule *rule)
{
    if (!(rule->flags & RULE_REPORT))
        return;
    if (rule->roles & (ROLE_LISTEN | ROLE_ACCEPT))
        needs->calls[NOTIFIED_LISTEN] = true;
    if (rule->roles & ROLE_CONNECT)
        add_connecting_calls(needs);
}

/* The first notified call on an accepted socket gives it what its listener could not. */
static void add_accepted(struct needs *needs, bool go)
{
    needs->calls[NOTIFIED_SETSOCKOPT] = true;
    needs->calls[NOTIFIED_EPOLL] = !go;
}

/* Go makes its listeners of MPTCP, since Go 1.24 unasked. */
static bool falls_back(const struct policy *policy, uint32_t rule)
{
    return fallback_concerns(policy, &(const struct active){&rule, 1});
}

void needs_of(const struct policy *policy, const struct program *program, struct needs *needs)
{
    memset(needs, 0, sizeof *needs);
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        for (uint32_t a = 0; a < rule->actions.count; a++)
            add_action(needs, policy, rule, &policy->actions[rule->actions.first + a]);
        add_report(needs, rule);
        needs->accepted |= (program->go || program->multipath) && falls_back(policy, i);
        needs->unix_sockets |= (rule->families & FAMILY_UNIX) != 0;
    }
    if (needs->accepted)
        add_accepted(needs, program->go);
    needs->calls[NOTIFIED_URING] = !needs_nothing(needs);
}

bool needs_nothing(const struct needs *needs)
{
    for (unsigned i = 0; i < NOTIFIED_COUNT; i++)
        if (needs->calls[i])
            return false;
    return true;
}

/* The filter */

/* An int argument: the upper half of its register may hold anything. */
#define INT_IS(argument, value)                                                                    \
    SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, 0xffffffffu, (uint32_t)(value))
#define FLAG_IN(argument, flag) SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, (flag), (flag))

/* Two guarded options may have a sibling in common, or be siblings. */
static int add_option(scmp_filter_ctx filter, int number, int level, int optname)
{
    int failed =
        seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 2, INT_IS(1, level), INT_IS(2, optname));
    return failed == -EEXIST ? 0 : failed;
}

static int add_options(scmp_filter_ctx filter, int number, const struct policy *policy,
                       const struct needs *needs)
{
    int failed = needs->accepted ? add_option(filter, number, IPPROTO_TCP, TCP_NODELAY) : 0;
    for (uint32_t i = 0; i < policy->option_count && !failed; i++)
        if (needs->options[i] && policy->options[i].level != LEVEL_SOCKTUNE)
            failed =
                add_option(filter, number, policy->options[i].level, policy->options[i].optname);
    for (uint32_t i = 0; i < policy->sibling_count && !failed; i++)
        if (needs->options[policy->siblings[i].option])
            failed =
                add_option(filter, number, policy->siblings[i].level, policy->siblings[i].optname);
    return failed;
}

/*
 * Where no rule is for AF_UNIX, the filter leaves out calls by the length of their address. That of
 * an IP address is 16 to 128, and the size of a structure or union in C, a multiple of 4. For an
 * AF_UNIX address, programs pass the length of its path, or 110, the size of struct sockaddr_un. So
 * three of four of them are left out. libseccomp takes one comparison for each argument.
 */
static int add_address_call(scmp_filter_ctx filter, int number)
{
    static const struct {
        uint32_t mask, value;
    } blocks[] = {{~15u | 3, 16}, {~31u | 3, 32}, {~63u | 3, 64}, {~0u, 128}};
    _Static_assert(sizeof(struct sockaddr_un) % 4 != 0, "it is left out");
    _Static_assert(sizeof(struct sockaddr_storage) == 128, "the kernel takes no longer address");
    int failed = 0;

    for (size_t i = 0; i < sizeof blocks / sizeof *blocks && !failed; i++)
        failed =
            seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 1,
                             SCMP_CMP64(2, SCMP_CMP_MASKED_EQ, blocks[i].mask, blocks[i].value));
    return failed;
}

/* libseccomp translates our own numbers to those of other architectures, and, where there are no
 * conditions on the arguments, to socketcall(). */
static int add_call(scmp_filter_ctx filter, enum notified call, const struct policy *policy,
                    const struct needs *needs)
{
    int number = seccomp_syscall_resolve_name(calls[call].name);
    switch (call) {
    case NOTIFIED_SENDTO:
    case NOTIFIED_SENDMMSG:
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 1, FLAG_IN(3, MSG_FASTOPEN));
    case NOTIFIED_SENDMSG:
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 1, FLAG_IN(2, MSG_FASTOPEN));
    case NOTIFIED_SETSOCKOPT:
        return add_options(filter, number, policy, needs);
    case NOTIFIED_EPOLL:
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 1, INT_IS(1, EPOLL_CTL_ADD));
    case NOTIFIED_BIND:
    case NOTIFIED_CONNECT:
        if (!needs->unix_sockets)
            return add_address_call(filter, number);
        /* fall through */
    default:
        return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, number, 0);
    }
}

/* A call with conditions, by way of socketcall(2), whose arguments lie in memory, out of the
 * filter's sight: so all sendto(), sendmsg(), sendmmsg() and setsockopt() there. Nothing where it
 * does not exist. */
static int add_socketcall(scmp_filter_ctx filter, enum notified call)
{
    return seccomp_rule_add(filter, SCMP_ACT_NOTIFY, seccomp_syscall_resolve_name("socketcall"), 1,
                            INT_IS(0, calls[call].socketcall));
}

static bool is_conditional(enum notified call, const struct needs *needs)
{
    if (call == NOTIFIED_BIND || call == NOTIFIED_CONNECT)
        return !needs->unix_sockets;
    return call == NOTIFIED_SENDTO || call == NOTIFIED_SENDMSG || call == NOTIFIED_SENDMMSG ||
           call == NOTIFIED_SETSOCKOPT;
}

/* All rules. Returns 0 or a negative errno, as libseccomp does. */
static int add_filter_rules(scmp_filter_ctx filter, const struct policy *policy,
                            const struct needs *needs, bool refuse_uring)
{
    int failed = 0;

#if defined(__x86_64__)
    failed = seccomp_arch_add(filter, SCMP_ARCH_X86);
#endif
    for (unsigned i = 0; i < NOTIFIED_COUNT && !failed; i++) {
        enum notified call = (enum notified)i;
        if (!needs->calls[i] || (call == NOTIFIED_URING && refuse_uring))
            continue;
        failed = add_call(filter, call, policy, needs);
        if (!failed && is_conditional(call, needs))
            failed = add_socketcall(filter, call);
    }
    if (!failed && refuse_uring)
        failed = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SYS_io_uring_setup, 0);
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
static int load_filter(const struct sock_fprog *program, bool listener)
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
    int failed = filter != NULL ? 0 : -ENOMEM;
    /* Programs of yet other word sizes (x32) are let alone, not killed. */
    if (!failed)
        failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW);
    if (!failed)
        failed = add_filter_rules(filter, policy, needs, refuse_uring);
    if (!failed)
        failed = export_program(filter, code, BPF_MAXINSNS, &program);
    if (filter != NULL)
        seccomp_release(filter);
    if (failed) {
        errno = -failed;
        return -1;
    }
    return load_filter(&program, !needs_nothing(needs));
}

/* What is asked about */

/* Numbers of an architecture, without the cost of looking names up at each call. */
struct numbers {
    uint32_t arch;
    int socketcall; /* -1: none */
    int calls[NOTIFIED_COUNT];
};

static const struct numbers own_numbers = {
#if defined(__x86_64__)
    .arch = SCMP_ARCH_X86_64,
#elif defined(__aarch64__)
    .arch = SCMP_ARCH_AARCH64,
#endif
    .socketcall = -1,
    .calls = {[NOTIFIED_BIND] = SYS_bind,
              [NOTIFIED_CONNECT] = SYS_connect,
              [NOTIFIED_LISTEN] = SYS_listen,
              [NOTIFIED_SENDTO] = SYS_sendto,
              [NOTIFIED_SENDMSG] = SYS_sendmsg,
              [NOTIFIED_SENDMMSG] = SYS_sendmmsg,
              [NOTIFIED_SETSOCKOPT] = SYS_setsockopt,
              [NOTIFIED_EPOLL] = SYS_epoll_ctl,
              [NOTIFIED_URING] = SYS_io_uring_setup},
};

/* arch/x86/entry/syscalls/syscall_32.tbl */
static const struct numbers x86_numbers = {
    .arch = SCMP_ARCH_X86,
    .socketcall = 102,
    .calls = {[NOTIFIED_BIND] = 361,
              [NOTIFIED_CONNECT] = 362,
              [NOTIFIED_LISTEN] = 363,
              [NOTIFIED_SENDTO] = 369,
              [NOTIFIED_SENDMSG] = 370,
              [NOTIFIED_SENDMMSG] = 345,
              [NOTIFIED_SETSOCKOPT] = 366,
              [NOTIFIED_EPOLL] = 255,
              [NOTIFIED_URING] = 425},
};

const char *notified_name(enum notified kind)
{
    return calls[kind].name;
}

int notified_identify(const struct seccomp_data *data, struct notified_call *call)
{
    call->compat = data->arch == x86_numbers.arch && own_numbers.arch != x86_numbers.arch;
    const struct numbers *numbers = call->compat ? &x86_numbers : &own_numbers;
    bool packed = data->nr == numbers->socketcall;

    call->packed = packed ? data->args[1] : 0;
    memcpy(call->arguments, data->args, sizeof call->arguments);
    for (unsigned i = 0; i < NOTIFIED_COUNT; i++)
        if (packed ? calls[i].socketcall && calls[i].socketcall == (uint32_t)data->args[0]
                   : data->nr == numbers->calls[i]) {
            call->kind = (enum notified)i;
            return 0;
        }
    return -1;
}

void notified_unpack(struct notified_call *call, const uint32_t words[6])
{
    for (size_t i = 0; i < 6; i++)
        call->arguments[i] = words[i];
    call->packed = 0;
}

bool notified_matters(const struct notified_call *call)
{
    if (call->kind == NOTIFIED_SENDTO || call->kind == NOTIFIED_SENDMMSG)
        return call->arguments[3] & MSG_FASTOPEN;
    if (call->kind == NOTIFIED_SENDMSG)
        return call->arguments[2] & MSG_FASTOPEN;
    return true;
}
