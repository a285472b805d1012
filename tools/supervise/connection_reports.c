/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: `sockets` has those that a call was notified of, and those that were found
 * because they belong to a listener among them, each by its cookie. The kernel tells of every TCP
 * socket that it destroys, with its ends, so that not one short connection is missed; what lives is
 * found by a dump, soon after a call was noted and once a second where there are listeners. Both
 * come through one netlink socket and so in the order of time, and the helper, which is reported of
 * the end by the kernel too, keeps that end until the record comes (helper/space.h).
 *
 * A connect() that fails at once is not reported: its socket is in no dump, and has acknowledged
 * nothing when it is destroyed.
 */
#include "connection_reports.h"
#include "compat.h"
#include "kernel.h"
#include "kernel_socket.h"
#include "learn.h"
#include "messages.h"
#include "record.h"
#include "register.h"
#include "sock_diag.h"
#include "tcp_info.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>

#define SECOND      UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)
#define SOON_MS     250
#define IDLE_MS     1000
/* What closes by itself gets so long, and so long if there is a throng. */
#define FINISH_NS    (4 * SECOND)
#define DRAIN_NS     (10 * SECOND)
#define READ_AT_ONCE 16u /* messages, while callers wait for the lock */
/* Times the time that a dump takes must pass before the next; but no longer than that, for what it
 * takes is mostly waiting where much else goes on. */
#define DUMP_SHARE   20u
#define PAUSE_MAX_NS (2 * SECOND)
/* SYN retries end before that (tcp_syn_retries of ip-sysctl). */
#define GIVE_UP_NS    (300 * SECOND)
#define REPORTERS_MAX 64u
#define OPENED_MAX    64u
#define STATE(number) (1u << (number))

enum { FAMILIES = 2 };

struct target_reporter {
    char program[64];
    struct active active;
    struct register_state state;
    struct register_plan plan;
    uint16_t results[POLICY_OPTIONS_MAX];
    struct record_maker maker;
};

/* A socket that is, or may become, one to report. */
struct socket_entry {
    uint64_t cookie;
    uint64_t netns;
    uint64_t when; /* CLOCK_REALTIME ns, of the call */
    struct target_reporter *reporter;
    struct sockinfo sockinfo;
    uint32_t interface;
    pid_t pid;
    enum record_kind kind;
    bool reported;
    unsigned dump; /* the last one that met it */
    UT_hash_handle hh;
    struct socket_entry *prev, *next; /* listeners alone */
};

static struct {
    pthread_mutex_t lock;
    const struct policy *policy; /* NULL: nothing is reported */
    uint64_t netns;
    struct sock_diag *diag;
    struct target_reporter *reporters[REPORTERS_MAX];
    size_t reporter_count;
    struct socket_entry *sockets;
    struct socket_entry *listeners; /* of those */
    size_t expected;                /* of those: not reported yet */
    unsigned dumps;                 /* begun so far */
    unsigned family;                /* of the dump under way */
    uint64_t began;                 /* the last dump, CLOCK_MONOTONIC ns; 0: none yet */
    uint64_t next;                  /* no other one before this */
    bool finishing;                 /* nobody has a socket open any more */
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* --- reporters -------------------------------------------------------------------------------- */

static struct ring *ring_of(struct target_reporter *reporter)
{
    uint64_t now = now_ns(CLOCK_REALTIME);

    if (register_is_due(&reporter->state, now))
        register_again(&reporter->state, &reporter->plan, (uint32_t)getpid(), now);
    return reporter->state.ring;
}

static bool is_reporter_of(const struct target_reporter *reporter, const char *program,
                           const struct active *active)
{
    return strcmp(reporter->program, program) == 0 && reporter->active.count == active->count &&
           memcmp(reporter->active.rules, active->rules, active->count * sizeof *active->rules) ==
               0;
}

static struct target_reporter *make_reporter(const char *program, const struct active *active)
{
    const struct helper_environment environment = {getenv("SOCKTUNE_HELPER"),
                                                   getenv("XDG_RUNTIME_DIR")};
    struct target_reporter *reporter = calloc(1, sizeof *reporter);
    uint32_t *rules = malloc((active->count + 1) * sizeof *rules);

