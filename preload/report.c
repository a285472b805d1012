/* SPDX-License-Identifier: MIT */
/*
 * Makes records, and decides when to register. Theory of operation:
 *
 * The constructor registers once; a later connection registers again when register.c says so. A new
 * ring is mapped at the address of the old one (ring.h), so no thread keeps a pointer to unmapped
 * memory.
 *
 * A helper that starts while the program runs gets reports of the sockets that already exist: a few
 * descriptors at each reported call, since reporting many at once would delay the program.
 *
 * A forked child uses its parent's ring until that goes stale; then it registers for itself, in its
 * own memory. A vfork()ed child uses its parent's memory, so it must not register (own_pid.h).
 *
 * A program with a seccomp filter may be killed for a system call that it did not expect. So after
 * prctl(PR_SET_NO_NEW_PRIVS or PR_SET_SECCOMP) the object neither registers nor hands over
 * descriptors.
 */
#include "report.h"

#include "bytes.h"
#include "compat.h"
#include "confined.h"
#include "kernel.h"
#include "learn.h"
#include "own_netns.h"
#include "own_pid.h"
#include "real.h"
#include "reconnect.h"
#include "record.h"
#include "tune.h"

#include <errno.h>
#include <netinet/in.h>
#include <time.h>

#define SECOND_NS   ((uint64_t)1000000000u)
#define OLD_AT_ONCE 8u         /* descriptors */
#define OLD_NONE    UINT32_MAX /* all are reported */

enum { BIRTHS = 65536, BIRTH_SHIFT = 24 };

/* When the socket behind a descriptor was first reported, for a helper that starts later. */
struct birth {
    uint32_t cookie; /* lower half; the descriptor may be another socket by now */
    uint32_t when;   /* CLOCK_MONOTONIC in units of 2^BIRTH_SHIFT ns, some 17 ms */
};

struct report_state {
    struct birth *births; /* BIRTHS entries, indexed by descriptor; NULL: not kept */
    struct register_state registered;
    uint64_t netns; /* of the ring; 0: there has been no ring yet */
    /* The next descriptor of those that existed before, or OLD_NONE. */
    uint32_t next_old;
    uint64_t names;            /* rules_report.names that the helper has */
    uint64_t generation;       /* newest rules whose names are or will be registered */
    struct rules_report begin; /* of the rules of the start */
    struct transient transient;
};

/* NULL: nothing is reported. Only the constructor writes it. */
static struct report_state *reporter;

