/* SPDX-License-Identifier: MIT */
/*
 * The sampling loop, the sampled sockets, and the answers of sock_diag.
 */
#include "sampler.h"
#include "policy.h"
#include "second_look.h"
#include "sock_diag.h"
#include "tcp_info.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <math.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LOOK_INTERVAL 0.1  /* seconds */
#define CPU_SHARE     0.12 /* of one core; if a look costs more, there are fewer looks */
#define SCAN_INTERVAL 0.5  /* minimum seconds between two scans of /proc */
#define SCAN_SHARE    0.02 /* of one core */
#define DUMP_PATIENCE 1000 /* milliseconds */
#define SOCKETS_MOST  65536u
#define STATE_LISTEN  10u
#define STATE_BIT(n)  (1u << (n))
/* All states except SYN_RECV, TIME_WAIT, CLOSE and NEW_SYN_RECV, in which no program has a socket
 * open. */
#define TCP_STATES                                                                                 \
    (STATE_BIT(1) | STATE_BIT(2) | STATE_BIT(4) | STATE_BIT(5) | STATE_BIT(8) | STATE_BIT(9) |     \
     STATE_BIT(STATE_LISTEN) | STATE_BIT(11))

/* A network namespace with watched processes. */
struct advise_network {
    struct advise_sampler *sampler;
    uint64_t inode;
    struct sock_diag *diag;                  /* NULL: it may not be entered */
    bool looked;                             /* there was at least one look */
    uint8_t listening[65536 / 8];            /* TCP ports */
    struct advise_process *listeners[65536]; /* watched processes, by port */
    struct advise_network *next;
};

struct advise_socket {
    uint64_t cookie, inode;
    struct flow flow;
    struct advise_network *network;
    struct advise_process *process; /* NULL: the other end of a watched socket */
    uint32_t look;                  /* the last look that found it */
    int8_t connected;               /* from evidence_connected() */
    struct advise_evidence evidence;
    UT_hash_handle by_cookie, by_flow;
};

struct advise_sampler {
    struct advise_watch *watch;
    struct advise_network *networks;
    struct advise_network *dumped; /* the network whose dump is in progress */
    enum advise_kind kind; /* of that dump: connections (and listeners), or datagram sockets */
    struct advise_socket *by_cookie, *by_flow;
    double now;
    uint32_t look;
    bool failed; /* out of memory */
};

/* The ends of a flow, without its family: from the first member of struct flow to the last port. */
#define FLOW_KEY_SIZE offsetof(struct flow, family)

static double clock_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Samples */

static uint64_t info_field(const struct tcp_info_bytes *info, enum tcp_info_id id)
{
    uint64_t number = 0;
    size_t count;
    tcp_info_get(&tcp_info_table(&count)[id], info, &number);
    return number;
}

static void take_counters(const struct tcp_info_bytes *info, struct advise_counters *counters)
{
    *counters = (struct advise_counters){
        .busy = info_field(info, TCP_INFO_busy_time),
        .limited = info_field(info, TCP_INFO_rwnd_limited),
        .sent = info_field(info, TCP_INFO_bytes_sent),
        .resent = info_field(info, TCP_INFO_bytes_retrans),
        .received = info_field(info, TCP_INFO_bytes_received),
        .segments = info_field(info, TCP_INFO_data_segs_out),
    };
}

static void take_info(const struct tcp_info_bytes *info, struct advise_sample *sample)
{
#define TAKE(member, id) sample->member = (uint32_t)info_field(info, TCP_INFO_##id)
    TAKE(mss, snd_mss);
    TAKE(unacked, unacked);
    TAKE(window, snd_cwnd);
    TAKE(peer_space, snd_wnd);
    TAKE(own_space, rcv_wnd);
    TAKE(not_sent, notsent_bytes);
    TAKE(rtt, rtt);
    TAKE(least_rtt, min_rtt);
    TAKE(rto, rto);
    TAKE(backoff, backoff);
    TAKE(since_sent, last_data_sent);
    TAKE(since_received, last_data_recv);
    TAKE(since_acked, last_ack_recv);
#undef TAKE
    sample->acked = info_field(info, TCP_INFO_bytes_acked);
    take_counters(info, &sample->counters);
    sample->has_info = true;
}

