/* SPDX-License-Identifier: MIT */
/*
 * Records, and when to register. Theory of operation:
 *
 * The constructor registers once, and a later connection again when register.c says so. A new ring
 * takes the very place of the old one (ring.h), so that no thread holds a pointer to what is gone.
 *
 * A helper that starts while the program runs is told of the sockets that there are by then, a few
 * descriptors at each call that is reported: many at once would keep the program waiting.
 *
 * A forked child goes on with its parent's ring, and registers for itself, in its own memory, when
 * that goes stale. A vfork()ed child borrows its parent's memory and must not (own_pid.h).
 *
 * A program that confines itself (seccomp) may be killed for a system call that it did not foresee,
 * so after prctl(PR_SET_NO_NEW_PRIVS or PR_SET_SECCOMP) nothing is registered and nothing handed
 * over any more.
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
#define OLD_NONE    UINT32_MAX /* none is left */

enum { BIRTHS = 65536, BIRTH_SHIFT = 24 };

/* When the socket behind a descriptor was first reported, for a helper that starts later. */
struct birth {
    uint32_t cookie; /* its lower half, since the number may stand for another socket by now */
    uint32_t when;   /* CLOCK_MONOTONIC in units of 2^BIRTH_SHIFT ns, some 17 ms */
};

struct report_state {
    struct birth *births; /* BIRTHS of them, by descriptor; NULL: none are kept */
    struct register_state registered;
    uint64_t netns; /* of the ring, 0: there has been none yet */
    /* The first descriptor that the helper has still to be told of, or OLD_NONE. */
    uint32_t next_old;
    uint64_t names;            /* struct rules_report: those that the helper has */
    uint64_t generation;       /* the newest rules whose names it has, or is about to get */
    struct rules_report begin; /* of the rules of the start */
    struct transient transient;
};

/* NULL: nothing to report. Written by the constructor alone. */
static struct report_state *reporter;

static uint64_t now_ns(void)
{
    struct timespec now = {0, 0};
    real_clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* The age of a socket that is being reported, in ns; it is 0 at the first report. */
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

/* A ring that another thread, or a child, has registered in another namespace than the one before
 * makes all notes void. */
static __attribute__((noinline)) void note_netns(uint64_t netns)
{
    if (reporter->netns != 0)
        own_netns_leave();
    reporter->netns = netns;
}

/* Are the names of these rules, which are new, still to be told? */
static bool has_new_names(const struct rules_in_force *rules)
{
    return __builtin_expect(
        __atomic_load_n(&reporter->generation, __ATOMIC_RELAXED) < rules->generation, 0);
}

/* For this thread to tell? Not if they are the names that the helper has. */
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

/* The ring to write to, or NULL. */
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

/* Does the helper know the rules of these records? */
static bool are_named(const struct rules_in_force *rules)
{
    return __atomic_load_n(&reporter->names, __ATOMIC_RELAXED) == rules->report->names;
}

/* Records */

/* Does its rule want the connection itself passed to the helper? */
static bool wants_handoff(const struct rules_in_force *rules, const struct record *record)
{
    const struct policy_rule *rule = record_rule(&rules->report->maker, record);
    return rule != NULL && record->kind != RECORD_LISTEN && record->kind != RECORD_DATAGRAM &&
           (record->flags & (RECORD_REFUSED | RECORD_UNANSWERED)) == 0 &&
           ((rule->flags & RULE_HANDOFF_SOCKET) != 0 ||
            ((rule->flags & RULE_HANDOFF_AUTO) != 0 && reporter->registered.blind));
}

/* Will the helper find the socket where it looks for the sockets of this ring? */
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
    uint64_t cookie; /* 0: it is asked for */
};

/* Not in line, so that the hooks' frames stay small. */
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

/* Ask a listener once what its accepted sockets would have to be asked each. */
static void note_tcp_listener(int fd)
{
    const struct ring *ring = __atomic_load_n(&reporter->registered.ring, __ATOMIC_ACQUIRE);
    if (ring != NULL && kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP &&
        is_of_namespace(ring, fd))
        reconnect_note_accepts_tcp(fd);
}

void report_adopted(const struct rules_in_force *rules, int fd, const struct sockinfo *history)
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

/* The next few descriptors, but for `told`, which is reported already. The kernel gives out the
 * lowest number that is free: where a whole row behind the one in use is, there are no more. */
static __attribute__((noinline)) void report_old(const struct rules_in_force *rules, int in_use,
                                                 int told)
{
    uint32_t first = __atomic_load_n(&reporter->next_old, __ATOMIC_RELAXED);
    if (first == OLD_NONE || confined_now() ||
        !__atomic_compare_exchange_n(&reporter->next_old, &first, first + OLD_AT_ONCE, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return; /* another thread does it */
    bool any = (int)first <= in_use;
    for (int fd = (int)first; fd < (int)(first + OLD_AT_ONCE); fd++) {
        struct sockinfo sockinfo;
        if (fd == told)
            continue;
        errno = 0;
        if (learn_history(OWN_SOCKET(fd), &sockinfo))
            report_adopted(rules, fd, &sockinfo);
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
    /* The helper knows a connection of MPTCP by its addresses, which are not settled yet. */
    if (record.protocol != IPPROTO_MPTCP)
        ring_put(ring, &record);
    return record.cookie;
}

void report_connect(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                    const struct decision *decided, uint64_t cookie, int error)
{
    /* A call that was interrupted goes on without the caller. */
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

/* Under a filter, a program that only sends may not have foreseen the calls that a record takes. */
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

/* Not in line, so that the hooks' frames stay small. */
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
    /* It may be the only call by which a helper that started later learns of the sockets. */
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

/* Not one of the hooks of a program without `live` calls this. */
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

/* FNV of the names that records of these rules refer to, in their order. */
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
    /* An environment of which nothing is known leaves the addresses as they are. */
    __builtin_memset(report, 0, sizeof *report);
    __builtin_memcpy(report->plan.helpers, reporter->begin.plan.helpers,
                     sizeof report->plan.helpers);
    prepare_report(rules, report, NULL, live);
}

void report_start(const struct helper_environment *environment, const struct register_live *live)
{
    struct rules_in_force *rules = &state.rules;
    unsigned roles = record_roles(&rules->policy, &rules->active);
    /* A filter that was there before may kill the program for what registering takes. */
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
    made->next_old = OLD_NONE; /* adopt_sockets() tells of them all */
}