    if (!reporter || !rules) {
        free(rules);
        free(reporter);
        return NULL;
    }
    memcpy(rules, active->rules, active->count * sizeof *rules);
    snprintf(reporter->program, sizeof reporter->program, "%s", program);
    reporter->active = (struct active){rules, active->count};
    reporter->state.distance = REGISTER_DISTANCE_NS;
    register_prepare(&reporter->plan, &environment, program, reports.policy, &reporter->active);
    /* What is never given from outside counts as nothing. */
    for (size_t i = 0; i < POLICY_OPTIONS_MAX; i++)
        reporter->results[i] = RECORD_KEPT;
    reporter->maker = (struct record_maker){reports.policy, &reporter->active, reporter->results,
                                            reporter->plan.head.rule_count};
    return reporter;
}

static struct target_reporter *find_reporter(const char *program, const struct active *active)
{
    struct target_reporter *made;

    for (size_t i = 0; i < reports.reporter_count; i++)
        if (is_reporter_of(reports.reporters[i], program, active))
            return reports.reporters[i];
    made = reports.reporter_count < REPORTERS_MAX ? make_reporter(program, active) : NULL;
    if (made) {
        reports.reporters[reports.reporter_count++] = made;
        ring_of(made);
    }
    return made;
}

struct target_reporter *reporter_of(const char *program, const struct active *active,
                                    unsigned *roles)
{
    struct target_reporter *reporter = NULL;

    *roles = reports.policy ? record_roles(reports.policy, active) : 0;
    if (*roles) {
        pthread_mutex_lock(&reports.lock);
        reporter = find_reporter(program, active);
        pthread_mutex_unlock(&reports.lock);
    }
    return reporter;
}

void reporter_note(struct target_reporter *reporter, uint32_t option, unsigned result)
{
    __atomic_store_n(&reporter->results[option], (uint16_t)result, __ATOMIC_RELAXED);
}

/* --- sockets ---------------------------------------------------------------------------------- */

static struct socket_entry *find_socket(uint64_t cookie)
{
    struct socket_entry *entry;

    HASH_FIND(hh, reports.sockets, &cookie, sizeof cookie, entry);
    return entry;
}

static void forget(struct socket_entry *entry)
{
    reports.expected -= !entry->reported;
    if (entry->kind == RECORD_LISTEN)
        DL_DELETE(reports.listeners, entry);
    HASH_DEL(reports.sockets, entry);
    free(entry);
}

/* One more, or the same once more: a second connect(). */
static struct socket_entry *add_socket(const struct socket_entry *like)
{
    struct socket_entry *entry = find_socket(like->cookie);

    if (entry)
        forget(entry);
    entry = malloc(sizeof *entry);
    if (!entry)
        return NULL;
    *entry = *like;
    entry->dump = reports.dumps + 1; /* one that is under way may have passed it already */
    HASH_ADD(hh, reports.sockets, cookie, sizeof entry->cookie, entry);
    if (entry->kind == RECORD_LISTEN)
        DL_APPEND(reports.listeners, entry);
    reports.expected++;
    return entry;
}

/* What is asked of the socket itself. False if it is none that sock_diag tells us about. */
static bool fill_entry(int fd, const struct sockinfo *sockinfo, enum record_kind kind,
                       struct socket_entry *entry)
{
    int interface = kernel_get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX);

    *entry =
        (struct socket_entry){.sockinfo = *sockinfo, .when = now_ns(CLOCK_REALTIME), .kind = kind};
    if (kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP ||
        !(entry->cookie = kernel_get_cookie(fd, SO_COOKIE)) ||
        !(entry->netns = kernel_get_cookie(fd, SO_NETNS_COOKIE)))
        return false;
    sockinfo_learn_type(&entry->sockinfo, kind == RECORD_LISTEN ? PHASE_LISTEN : PHASE_CONNECT,
                        kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN), SOCK_STREAM, IPPROTO_TCP);
    entry->interface = interface > 0 ? (uint32_t)interface : 0;
    /* The first connections of a listener may be over before it is address by a dump. */
    if (kind == RECORD_LISTEN)
        learn_facts(KERNEL_SOCKET(fd), &entry->sockinfo, FACT_LOCAL, PHASE_LISTEN);
    return true;
}