static void copy_info(const struct sock_diag_answer *answer, struct tcp_info_bytes *info)
{
    info->length =
        answer->info_length < sizeof info->bytes ? answer->info_length : sizeof info->bytes;
    if (answer->info == NULL)
        info->length = 0;
    else
        memcpy(info->bytes, answer->info, info->length);
}

static struct advise_sample make_sample(const struct advise_sampler *sampler,
                                        const struct sock_diag_answer *answer)
{
    struct advise_sample sample = {.kind = sampler->kind,
                                   .when = sampler->now,
                                   .state = answer->state,
                                   .timer = answer->timer,
                                   .receive_queue = answer->receive_queue,
                                   .send_queue = answer->send_queue,
                                   .drops = answer->drops};
    struct tcp_info_bytes info;
    if (answer->memory != NULL) {
        sample.receive_memory = answer->memory[SK_MEMINFO_RMEM_ALLOC];
        sample.receive_buffer = answer->memory[SK_MEMINFO_RCVBUF];
        sample.send_memory = answer->memory[SK_MEMINFO_WMEM_QUEUED];
        sample.send_buffer = answer->memory[SK_MEMINFO_SNDBUF];
    }
    if (sample.kind == ADVISE_CONNECTION && answer->state == STATE_LISTEN)
        sample.kind = ADVISE_LISTENER;
    else if (sample.kind == ADVISE_CONNECTION && answer->info != NULL) {
        copy_info(answer, &info);
        take_info(&info, &sample);
    }
    return sample;
}

/* Sockets */

static bool has_listener(const struct advise_network *network, uint16_t port)
{
    return (network->listening[port / 8] >> port % 8 & 1) != 0;
}

/* Returns the other end of a connection, if it is on this machine and known. */
static struct advise_socket *other_end(const struct advise_sampler *sampler,
                                       const struct flow *flow)
{
    struct flow other =
        flow_between(flow->remote, flow->remote_port, flow->local, flow->local_port, 0);
    struct advise_socket *found = NULL;
    if (flow->remote_port != 0)
        HASH_FIND(by_flow, sampler->by_flow, &other, FLOW_KEY_SIZE, found);
    return found;
}

static void forget_socket(struct advise_sampler *sampler, struct advise_socket *socket)
{
    struct advise_socket *by_flow = NULL;
    HASH_DELETE(by_cookie, sampler->by_cookie, socket); /* NOLINT(clang-analyzer-unix.Malloc) */
    HASH_FIND(by_flow, sampler->by_flow, &socket->flow, FLOW_KEY_SIZE, by_flow);
    if (by_flow == socket)
        HASH_DELETE(by_flow, sampler->by_flow, socket); /* NOLINT(clang-analyzer-unix.Malloc) */
    free(socket);
}

static struct advise_socket *remember_socket(struct advise_sampler *sampler,
                                             const struct sock_diag_answer *answer,
                                             struct advise_process *process)
{
    struct advise_socket *socket, *same = NULL;
    if (HASH_CNT(by_cookie, sampler->by_cookie) >= SOCKETS_MOST) {
        sampler->watch->progress.crowded++;
        return NULL;
    }
    socket = calloc(1, sizeof *socket);
    if (socket == NULL) {
        sampler->failed = true;
        return NULL;
    }
    socket->cookie = answer->target.cookie;
    socket->inode = answer->inode;
    socket->flow = answer->target.flow;
    socket->network = sampler->dumped;
    socket->process = process;
    socket->connected = -1;
    HASH_ADD(by_cookie, sampler->by_cookie, cookie, sizeof socket->cookie, socket);
    if (socket->flow.remote_port != 0) {
        HASH_FIND(by_flow, sampler->by_flow, &socket->flow, FLOW_KEY_SIZE, same);
        if (same == NULL)
            HASH_ADD(by_flow, sampler->by_flow, flow, FLOW_KEY_SIZE, socket);
    }
    return socket;
}

static unsigned role_of(const struct advise_socket *socket)
{
    if (socket->evidence.kind == ADVISE_DATAGRAM)
        return ROLE_DATAGRAM;
    if (socket->evidence.kind == ADVISE_LISTENER)
        return ROLE_LISTEN;
    if (socket->connected >= 0)
        return socket->connected != 0 ? ROLE_CONNECT : ROLE_ACCEPT;
    return has_listener(socket->network, socket->flow.local_port) ? ROLE_ACCEPT : ROLE_CONNECT;
}

