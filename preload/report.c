/* SPDX-License-Identifier: MIT */
/*
 * Records, and when to register. Theory of operation:
 *
 * The constructor registers once. If there is no helper then, or its heartbeat has stopped (it
 * ended, or it let go of the ring), a later connection tries again: after 1 s, then at twice the
 * distance each time up to once a minute, so that a helper that comes late or restarts is found.
 * Registrations that no helper has taken up are given up after UNANSWERED_MAX: each holds
 * descriptors in the queue of a helper that is stopped. Between tries a connection costs no system
 * call for it. A new ring takes the very place of the old one (ring.h), so that no thread holds a
 * pointer to what is gone.
 *
 * A forked child goes on with its parent's ring, and registers for itself, in its own memory, when
 * that goes stale. A vfork()ed child borrows its parent's memory and must not: a page that fork()
 * wipes and vfork() does not tells the one from the other, and spares getpid() besides.
 *
 * A program that confines itself (seccomp) may be killed for a system call that it did not foresee,
 * so after prctl(PR_SET_NO_NEW_PRIVS or PR_SET_SECCOMP) nothing is registered any more.
 */
#include "report.h"

#include "kernel.h"
#include "learn.h"
#include "register.h"
#include "text.h"
#include "tune.h"

#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <time.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262 /* include/uapi/linux/in.h */
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57 /* include/uapi/asm-generic/socket.h */
#endif
#ifndef SO_BINDTOIFINDEX
#define SO_BINDTOIFINDEX 62 /* include/uapi/asm-generic/socket.h */
#endif

#define SECOND_NS       ((uint64_t)1000000000u)
#define DISTANCE_MAX_NS (60 * SECOND_NS)
#define UNANSWERED_MAX  16u

/* The ends of names that the helper takes (registration_parse.h). */
#define NAME_MAX_BYTES 255u

/* Wiped by fork(). */
struct own {
    uint32_t pid; /* 0: a child that has not asked yet */
};

struct reporter {
    struct ring *ring; /* NULL: never registered */
    struct own *own;
    int (*clock_gettime)(clockid_t, struct timespec *);
    uint64_t next_try; /* CLOCK_REALTIME ns */
    uint64_t distance; /* to the try after that */
    uint64_t given;    /* the heartbeat that the ring was made with */
    uint32_t unanswered;
    bool confined;
    /* By option of the policy: what report_option() was told last. */
    uint16_t results[POLICY_OPTIONS_MAX];
    struct register_plan plan;
};

/* NULL: nothing to report. Written by the constructor alone. */
static struct reporter *reporter;

/* --- time and process --------------------------------------------------------------------------
 */

/* libc's function makes no system call, and so costs little and offends no filter. */
static uint64_t now_ns(void)
{
    struct timespec now = {0, 0};
    reporter->clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint32_t own_pid(void)
{
    uint32_t pid = __atomic_load_n(&reporter->own->pid, __ATOMIC_RELAXED);
    if (pid == 0) {
        pid = (uint32_t)kernel_call(SYS_getpid);
        __atomic_store_n(&reporter->own->pid, pid, __ATOMIC_RELAXED);
    }
    return pid;
}

/* --- registration ------------------------------------------------------------------------------
 */

static void try_registration(uint64_t now)
{
    struct ring *ring = register_ring(&reporter->plan, reporter->ring, own_pid(), now);
    if (ring == NULL)
        return;
    reporter->given = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    reporter->unanswered++;
    __atomic_store_n(&reporter->ring, ring, __ATOMIC_RELEASE);
}

/* A helper that wrote its heartbeat has taken the ring up: begin the counting anew. */
static void note_answer(const struct ring *ring)
{
    if (ring == NULL || reporter->unanswered == 0 ||
        __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED) == reporter->given)
        return;
    reporter->unanswered = 0;
    reporter->distance = SECOND_NS;
}