static uint64_t now_ns(void)
{
    struct timespec now = {0, 0};
    real_clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* Returns how long ago the socket was first reported, in ns; 0 at the first report. */
static uint64_t age_of_socket(int fd, uint64_t cookie)
{
    struct timespec now = {0, 0};
    if (reporter->births == NULL || (unsigned)fd >= BIRTHS)
        return 0;
    real_clock_gettime(CLOCK_MONOTONIC, &now);
    uint32_t when =
        (uint32_t)(((uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec) >> BIRTH_SHIFT);
    struct birth *birth = &reporter->births[fd];
    if (__atomic_load_n(&birth->cookie, __ATOMIC_RELAXED) == (uint32_t)cookie)
        return (uint64_t)(when - __atomic_load_n(&birth->when, __ATOMIC_RELAXED)) << BIRTH_SHIFT;
    __atomic_store_n(&birth->when, when, __ATOMIC_RELAXED);
    __atomic_store_n(&birth->cookie, (uint32_t)cookie, __ATOMIC_RELAXED);
    return 0;
}

/* Registration */

/* If another thread or a child has registered a ring in another namespace, no note about namespaces
 * is valid any more. */
static __attribute__((noinline)) void note_netns(uint64_t netns)
{
    if (reporter->netns != 0)
        own_netns_leave();
    reporter->netns = netns;
}

/* True if the names of these rules have not been registered yet. */
static bool has_new_names(const struct rules_in_force *rules)
{
    return __builtin_expect(
        __atomic_load_n(&reporter->generation, __ATOMIC_RELAXED) < rules->generation, 0);
}

/* True if this thread must register the names. False if another thread does, or if the helper
 * already has these names. */
static bool claim_new_names(const struct rules_in_force *rules)
{
    uint64_t known = __atomic_load_n(&reporter->generation, __ATOMIC_RELAXED);
    return known < rules->generation &&
           __atomic_compare_exchange_n(&reporter->generation, &known, rules->generation, false,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
           __atomic_load_n(&reporter->names, __ATOMIC_RELAXED) != rules->report->names;
}

static void register_rules(const struct rules_in_force *rules, uint64_t now, bool due)
{
    struct register_state *registered = &reporter->registered;
    if (!claim_new_names(rules) && !due)
        return;
    register_again(registered, &rules->report->plan, own_pid(), now);
    if (registered->ring == NULL || !ring_is_read(registered->ring, now))
        return;
    __atomic_store_n(&reporter->names, rules->report->names, __ATOMIC_RELAXED);
    __atomic_store_n(&reporter->next_old, 0, __ATOMIC_RELAXED);
}

/* The ring to write to, or NULL. Registers if that is due. */
static struct ring *find_ring_in_use(const struct rules_in_force *rules, uint64_t now)
{
    struct register_state *registered = &reporter->registered;
    bool due = !confined_now() && register_is_due(registered, now);
    if ((due || (has_new_names(rules) && !confined_now())) && !own_pid_is_borrowed())
        register_rules(rules, now, due);
    struct ring *ring = __atomic_load_n(&registered->ring, __ATOMIC_ACQUIRE);
    if (ring != NULL && ring->header.netns != reporter->netns)
        note_netns(ring->header.netns);
    return ring;
}

/* True if the helper has the names of these rules. */
static bool are_named(const struct rules_in_force *rules)
{
    return __atomic_load_n(&reporter->names, __ATOMIC_RELAXED) == rules->report->names;
}

/* Records */

/* True if the record's rule wants the connection's descriptor handed to the helper. */
static bool wants_handoff(const struct rules_in_force *rules, const struct record *record)
{
    const struct policy_rule *rule = record_rule(&rules->report->maker, record);
    return rule != NULL && record->kind != RECORD_LISTEN && record->kind != RECORD_DATAGRAM &&
           (record->flags & (RECORD_REFUSED | RECORD_UNANSWERED)) == 0 &&
           ((rule->flags & RULE_HANDOFF_SOCKET) != 0 ||
            ((rule->flags & RULE_HANDOFF_AUTO) != 0 && reporter->registered.blind));
}

/* True if the socket is in the network namespace of this ring, where the helper looks for it. */
static bool is_of_namespace(const struct ring *ring, int fd)
{
    uint64_t wanted = ring->header.netns;
    if (wanted == 0 || (reconnect_is_at_home(fd) && !own_netns_is_left()))
        return true;
    if (kernel_get_cookie(fd, SO_NETNS_COOKIE) != wanted)
        return false;
    reconnect_note_at_home(fd);
    return true;
}

/* What a record begins with. */
struct report_head {
    enum record_kind kind;
    uint8_t flags;
    uint64_t cookie; /* 0: ask the socket */
};

/* noinline: keeps the hooks' frames small. */
static __attribute__((noinline)) void report(const struct rules_in_force *rules, int fd,
                                             struct sockinfo *sockinfo,
                                             const struct decision *decided,
                                             const struct report_head *head)
{
    const uint64_t now = now_ns();
    struct record record = {
        .kind = (uint8_t)head->kind, .flags = head->flags, .cookie = head->cookie, .time_ns = now};
    struct ring *ring = find_ring_in_use(rules, now);
    if (ring == NULL)
        return;
    record.pid = own_pid();
    if (!record_fill(&rules->report->maker, fd, sockinfo, decided, &record))
        return;
    if (!is_of_namespace(ring, fd)) {
        ring_drop(ring);
        return;
    }
    record.time_ns -= age_of_socket(fd, record.cookie);
    const bool wants = wants_handoff(rules, &record);
    if (!are_named(rules))
        record.rule = RECORD_RULE_UNNAMED;
    ring_put(ring, &record);
    if (record.kind == RECORD_DATAGRAM)
        (void)reconnect_note_reported(fd);
    if (!wants)
        return;
    if (confined_now() || !ring_is_answered(ring, reporter->registered.given, now))
        ring_withhold(ring);
    else
        hand_off(&rules->report->plan, ring, fd, &record);
}

/* Asks a listener once, so that its accepted sockets need not be asked one by one. */
static void note_tcp_listener(int fd)
{
    const struct ring *ring = __atomic_load_n(&reporter->registered.ring, __ATOMIC_ACQUIRE);
    if (ring != NULL && kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP &&
        is_of_namespace(ring, fd))
        reconnect_note_accepts_tcp(fd);
}

void report_inherited(const struct rules_in_force *rules, int fd, const struct sockinfo *history)
{
    struct sockinfo sockinfo = *history;
    unsigned roles = sockinfo.roles;
    if (rules->reports == 0 || (sockinfo.known & FACT_ROLE) == 0)
        return;
    report(rules, fd, &sockinfo, NULL,
           &(struct report_head){.kind = (roles & ROLE_LISTEN) != 0     ? RECORD_LISTEN
                                         : (roles & ROLE_ACCEPT) != 0   ? RECORD_ACCEPT
                                         : (roles & ROLE_DATAGRAM) != 0 ? RECORD_DATAGRAM
                                                                        : RECORD_CONNECT,
                                 .flags = RECORD_ADOPTED});
    if ((roles & ROLE_LISTEN) != 0)
        note_tcp_listener(fd);
}

/* Reports the next few descriptors, except `told`, which has been reported. The kernel assigns the
 * lowest free number. So if a whole group above `in_use` is closed, no more descriptors are
 * expected. */
static __attribute__((noinline)) void report_old(const struct rules_in_force *rules, int in_use,
                                                 int told)
{
    uint32_t first = __atomic_load_n(&reporter->next_old, __ATOMIC_RELAXED);
    if (first == OLD_NONE || confined_now() ||
        !__atomic_compare_exchange_n(&reporter->next_old, &first, first + OLD_AT_ONCE, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return; /* another thread reports these */
    bool any = (int)first <= in_use;
    for (int fd = (int)first; fd < (int)(first + OLD_AT_ONCE); fd++) {
        struct sockinfo sockinfo;
        if (fd == told)
            continue;
        errno = 0;
        if (learn_history(OWN_SOCKET(fd), &sockinfo))
            report_inherited(rules, fd, &sockinfo);
        any |= errno != EBADF;
    }
    if (!any)
        __atomic_store_n(&reporter->next_old, OLD_NONE, __ATOMIC_RELAXED);
}

static void report_new(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                       const struct decision *decided, const struct report_head *head)
{
    int saved = errno;
    report(rules, fd, sockinfo, decided, head);
    if (__builtin_expect(__atomic_load_n(&reporter->next_old, __ATOMIC_RELAXED) != OLD_NONE, 0))
        report_old(rules, fd, fd);
    errno = saved;
}

void report_made(int fd)
{
    int saved = errno;
    const struct ring *ring =
        fd < 0 ? NULL : __atomic_load_n(&reporter->registered.ring, __ATOMIC_ACQUIRE);
    if (ring != NULL && own_netns_is(ring->header.netns, fd))
        reconnect_note_at_home(fd);
    errno = saved;
}

bool report_knows_listener(int listener)
{
    return !own_netns_is_left() && reconnect_is_at_home(listener) &&
           reconnect_accepts_tcp(listener);
}

void report_moment(const struct rules_in_force *rules, struct sockinfo *sockinfo)
{
    if (rules->report == NULL || !rules->report->plan.trials)
        return;
    uint64_t now = now_ns();
    const struct ring *ring = find_ring_in_use(rules, now);
    if (ring == NULL || !ring_is_read(ring, now) || !are_named(rules))
        return;
    sockinfo->moment.time_ns = now;
    sockinfo->moment.ended = __atomic_load_n(&ring->header.ended, __ATOMIC_RELAXED);
    sockinfo->known |= FACT_MOMENT;
}

bool report_finds_ring(const struct rules_in_force *rules)
{
    return find_ring_in_use(rules, now_ns()) != NULL;
}

uint64_t report_connecting(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo)
{
    struct record record = {.kind = RECORD_CONNECT, .flags = RECORD_BEGUN, .time_ns = now_ns()};
    struct ring *ring = find_ring_in_use(rules, record.time_ns);
    if (ring == NULL || !ring_keeps_up(ring) ||
        !record_fill_begun(&rules->report->maker, fd, sockinfo, &record))
        return 0;
    record.pid = own_pid();
    record.time_ns -= age_of_socket(fd, record.cookie);
    if (!are_named(rules))
        record.rule = RECORD_RULE_UNNAMED;
    /* The helper finds an MPTCP connection by its addresses, which are not yet known. */
    if (record.protocol != IPPROTO_MPTCP)
        ring_put(ring, &record);
    return record.cookie;
}

void report_connect(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                    const struct decision *decided, uint64_t cookie, int error)
{
    /* A connect() interrupted by a signal continues in the kernel. */
    const uint8_t flags = error == 0 || error == EINTR ? 0
                          : error == ECONNREFUSED      ? RECORD_REFUSED
                                                       : RECORD_UNANSWERED;
    report_new(rules, fd, sockinfo, decided,
               &(struct report_head){.kind = RECORD_CONNECT, .flags = flags, .cookie = cookie});
}

void report_accept(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                   const struct decision *decided)
{
    report_new(rules, fd, sockinfo, decided, &(struct report_head){.kind = RECORD_ACCEPT});
}

void report_listen(const struct rules_in_force *rules, int fd)
{
    struct sockinfo sockinfo;
    sockinfo_at_listen(&sockinfo);
    report_new(rules, fd, &sockinfo, NULL, &(struct report_head){.kind = RECORD_LISTEN});
    int saved = errno;
    note_tcp_listener(fd);
    errno = saved;
}

/* Datagram sockets */

/* With a seccomp filter, a program that only sends may not expect the system calls of a report. */
void report_bound(const struct rules_in_force *rules, int fd, const struct sockaddr *address,
                  socklen_t length)
{
    struct sockinfo sockinfo;
    int saved = errno;
    if (!confined_now() && sockinfo_at_address(&sockinfo, PHASE_BIND, address, length) &&
        (sockinfo.families & FAMILY_IP) != 0)
        report_new(rules, fd, &sockinfo, NULL, &(struct report_head){.kind = RECORD_DATAGRAM});
    errno = saved;
}

/* noinline: keeps the hooks' frames small. */
static __attribute__((noinline)) void report_first_sent(const struct rules_in_force *rules, int fd)
{
    struct sockinfo sockinfo;
    if (learn_history(OWN_SOCKET(fd), &sockinfo) && sockinfo.protocols == PROTOCOL_UDP)
        report_new(rules, fd, &sockinfo, NULL, &(struct report_head){.kind = RECORD_DATAGRAM});
}

static void report_sent_by(const struct rules_in_force *rules, int fd)
{
    if ((rules->reports & ROLE_DATAGRAM) == 0 || !report_finds_ring(rules))
        return;
    /* For a helper that started later, this may be the only hook that reports existing sockets. */
    if (__atomic_load_n(&reporter->next_old, __ATOMIC_RELAXED) != OLD_NONE)
        report_old(rules, fd, -1);
    else if (!reconnect_note_reported(fd) && !confined_now())
        report_first_sent(rules, fd);
}

void report_sent(int fd)
{
    int saved = errno;
    if (rules_are_idle(ROLE_DATAGRAM))
        return;
    const struct rules_in_force *rules = rules_enter();
    report_sent_by(rules, fd);
    rules_leave(rules);
    errno = saved;
}

void report_option(const struct rules_in_force *rules, uint32_t option, unsigned result)
{
    if (rules->report != NULL)
        __atomic_store_n(&rules->report->results[option], (uint16_t)result, __ATOMIC_RELAXED);
}

/* Only called in programs with `live`. */
void report_stay_registered(const struct rules_in_force *rules)
{
    struct timespec now = {0, 0};
    real_clock_gettime(CLOCK_REALTIME_COARSE, &now);
    const uint64_t now_ns = (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
    if (!register_is_wanted(&reporter->registered, now_ns))
        return;
    int saved = errno;
    find_ring_in_use(rules, now_ns);
    errno = saved;
}

/* Start */

static void before_fork(void)
{
    transient_before_fork(&reporter->transient);
}

static void after_fork_in_child(void)
{
    transient_after_fork_in_child(&reporter->transient);
}

/* FNV hash of the names to which the records of these rules refer, in their order. */
static uint64_t hash_names(const struct register_plan *plan)
{
    const uint32_t from = plan->live_to;
    return bytes_hash(BYTES_HASH_BEGIN, plan->names + from, plan->names_size - from);
}

static void prepare_report(struct rules_in_force *rules, struct rules_report *report,
                           const struct helper_environment *environment,
                           const struct register_live *live)
{
    struct register_plan *plan = &report->plan;
    rules->reports = record_roles(&rules->policy, &rules->active);
    rules->report = report;
    register_prepare(plan, environment, state.program, &rules->policy, &rules->active, live);
    plan->generation = rules->generation;
    plan->transient = &reporter->transient;
    report->names = hash_names(plan);
    report->maker = (struct record_maker){.policy = &rules->policy,
                                          .active = &rules->active,
                                          .results = report->results,
                                          .rules_named = plan->head.rule_count};
}

void report_prepare(struct rules_in_force *rules, const struct register_live *live)
{
    struct rules_report *report = rules->report;
    /* The environment is not known any more, so the helper's addresses are kept. */
    __builtin_memset(report, 0, sizeof *report);
    __builtin_memcpy(report->plan.helpers, reporter->begin.plan.helpers,
                     sizeof report->plan.helpers);
    prepare_report(rules, report, NULL, live);
}

void report_start(const struct helper_environment *environment, const struct register_live *live)
{
    struct rules_in_force *rules = &state.rules;
    unsigned roles = record_roles(&rules->policy, &rules->active);
    /* A filter installed before exec may kill the program for the system calls of a
     * registration. */
    if ((roles == 0 && live == NULL) || confined_now())
        return;
    struct report_state *made = kernel_map(sizeof *made);
    if (made == NULL || real_clock_gettime == NULL || !own_pid_start())
        return;
    made->births = kernel_map(BIRTHS * sizeof *made->births);
    made->registered.distance = REGISTER_DISTANCE_NS;
    reporter = made;
    prepare_report(rules, &made->begin, environment, live);
    made->names = made->begin.names;
    real_at_fork(before_fork, after_fork_in_child);
    find_ring_in_use(rules, now_ns());
    made->next_old = OLD_NONE; /* inherited_tune_sockets() reports all of them */
}