static void expect(struct socket_entry *entry, struct target_reporter *reporter, pid_t pid)
{
    if (entry->netns != reports.netns)
        return;
    entry->reporter = reporter;
    entry->pid = pid;
    pthread_mutex_lock(&reports.lock);
    ring_of(reporter);
    add_socket(entry);
    pthread_mutex_unlock(&reports.lock);
}

void reporter_expect(struct target_reporter *reporter, int fd, const struct sockinfo *sockinfo,
                     enum record_kind kind, pid_t pid)
{
    struct socket_entry entry;

    if (fill_entry(fd, sockinfo, kind, &entry))
        expect(&entry, reporter, pid);
}

/* --- sockets that the program is started with ------------------------------------------------- */

static struct {
    struct socket_entry entries[OPENED_MAX];
    size_t count;
} opened;

static void note_opened(int fd)
{
    struct sockinfo sockinfo;

    if (opened.count == OPENED_MAX || !learn_history(KERNEL_SOCKET(fd), &sockinfo) ||
        !(sockinfo.known & FACT_ROLE) || sockinfo.roles & ROLE_DATAGRAM)
        return;
    learn_facts(KERNEL_SOCKET(fd), &sockinfo, FACT_LOCAL | FACT_REMOTE, PHASE_ACCEPT);
    if (fill_entry(fd, &sockinfo,
                   sockinfo.roles & ROLE_LISTEN   ? RECORD_LISTEN
                   : sockinfo.roles & ROLE_ACCEPT ? RECORD_ACCEPT
                                                  : RECORD_CONNECT,
                   &opened.entries[opened.count]))
        opened.count++;
}

void reports_note_opened(void)
{
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;

    while (directory && (entry = readdir(directory)))
        if (*entry->d_name != '.')
            note_opened((int)strtol(entry->d_name, NULL, 10));
    if (directory)
        closedir(directory);
}

void reports_inherited(const char *program, const struct active *active, pid_t pid)
{
    unsigned roles;
    struct target_reporter *reporter = reporter_of(program, active, &roles);

    for (size_t i = 0; reporter && i < opened.count; i++)
        expect(&opened.entries[i], reporter, pid);
}

/* --- records ---------------------------------------------------------------------------------- */

static void put_record(const struct socket_entry *entry)
{
    struct sockinfo sockinfo = entry->sockinfo;
    struct record record = {.cookie = entry->cookie,
                            .time_ns = entry->when,
                            .pid = (uint32_t)entry->pid,
                            .interface = entry->interface,
                            .protocol = IPPROTO_TCP,
                            .kind = (uint8_t)entry->kind};
    struct ring *ring = ring_of(entry->reporter);

    if (ring && record_fill_known(&entry->reporter->maker, &sockinfo, &record))
        ring_put(ring, &record);
}

static void take_ends(struct socket_entry *entry, const struct sock_diag_target *target)
{
    struct sockinfo *sockinfo = &entry->sockinfo;

    memcpy(sockinfo->local.bytes, target->flow.local, sizeof sockinfo->local.bytes);
    sockinfo->local_port = target->flow.local_port;
    sockinfo->known |= FACT_LOCAL;
    sockinfo->unavailable &= (uint8_t)~FACT_LOCAL;
    if (entry->kind != RECORD_ACCEPT)
        return;
    memcpy(sockinfo->remote.bytes, target->flow.remote, sizeof sockinfo->remote.bytes);
    sockinfo->remote_port = target->flow.remote_port;
    sockinfo->known |= FACT_REMOTE;
}

static void report_entry(struct socket_entry *entry)
{
    entry->reported = true;
    reports.expected--;
    put_record(entry);
}

static void report(struct socket_entry *entry, const struct sock_diag_target *target)
{
    take_ends(entry, target);
    report_entry(entry);
}

/* --- accepted sockets ------------------------------------------------------------------------- */

static bool accepts(const struct socket_entry *listener, const struct sock_diag_answer *answer)
{
    const struct sockinfo *sockinfo = &listener->sockinfo;

    if (listener->kind != RECORD_LISTEN || sockinfo->local_port != answer->target.flow.local_port ||
        (listener->interface && listener->interface != answer->target.ifindex))
        return false;
    return (address_is_unspecified(&sockinfo->local) &&
            (sockinfo->families == FAMILY_INET6 || answer->target.flow.family == AF_INET)) ||
           memcmp(sockinfo->local.bytes, answer->target.flow.local,
                  sizeof answer->target.flow.local) == 0;
}