/* Is it time for another try, and for this thread to make it? */
static bool claim_try(uint64_t now)
{
    uint64_t due = __atomic_load_n(&reporter->next_try, __ATOMIC_RELAXED);
    uint64_t distance = reporter->distance;
    /* A clock that was set back must not put it off for long. */
    if (now < due && due - now <= DISTANCE_MAX_NS)
        return false;
    if (!__atomic_compare_exchange_n(&reporter->next_try, &due, now + distance, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return false;
    reporter->distance = distance * 2 < DISTANCE_MAX_NS ? distance * 2 : DISTANCE_MAX_NS;
    return true;
}

static bool is_alive(const struct ring *ring, uint64_t now)
{
    uint64_t beat = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    return beat != 0 && (now < beat || now - beat < RING_HEARTBEAT_MAX_NS);
}

/* The ring to write to, or NULL. */
static struct ring *find_ring(uint64_t now)
{
    struct ring *ring = __atomic_load_n(&reporter->ring, __ATOMIC_ACQUIRE);
    if (ring != NULL && is_alive(ring, now))
        return ring;
    if (reporter->confined)
        return ring;
    note_answer(ring);
    if (reporter->unanswered >= UNANSWERED_MAX || !claim_try(now) ||
        own_pid() != (uint32_t)kernel_call(SYS_getpid))
        return ring;
    try_registration(now);
    return __atomic_load_n(&reporter->ring, __ATOMIC_ACQUIRE);
}

/* --- records -----------------------------------------------------------------------------------
 */

/* Only sockets that sock_diag's TCP part knows. Settles protocol and role. */
static bool learn_protocol(int fd, struct subject *subject, struct record *record)
{
    int protocol = kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL);
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
        return false;
    record->protocol = (uint16_t)protocol;
    subject->protocols = protocol == IPPROTO_TCP ? PROTOCOL_TCP : PROTOCOL_MPTCP;
    subject->roles &= (uint8_t)~ROLE_DATAGRAM;
    subject->known |= FACT_ROLE;
    return true;
}

/* connect() to "any" goes to this machine. */
static void settle_remote(struct address *remote)
{
    if (address_is_unspecified(remote)) {
        bool v4 = address_is_v4(remote);
        remote->bytes[12] = v4 ? 127 : 0;
        remote->bytes[15] = 1;
    }
}

static void put_addresses(const struct subject *subject, struct record *record)
{
    record->family = subject->families == FAMILY_INET ? AF_INET : AF_INET6;
    __builtin_memcpy(record->local, subject->local.bytes, sizeof record->local);
    record->local_port = subject->local_port;
    if (record->kind == RECORD_LISTEN || (subject->known & FACT_REMOTE) == 0)
        return;
    struct address remote = subject->remote;
    settle_remote(&remote);
    __builtin_memcpy(record->remote, remote.bytes, sizeof record->remote);
    record->remote_port = subject->remote_port;
}

static void put_failure(struct record *record, uint32_t option, unsigned error)
{
    if (record->failed < RECORD_FAILURES_MAX)
        record->failures[record->failed] =
            (struct record_failure){.level = state.policy.options[option].level,
                                    .optname = state.policy.options[option].optname,
                                    .error = (int32_t)error};
    if (record->failed < UINT8_MAX)
        record->failed++;
}

/* What the rules gave it in its life up to here. An option set at an earlier call, on the listener
 * for example, has the result that it had last in this process. */
static void put_options(int fd, struct subject *subject, struct record *record)
{
    struct decision decision;
    unsigned moments = moments_behind(subject);
    tune_decide(fd, subject, moments, &decision);
    for (uint32_t i = 0; i < state.policy.option_count; i++) {
        if (decision.action[i] == NO_ACTION || state.policy.options[i].level == LEVEL_SOCKTUNE ||
            (state.policy.actions[decision.action[i]].moments & moments) == 0)
            continue;
        unsigned result = __atomic_load_n(&reporter->results[i], __ATOMIC_RELAXED);
        if (result == 0)
            record->applied++;
        else if (result != REPORT_KEPT)
            put_failure(record, i, result);
    }
}

static bool find_rule(int fd, struct subject *subject, enum moment moment, struct record *record)
{
    unsigned missing;
    uint32_t number;
    while ((missing = match_report(&state.policy, &state.active, subject, &number)) != 0)
        learn(fd, subject, missing, moment);
    if (number == NO_REPORT)
        return false;
    record->rule = number < reporter->plan.head.rule_count ? (uint16_t)number : RECORD_RULE_UNNAMED;
    return true;
}

static bool learn_identity(int fd, struct record *record)
{
    socklen_t length = sizeof record->cookie;
    if (kernel_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &record->cookie, &length) != 0)
        return false;
    int interface = kernel_get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX);
    record->interface = interface > 0 ? (uint32_t)interface : 0;
    record->pid = own_pid();
    return true;
}

/* Not in line, so that the hooks' frames stay small. */
static __attribute__((noinline)) void report(int fd, struct subject *subject, enum moment moment,
                                             enum record_kind kind)
{
    struct record record = {.kind = (uint8_t)kind, .time_ns = now_ns()};
    const unsigned ends = kind == RECORD_ACCEPT ? FACT_LOCAL | FACT_REMOTE : FACT_LOCAL;
    struct ring *ring = find_ring(record.time_ns);
    if (ring == NULL || !learn_protocol(fd, subject, &record))
        return;
    learn(fd, subject, ends & ~(unsigned)subject->known, moment);
    if (!find_rule(fd, subject, moment, &record) || !learn_identity(fd, &record))
        return;
    put_addresses(subject, &record);
    put_options(fd, subject, &record);
    ring_put(ring, &record);
}

void report_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int saved = errno;
    struct subject subject;
    if (subject_at_address(&subject, MOMENT_CONNECT, address, length) &&
        (subject.families & FAMILY_IP) != 0)
        report(fd, &subject, MOMENT_CONNECTED, RECORD_CONNECT);
    errno = saved;
}

void report_accept(int fd)
{
    int saved = errno;
    struct subject subject;
    subject_at_accept(&subject);
    report(fd, &subject, MOMENT_ACCEPT, RECORD_ACCEPT);
    errno = saved;
}

void report_listen(int fd)
{
    int saved = errno;
    struct subject subject;
    subject_at_listen(&subject);
    report(fd, &subject, MOMENT_LISTENING, RECORD_LISTEN);
    errno = saved;
}