static struct advise_view view_of(const struct advise_sampler *sampler,
                                  const struct advise_socket *socket)
{
    const struct advise_socket *peer = other_end(sampler, &socket->flow);
    return (struct advise_view){.own = &socket->evidence,
                                .peer = peer != NULL ? &peer->evidence : NULL,
                                .peer_is_watched = peer != NULL && peer->process != NULL,
                                .send_most = sampler->watch->sysctls.tcp_wmem_max,
                                .idle_least = sampler->watch->idle_least};
}

static void judge_socket(struct advise_sampler *sampler, const struct advise_socket *socket,
                         bool ended)
{
    const struct advise_subject subject = {.process = socket->process,
                                           .flow = &socket->flow,
                                           .role = role_of(socket),
                                           .ended = ended,
                                           .view = view_of(sampler, socket)};
    if (socket->process != NULL && socket->evidence.samples > 0 &&
        groups_add(&sampler->watch->groups, &subject) != 0)
        sampler->failed = true;
}

/* The kernel's answers */

static void note_listener(struct advise_network *network, const struct sock_diag_answer *answer,
                          struct advise_process *process)
{
    uint16_t port = answer->target.flow.local_port;
    network->listening[port / 8] |= (uint8_t)(1u << port % 8);
    if (process != NULL)
        network->listeners[port] = process;
}

static void take_found(struct advise_sampler *sampler, const struct sock_diag_answer *answer)
{
    struct advise_process *process;
    struct advise_socket *socket = NULL;
    struct advise_sample sample;
    HASH_FIND(by_cookie, sampler->by_cookie, &answer->target.cookie, sizeof answer->target.cookie,
              socket);
    process = socket != NULL && socket->process != NULL
                  ? socket->process
                  : watched_owner(&sampler->watch->watched, answer->inode);

    if (sampler->kind == ADVISE_CONNECTION && answer->state == STATE_LISTEN)
        note_listener(sampler->dumped, answer, process);
    if (socket == NULL && process == NULL && other_end(sampler, &answer->target.flow) == NULL)
        return;
    if (socket == NULL)
        socket = remember_socket(sampler, answer, process);
    if (socket == NULL)
        return;
    if (socket->process == NULL)
        socket->process = process;
    sample = make_sample(sampler, answer);
    if (socket->connected < 0)
        socket->connected = (int8_t)evidence_connected(&sample);
    socket->look = sampler->look;
    if (answer->inode != 0)
        socket->inode = answer->inode;
    evidence_add(&socket->evidence, &sample, sampler->dumped->looked);
}

/* A connection that ended before any dump listed it belongs to the process that owns its
 * listener. */
static void take_unlisted(struct advise_sampler *sampler, const struct advise_network *network,
                          const struct sock_diag_answer *answer, const struct tcp_info_bytes *info)
{
    struct advise_process *process = network->listeners[answer->target.flow.local_port];
    struct advise_sample sample = {.kind = ADVISE_CONNECTION, .when = sampler->now};
    struct advise_evidence evidence = {0};
    struct advise_subject subject = {.process = process,
                                     .flow = &answer->target.flow,
                                     .role = ROLE_ACCEPT,
                                     .ended = true,
                                     .view = {.own = &evidence}};
    if (process == NULL || info->length == 0)
        return;
    take_info(info, &sample);
    evidence_add(&evidence, &sample, true);
    if (groups_add(&sampler->watch->groups, &subject) != 0)
        sampler->failed = true;
}

static void take_destroyed(struct advise_sampler *sampler, struct advise_network *network,
                           const struct sock_diag_answer *answer)
{
    struct advise_socket *socket = NULL;
    struct advise_counters counters;
    struct tcp_info_bytes info;
    copy_info(answer, &info);
    HASH_FIND(by_cookie, sampler->by_cookie, &answer->target.cookie, sizeof answer->target.cookie,
              socket);
    if (socket == NULL) {
        take_unlisted(sampler, network, answer, &info);
        return;
    }
    if (info.length != 0 && socket->evidence.kind == ADVISE_CONNECTION) {
        take_counters(&info, &counters);
        evidence_finish(&socket->evidence, &counters, (uint32_t)info_field(&info, TCP_INFO_rtt),
                        (uint32_t)info_field(&info, TCP_INFO_min_rtt));
    }
    judge_socket(sampler, socket, true);
    forget_socket(sampler, socket);
}

