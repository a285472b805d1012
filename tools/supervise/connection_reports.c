/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: sockets that a call was notified of are kept in a table
 * (reported_sockets.h), each by its cookie. The kernel sends a message about every TCP socket that
 * it destroys, so that no short connection is missed; the sockets that live are found by a dump,
 * soon after a call was noted and once a second while there are listeners. Both come through one
 * netlink socket and so in the order of time. The helper gets the same messages of the kernel, and
 * keeps the end of a socket until its record comes.
 */
#include "connection_reports.h"
#include "compat.h"
#include "kernel.h"
#include "kernel_socket.h"
#include "learn.h"
#include "messages.h"
#include "record.h"
#include "reporter.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND      UINT64_C(1000000000)
#define MILLISECOND UINT64_C(1000000)
#define SOON_MS     250
#define IDLE_MS     1000
/* At the end: how long to wait for sockets that are still closing, and at most if messages keep
 * coming. */
#define FINISH_NS    (4 * SECOND)
#define DRAIN_NS     (10 * SECOND)
#define READ_AT_ONCE 16u /* messages, while callers wait for the lock */
/* The pause after a dump is DUMP_SHARE times the time that it took, and PAUSE_MAX_NS at most: on a
 * busy machine a dump mostly waits. */
#define DUMP_SHARE    20u
#define PAUSE_MAX_NS  (2 * SECOND)
#define OPENED_MAX    64u
#define STATE(number) (1u << (number))

enum { FAMILIES = 2 };

static struct {
    pthread_mutex_t lock;
    const struct policy *policy; /* NULL: nothing is reported */
    uint64_t netns;
    struct sock_diag *diag;
    struct reported_sockets table;
    unsigned family; /* of the dump under way */
    uint64_t began;  /* the last dump, CLOCK_MONOTONIC ns; 0: none yet */
    uint64_t next;   /* no other one before this */
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

/* Programs */

struct target_reporter *reporter_of(const char *program, const struct active *active,
                                    unsigned *roles)
{
    struct target_reporter *reporter = NULL;
    *roles = reports.policy != NULL ? record_roles(reports.policy, active) : 0;
    if (*roles) {
        pthread_mutex_lock(&reports.lock);
        reporter = reporter_find(reports.policy, program, active);
        pthread_mutex_unlock(&reports.lock);
    }
    return reporter;
}

/* Sockets */

/* Ask the socket itself. False if sock_diag sends no messages about such a socket. */
static bool fill_entry(int fd, const struct sockinfo *sockinfo, enum record_kind kind,
                       struct socket_entry *entry)
{
    int interface = kernel_get_int(fd, SOL_SOCKET, SO_BINDTOIFINDEX);
    *entry = (struct socket_entry){.sockinfo = *sockinfo, .when = reporter_clock(), .kind = kind};
    /* The helper finds the arm by the time of the record: the interval must be the same. */
    if ((sockinfo->known & FACT_MOMENT) != 0)
        entry->when = sockinfo->moment.time_ns;
    if (kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP ||
        !(entry->cookie = kernel_get_cookie(fd, SO_COOKIE)) ||
        !(entry->netns = kernel_get_cookie(fd, SO_NETNS_COOKIE)))
        return false;
    sockinfo_learn_type(&entry->sockinfo,
                        kind == RECORD_LISTEN   ? PHASE_LISTEN
                        : kind == RECORD_ACCEPT ? PHASE_ACCEPT
                                                : PHASE_CONNECT,
                        kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN), SOCK_STREAM, IPPROTO_TCP);
    entry->interface = interface > 0 ? (uint32_t)interface : 0;
    /* The first connections of a listener may be over before a dump finds the listener. */
    if (kind == RECORD_LISTEN)
        learn_facts(KERNEL_SOCKET(fd), &entry->sockinfo, FACT_LOCAL, PHASE_LISTEN);
    return true;
}

static bool expect_socket(struct socket_entry *entry, struct target_reporter *reporter, pid_t pid)
{
    bool taken;
    if (entry->netns != reports.netns)
        return false;
    entry->reporter = reporter;
    entry->pid = pid;
    pthread_mutex_lock(&reports.lock);
    reporter_ring(reporter);
    taken =
        (entry->kind != RECORD_ACCEPT || !reported_sockets_has(&reports.table, entry->cookie)) &&
        reported_sockets_add(&reports.table, entry) != NULL;
    pthread_mutex_unlock(&reports.lock);
    return taken;
}