void report_adopted(int fd, const struct subject *history)
{
    struct subject subject = *history;
    unsigned roles = subject.roles;
    if (reporter == NULL || (subject.known & FACT_ROLE) == 0 || (roles & ROLE_STREAM) == 0)
        return;
    if ((roles & ROLE_LISTEN) != 0)
        report(fd, &subject, MOMENT_LISTENING, RECORD_LISTEN);
    else if ((roles & ROLE_ACCEPT) != 0)
        report(fd, &subject, MOMENT_ACCEPT, RECORD_ACCEPT);
    else
        report(fd, &subject, MOMENT_CONNECTED, RECORD_CONNECT);
}

void report_option(uint32_t option, unsigned result)
{
    if (reporter != NULL)
        __atomic_store_n(&reporter->results[option], (uint16_t)result, __ATOMIC_RELAXED);
}

void report_confine(void)
{
    if (reporter != NULL)
        reporter->confined = true;
}

/* --- start -------------------------------------------------------------------------------------
 */

static unsigned reported_roles(void)
{
    unsigned roles = 0;
    for (uint32_t i = 0; i < state.active.count; i++) {
        const struct policy_rule *rule = &state.policy.rules[state.active.rules[i]];
        if ((rule->flags & RULE_REPORT) != 0 &&
            (rule->protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP)) != 0 &&
            (rule->families & FAMILY_IP) != 0)
            roles |= rule->roles & (unsigned)ROLE_STREAM;
    }
    return roles;
}

/* A path that is too long for a socket cannot be that of a helper. */
static void set_helper(struct sockaddr_un *helper, const char *directory, const char *name)
{
    struct text path = TEXT(helper->sun_path);
    text_put(&path, directory);
    if (directory[0] != 0)
        text_put(&path, "/");
    text_put(&path, name);
    if (path.length + 1 < path.size)
        helper->sun_family = AF_UNIX;
}

static void find_helpers(struct register_plan *plan, const struct report_settings *settings)
{
    if (settings->helper != NULL && settings->helper[0] != 0) {
        set_helper(&plan->helpers[0], "", settings->helper);
        return;
    }
    set_helper(&plan->helpers[0], "", REGISTRATION_SOCKET);
    if (settings->runtime != NULL && settings->runtime[0] == '/')
        set_helper(&plan->helpers[1], settings->runtime, REGISTRATION_USER_SOCKET);
}

/* Names are cut, and what a log could not show replaced. False: no room. */
static bool put_name(struct register_plan *plan, const char *name)
{
    size_t length = text_length(name);
    if (length > NAME_MAX_BYTES)
        length = NAME_MAX_BYTES;
    if (sizeof plan->names - plan->names_size < length + 2)
        return false;
    char *to = plan->names + plan->names_size;
    for (size_t i = 0; i < length; i++) {
        bool control = (unsigned char)name[i] < ' ' || name[i] == 0x7f;
        to[i] = name[i];
        if (control)
            to[i] = '?';
    }
    if (length == 0)
        to[length++] = '?';
    to[length] = 0;
    plan->names_size += (uint32_t)length + 1;
    return true;
}

static void make_message(struct register_plan *plan)
{
    plan->head = (struct registration){.version = REGISTRATION_VERSION,
                                       .ring_size = (uint32_t)RING_SIZE(RING_SLOTS)};
    __builtin_memcpy(plan->head.magic, REGISTRATION_MAGIC, sizeof plan->head.magic);
    put_name(plan, state.program);
    for (uint32_t i = 0; i < state.active.count; i++) {
        const struct policy_rule *rule = &state.policy.rules[state.active.rules[i]];
        if ((rule->flags & RULE_REPORT) == 0)
            continue;
        if (plan->head.rule_count == REGISTRATION_RULES_MAX ||
            !put_name(plan, policy_string(&state.policy, rule->name)))
            break;
        plan->head.rule_count++;
    }
    plan->head.size = (uint32_t)sizeof plan->head + plan->names_size;
}

/* Looked up here and not imported: few programs report. */
static bool find_clock(struct reporter *made)
{
    union {
        void *symbol;
        int (*call)(clockid_t, struct timespec *);
    } found = {.symbol = dlsym(RTLD_NEXT, "clock_gettime")};
    made->clock_gettime = found.call;
    return found.symbol != NULL;
}

unsigned report_start(const struct report_settings *settings)
{
    unsigned roles = reported_roles();
    if (roles == 0)
        return 0;
    struct reporter *made = kernel_map(sizeof *made);
    struct own *own = kernel_map(sizeof *own);
    /* Before Linux 4.14 a forked child cannot be told from a vfork()ed one. */
    if (made == NULL || own == NULL || !find_clock(made) ||
        kernel_call(SYS_madvise, own, sizeof *own, MADV_WIPEONFORK) != 0)
        return 0;
    made->own = own;
    made->distance = SECOND_NS;
    find_helpers(&made->plan, settings);
    reporter = made;
    make_message(&made->plan);
    find_ring(now_ns());
    return roles;
}