static void take_answer(void *context, const struct sock_diag_answer *answer)
{
    struct advise_network *network = context;
    if (answer->event == SOCK_DIAG_DESTROYED)
        take_destroyed(network->sampler, network, answer);
    else if (answer->event == SOCK_DIAG_FOUND)
        take_found(network->sampler, answer);
}

/* Looks */

/* Returns false if the sock_diag socket has failed. */
static bool dump_sockets(struct advise_network *network, uint8_t family, uint16_t protocol)
{
    struct sock_diag *diag = network->diag;
    struct pollfd ready = {.fd = sock_diag_fd(diag), .events = POLLIN};
    network->sampler->kind = protocol == IPPROTO_UDP ? ADVISE_DATAGRAM : ADVISE_CONNECTION;
    if (sock_diag_dump(diag, family, protocol, protocol == IPPROTO_UDP ? ~0u : TCP_STATES) != 0)
        return errno == EAGAIN || errno == ENOBUFS;
    while (sock_diag_is_dumping(diag))
        if (poll(&ready, 1, DUMP_PATIENCE) == 0 || sock_diag_read(diag, UINT32_MAX / 2) < 0)
            return false;
    return true;
}

/* A socket that a look did not find has ended, or was handed to a process that is not watched. */
static void drop_unlisted(struct advise_sampler *sampler)
{
    struct advise_socket *socket, *next;
    HASH_ITER(by_cookie, sampler->by_cookie, socket, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        if (socket->look == sampler->look || !socket->network->looked)
            continue;
        judge_socket(sampler, socket, true);
        forget_socket(sampler, socket);
    }
}

static int look_once(struct advise_sampler *sampler)
{
    bool alive = true;
    sampler->look++;
    sampler->now = clock_seconds(CLOCK_MONOTONIC);
    for (struct advise_network *network = sampler->networks; network != NULL;
         network = network->next) {
        if (network->diag == NULL)
            continue;
        sampler->dumped = network;
        alive = alive && dump_sockets(network, AF_UNSPEC, IPPROTO_TCP) &&
                dump_sockets(network, AF_INET, IPPROTO_UDP) &&
                dump_sockets(network, AF_INET6, IPPROTO_UDP);
        network->looked = true;
        sampler->watch->progress.missed += (uint32_t)sock_diag_overruns(network->diag);
    }
    drop_unlisted(sampler);
    if (!alive)
        errno = EIO;
    if (sampler->failed)
        errno = ENOMEM;
    return alive && !sampler->failed ? 0 : -1;
}

/* Network namespaces */