static struct socket_entry *listener_of(const struct sock_diag_answer *answer)
{
    struct socket_entry *listener = reports.listeners;

    while (listener && !accepts(listener, answer))
        listener = listener->next;
    return listener;
}

/* A connection that no call was notified of: did a listener accept it? */
static struct socket_entry *adopt(const struct sock_diag_answer *answer)
{
    struct socket_entry *listener = listener_of(answer);
    struct socket_entry entry = {.kind = RECORD_ACCEPT};

    if (!listener || !answer->target.flow.remote_port)
        return NULL;
    /* It may be gone before a dump meets it, but has listened, as this proves. */
    if (!listener->reported)
        report_entry(listener);
    entry.cookie = answer->target.cookie;
    entry.when = now_ns(CLOCK_REALTIME);
    entry.reporter = listener->reporter;
    entry.pid = listener->pid;
    entry.interface = answer->target.ifindex;
    sockinfo_at_accept(&entry.sockinfo);
    sockinfo_learn_type(&entry.sockinfo, PHASE_ACCEPT, answer->target.flow.family, SOCK_STREAM,
                        IPPROTO_TCP);
    return add_socket(&entry);
}

/* --- what the kernel tells -------------------------------------------------------------------- */

/* The SYN of a connecting socket is acknowledged like data. */
static bool was_connected(const struct sock_diag_answer *answer)
{
    struct tcp_info_bytes info = {.length = 0};
    uint64_t acked;

    if (!answer->info)
        return false;
    info.length = answer->info_length < sizeof info.bytes ? answer->info_length : sizeof info.bytes;
    memcpy(info.bytes, answer->info, info.length);
    return tcp_info_get(tcp_info_find("bytes_acked"), &info, &acked) == TCP_INFO_VALUE && acked > 0;
}

/* A program that ends closes its listener first. What that accepted is known by it until a dump
 * that began later has met those that go on. */
static void close_listener(struct socket_entry *listener)
{
    reports.expected -= !listener->reported;
    listener->reported = true;
    listener->dump = reports.dumps;
}

static void destroyed(const struct sock_diag_answer *answer)
{
    struct socket_entry *entry = find_socket(answer->target.cookie);

    if (!entry)
        entry = adopt(answer);
    if (entry && !entry->reported &&
        (entry->kind == RECORD_ACCEPT || (entry->kind == RECORD_CONNECT && was_connected(answer))))
        report(entry, &answer->target);
    if (entry && entry->kind == RECORD_LISTEN)
        close_listener(entry);
    else if (entry)
        forget(entry);
}

static void found(const struct sock_diag_answer *answer)
{
    struct socket_entry *entry = find_socket(answer->target.cookie);

    /* What nobody has open (yet) has an end of its own coming, or is in the queue of accept(). */
    if (!answer->owned && !reports.finishing)
        return;
    if (!entry && answer->state != TCP_LISTEN)
        entry = adopt(answer);
    if (!entry)
        return;
    entry->dump = reports.dumps;
    if (!entry->reported && (entry->kind == RECORD_LISTEN) == (answer->state == TCP_LISTEN))
        report(entry, &answer->target);
}

static void take_answer(void *context, const struct sock_diag_answer *answer)
{
    (void)context;
    if (answer->event == SOCK_DIAG_DESTROYED)
        destroyed(answer);
    else
        found(answer);
}

/* What a whole dump has not met is gone, its end having been lost; or has not come about. */
static void forget_lost(void)
{
    struct socket_entry *next;
    uint64_t now = now_ns(CLOCK_REALTIME);

    for (struct socket_entry *entry = reports.sockets; entry; entry = next) {
        next = entry->hh.next;
        if (entry->dump < reports.dumps && (entry->reported || now - entry->when > GIVE_UP_NS))
            forget(entry);
    }
}

/* --- the thread ------------------------------------------------------------------------------- */

static bool begin_dump(unsigned family)
{
    static const uint8_t families[FAMILIES] = {AF_INET, AF_INET6};
    const uint32_t states = STATE(TCP_ESTABLISHED) | STATE(TCP_SYN_SENT) | STATE(TCP_FIN_WAIT1) |
                            STATE(TCP_FIN_WAIT2) | STATE(TCP_CLOSE_WAIT) | STATE(TCP_LAST_ACK) |
                            STATE(TCP_LISTEN) | STATE(TCP_CLOSING);

    reports.family = family;
    return sock_diag_dump(reports.diag, families[family], IPPROTO_TCP, states) == 0;
}