void reporter_moment(struct target_reporter *reporter, struct sockinfo *sockinfo)
{
    pthread_mutex_lock(&reports.lock);
    reporter_note_moment(reporter, sockinfo);
    pthread_mutex_unlock(&reports.lock);
}

bool reporter_expect(struct target_reporter *reporter, int fd, const struct sockinfo *sockinfo,
                     enum record_kind kind, pid_t pid)
{
    struct socket_entry entry;
    return fill_entry(fd, sockinfo, kind, &entry) && expect_socket(&entry, reporter, pid);
}

/* Sockets that the program is started with */

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
        opened.entries[opened.count++].adopted = true;
}

void reports_note_opened(void)
{
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (*entry->d_name != '.')
            note_opened((int)strtol(entry->d_name, NULL, 10));
    if (directory != NULL)
        closedir(directory);
}

void reports_inherited(const char *program, const struct active *active, pid_t pid)
{
    unsigned roles;
    struct target_reporter *reporter = reporter_of(program, active, &roles);
    for (size_t i = 0; reporter != NULL && i < opened.count; i++)
        expect_socket(&opened.entries[i], reporter, pid);
}

/* The thread */

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
    uint64_t now = monotonic_ns(), pause = DUMP_SHARE * (now - reports.began);
    reported_sockets_forget_lost(&reports.table);
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
           (((reports.table.expected || reports.table.finishing) &&
             since >= SOON_MS * MILLISECOND) ||
            (reports.table.listeners != NULL && since >= IDLE_MS * MILLISECOND));
}

/* Returns as take_messages(). */
static int watch_once(void)
{
    uint64_t now = monotonic_ns();
    int more = take_messages();
    if (more < 0 || !is_dump_due(now))
        return more;
    reports.began = now;
    reports.table.dumps++;
    return begin_dump(0) ? 1 : -1;
}

static void *watch_sock_diag(void *context)
{
    int more = 0, pause = IDLE_MS;
    (void)context;
    while (more >= 0) {
        struct pollfd ready = {.fd = sock_diag_fd(reports.diag), .events = POLLIN};
        (void)poll(&ready, 1, pause);
        pthread_mutex_lock(&reports.lock);
        more = watch_once();
        pause = reports.table.expected ? SOON_MS : IDLE_MS;
        pthread_mutex_unlock(&reports.lock);
    }
    message_print("no more connections are reported: sock_diag failed: %s", strerror(errno));
    return NULL;
}

/* Beginning and end */

/* Returns as take_messages(), but -1 also when all is reported. */
static int finish_once(unsigned last)
{
    int more = watch_once();
    return reports.table.sockets == NULL && reports.table.dumps >= last &&
                   !sock_diag_is_dumping(reports.diag) && more == 0
               ? -1
               : more;
}

/* Sockets that were open at the end are closed by the kernel later, and perhaps no dump has found
 * them yet. */
void reports_finish(void)
{
    const struct timespec pause = {.tv_nsec = 10 * (long)MILLISECOND};
    uint64_t begin = monotonic_ns(), passed = 0;
    unsigned last = 0;
    int more = reports.policy != NULL ? 0 : -1;
    while (more >= 0 && passed < (more > 0 ? DRAIN_NS : FINISH_NS)) {
        if (more == 0)
            nanosleep(&pause, NULL);
        pthread_mutex_lock(&reports.lock);
        if (!reports.table.finishing)
            last = reports.table.dumps + 1;
        reports.table.finishing = true;
        more = finish_once(last);
        pthread_mutex_unlock(&reports.lock);
        passed = monotonic_ns() - begin;
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
    reports.table = (struct reported_sockets){.put = reporter_put, .clock = reporter_clock};
    fd = sock_diag_socket();
    if (fd < 0 || !(reports.netns = kernel_get_cookie(fd, SO_NETNS_COOKIE)) ||
        (reports.diag = sock_diag_open(fd, reported_sockets_take, &reports.table)) == NULL ||
        pthread_create(&thread, NULL, watch_sock_diag, NULL) != 0) {
        message_print("connections are not reported: sock_diag: %s", strerror(errno));
        return;
    }
    pthread_detach(thread);
    reports.policy = policy;
}

void reports_forget(void)
{
    memset(&reports, 0, sizeof reports);
    reporters_forget();
    pthread_mutex_init(&reports.lock, NULL);
}