/* Opens a sock_diag socket in the process's network namespace; NULL if it may not be entered. */
static struct sock_diag *open_diag(struct advise_network *network, pid_t pid)
{
    struct default_sockets sockets = {0};
    struct socket_owner owner;
    const struct default_socket *reference;
    int fd = -1;
    if (socket_owner_open(pid, &owner) != 0)
        return NULL;
    reference = default_sockets_get(&sockets, &owner, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    if (reference != NULL && reference->fd >= 0 && !reference->elsewhere)
        fd = fcntl(reference->fd, F_DUPFD_CLOEXEC, 0);
    default_sockets_free(&sockets);
    socket_owner_close(&owner);
    return fd >= 0 ? sock_diag_open(fd, take_answer, network) : NULL;
}

static struct advise_network *find_network(const struct advise_sampler *sampler, uint64_t inode)
{
    struct advise_network *network = sampler->networks;
    while (network != NULL && network->inode != inode)
        network = network->next;
    return network;
}

/* Returns 0, or -1 if there is no memory. */
static int open_networks(struct advise_sampler *sampler)
{
    struct advise_process *process, *next;
    sampler->watch->progress.elsewhere = 0;
    HASH_ITER(handle, sampler->watch->watched.by_pid, process, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        struct advise_network *network = find_network(sampler, process->network);
        if (network == NULL) {
            network = calloc(1, sizeof *network);
            if (network == NULL)
                return -1;
            network->sampler = sampler;
            network->inode = process->network;
            network->diag = open_diag(network, process->pid);
            network->next = sampler->networks;
            sampler->networks = network;
        }
        sampler->watch->progress.elsewhere += network->diag == NULL;
    }
    return 0;
}

/* The end */

static bool holds_any(const struct advise_view *view)
{
    double figure, lacking;
    for (unsigned id = 0; id < VERDICT_COUNT; id++)
        if (verdict_ask(id, view, &figure, &lacking) == VERDICT_YES)
            return true;
    return false;
}

/* Reads the options of a process's sockets for which there may be advice. */
static int second_look_at(struct advise_sampler *sampler, const struct advise_process *process)
{
    struct advise_look *looks = NULL;
    struct advise_socket *socket, *next;
    size_t count = 0, room = 0;
    HASH_ITER(by_cookie, sampler->by_cookie, socket, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        struct advise_view view = view_of(sampler, socket);
        if (socket->process != process || !holds_any(&view))
            continue;
        if (count == room) {
            void *larger = reallocarray(looks, room = 2 * room + 16, sizeof *looks);
            if (larger == NULL) {
                free(looks);
                return -1;
            }
            looks = larger;
        }
        looks[count++] =
            (struct advise_look){.inode = socket->inode, .options = &socket->evidence.options};
    }
    second_look(process->pid, looks, count);
    free(looks);
    return 0;
}

static int conclude_sampling(struct advise_sampler *sampler)
{
    struct advise_process *process = sampler->watch->watched.first;
    struct advise_socket *socket, *next;
    for (; process != NULL; process = process->next)
        if (!process->ended && second_look_at(sampler, process) != 0)
            return -1;
    HASH_ITER(by_cookie, sampler->by_cookie, socket, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        judge_socket(sampler, socket, false);
    }
    groups_finish(&sampler->watch->groups, sampler->watch->idle_least);
    return sampler->failed ? -1 : 0;
}

/* The loop */

static void release_sampler(struct advise_sampler *sampler)
{
    struct advise_socket *socket, *next;
    HASH_ITER(by_cookie, sampler->by_cookie, socket, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        forget_socket(sampler, socket);
    }
    while (sampler->networks != NULL) {
        struct advise_network *network = sampler->networks;
        sampler->networks = network->next;
        sock_diag_close(network->diag);
        free(network);
    }
}

/* Returns the processor time used in seconds, or -1 with errno. */
static double scan_processes(struct advise_sampler *sampler)
{
    double before = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (watched_scan(&sampler->watch->watched) != 0 || open_networks(sampler) != 0)
        return -1;
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
}

static void wait_until(double when, const volatile int *interrupted)
{
    struct timespec at = {.tv_sec = (time_t)when, .tv_nsec = (long)((when - floor(when)) * 1e9)};
    while (!*interrupted && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        continue;
}

static void print_progress(struct advise_sampler *sampler, double start)
{
    struct advise_watch *watch = sampler->watch;
    struct advise_progress *progress = &watch->progress;
    progress->looks = sampler->look;
    progress->elapsed = clock_seconds(CLOCK_MONOTONIC) - start;
    progress->interval = progress->elapsed / sampler->look;
    progress->seconds = watch->seconds;
    progress->sockets = HASH_CNT(by_cookie, sampler->by_cookie);
    progress->processes = watched_running(&watch->watched);
    if (watch->tell != NULL)
        watch->tell(watch->context, progress);
}

static int watch_on(struct advise_sampler *sampler)
{
    struct advise_watch *watch = sampler->watch;
    double start = clock_seconds(CLOCK_MONOTONIC), now = start, next_scan = start;
    while (now < start + watch->seconds && !*watch->interrupted) {
        double cost = 0, spent, pause;
        if (now >= next_scan) {
            cost = scan_processes(sampler);
            next_scan = now + fmax(SCAN_INTERVAL, cost / SCAN_SHARE);
        }
        spent = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (cost < 0 || look_once(sampler) != 0)
            return -1;
        pause = fmax(LOOK_INTERVAL, (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - spent) / CPU_SHARE);
        print_progress(sampler, start);
        wait_until(fmin(now + pause, start + watch->seconds), watch->interrupted);
        now = clock_seconds(CLOCK_MONOTONIC);
    }
    return 0;
}

int sampler_run(struct advise_watch *watch)
{
    struct advise_sampler sampler = {.watch = watch};
    int result = watch_on(&sampler);
    if (result == 0)
        result = conclude_sampling(&sampler);
    release_sampler(&sampler);
    return result;
}