static void end_dump(void)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC), pause = DUMP_SHARE * (now - reports.began);

    forget_lost();
    reports.next = now + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
}

/* Take what has come, and go on with a dump. Returns 1 where there may be more, else 0; -1 when
 * sock_diag fails. */
static int take_messages(void)
{
    bool dumped = sock_diag_is_dumping(reports.diag);
    int more = sock_diag_read(reports.diag, READ_AT_ONCE);

    if (more < 0 || !dumped || sock_diag_is_dumping(reports.diag))
        return more;
    if (reports.family + 1 < FAMILIES)
        return begin_dump(reports.family + 1) ? 1 : -1;
    end_dump();
    return more;
}

/* Is there something to look for? Listeners may have accepted. */
static bool is_dump_due(uint64_t now)
{
    uint64_t since = now - reports.began;

    return now >= reports.next && !sock_diag_is_dumping(reports.diag) &&
           (((reports.expected || reports.finishing) && since >= SOON_MS * MILLISECOND) ||
            (reports.listeners && since >= IDLE_MS * MILLISECOND));
}

/* Returns as take_messages(). */
static int watch_once(void)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC);
    int more = take_messages();

    if (more < 0 || !is_dump_due(now))
        return more;
    reports.began = now;
    reports.dumps++;
    return begin_dump(0) ? 1 : -1;
}

static void *watch(void *context)
{
    int more = 0, pause = IDLE_MS;

    (void)context;
    while (more >= 0) {
        struct pollfd ready = {.fd = sock_diag_fd(reports.diag), .events = POLLIN};

        (void)poll(&ready, 1, pause);
        pthread_mutex_lock(&reports.lock);
        more = watch_once();
        pause = reports.expected ? SOON_MS : IDLE_MS;
        pthread_mutex_unlock(&reports.lock);
    }
    message_print("no more connections are reported: sock_diag failed: %s", strerror(errno));
    return NULL;
}

/* --- beginning and end ------------------------------------------------------------------------ */

/* Returns as take_messages(), but -1 also when all is reported. */
static int finish_once(unsigned last)
{
    int more = watch_once();

    return !reports.sockets && reports.dumps >= last && !sock_diag_is_dumping(reports.diag) &&
                   more == 0
               ? -1
               : more;
}

/* What was open at the end goes on closing by itself, and may not have been met by a dump. */
void reports_finish(void)
{
    const struct timespec pause = {.tv_nsec = 10 * (long)MILLISECOND};
    uint64_t begin = now_ns(CLOCK_MONOTONIC), passed = 0;
    unsigned last = 0;
    int more = reports.policy ? 0 : -1;

    while (more >= 0 && passed < (more > 0 ? DRAIN_NS : FINISH_NS)) {
        if (more == 0)
            nanosleep(&pause, NULL);
        pthread_mutex_lock(&reports.lock);
        if (!reports.finishing)
            last = reports.dumps + 1;
        reports.finishing = true;
        more = finish_once(last);
        pthread_mutex_unlock(&reports.lock);
        passed = now_ns(CLOCK_MONOTONIC) - begin;
    }
}

static bool any_reports(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->rule_count; i++)
        if (policy->rules[i].flags & RULE_REPORT)
            return true;
    return false;
}

void reports_start(const struct policy *policy)
{
    pthread_t thread;
    int fd;

    if (!any_reports(policy))
        return;
    fd = sock_diag_socket();
    if (fd < 0 || !(reports.netns = kernel_get_cookie(fd, SO_NETNS_COOKIE)) ||
        !(reports.diag = sock_diag_open(fd, take_answer, NULL)) ||
        pthread_create(&thread, NULL, watch, NULL) != 0) {
        message_print("connections are not reported: sock_diag: %s", strerror(errno));
        return;
    }
    pthread_detach(thread);
    reports.policy = policy;
}

void reports_forget(void)
{
    memset(&reports, 0, sizeof reports);
    pthread_mutex_init(&reports.lock, NULL);
}
