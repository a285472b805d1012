/* SPDX-License-Identifier: MIT */
#include "fake_sock_diag.h"
#include "clock.h"
#include "compat.h"
#include "policy.h"

#include <criterion/criterion.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SOCKETS_MAX 4096u
#define INFO_LENGTH 280u
#define ESTABLISHED 1u
#define CLOSED      7u
#define LISTENING   10u

struct fake_socket {
    struct sock_diag_target target;
    uid_t uid;
    uint16_t protocol;
    bool listens;
};

/* One open sock_diag socket of the fake kernel. */
struct sock_diag {
    int eventfd; /* always readable, so the poller reads it */
    sock_diag_take *take;
    void *context;
    size_t told; /* how many of `destroyed` were reported */
    bool dumping;
};

static struct fake_kernel *kernel;
static struct fake_socket sockets[SOCKETS_MAX], destroyed[SOCKETS_MAX];
static size_t socket_count, destroyed_count;
static uint64_t now;

static uint64_t fake_now(void)
{
    return now;
}

static void tell(const struct sock_diag *diag, enum sock_diag_event event,
                 const struct fake_socket *socket)
{
    static uint8_t info[INFO_LENGTH];
    static const uint32_t memory[SK_MEMINFO_VARS] = {[SK_MEMINFO_RCVBUF] = 4096};
    const bool udp = socket->protocol == IPPROTO_UDP, has_queue = udp || socket->listens;
    const struct tcp_info_field *out = tcp_info_find("segs_out");
    info[out->offset] = 1;
    const struct sock_diag_answer answer = {.event = event,
                                            .target = socket->target,
                                            .mptcp = socket->protocol == IPPROTO_MPTCP,
                                            .state = event == SOCK_DIAG_DESTROYED ? CLOSED
                                                     : socket->listens            ? LISTENING
                                                                                  : ESTABLISHED,
                                            .uid = socket->uid,
                                            .owned = event == SOCK_DIAG_FOUND,
                                            .info = has_queue ? NULL : info,
                                            .info_length = has_queue ? 0 : sizeof info,
                                            .receive_queue = has_queue ? 3 : 0,
                                            .send_queue = socket->listens ? 128 : 0,
                                            .drops = udp ? kernel->drops : 0,
                                            .memory = udp ? memory : NULL};
    diag->take(diag->context, &answer);
}

static struct sock_diag *open_fake(int fd, sock_diag_take *take, void *context)
{
    struct sock_diag *diag = calloc(1, sizeof *diag);
    cr_assert_not_null(diag);
    (void)close(fd);
    *diag = (struct sock_diag){.eventfd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC),
                               .take = take,
                               .context = context,
                               .told = destroyed_count};
    return diag;
}

static void close_fake(struct sock_diag *diag)
{
    (void)close(diag->eventfd);
    free(diag);
}

static int fd_of_fake(const struct sock_diag *diag)
{
    return diag->eventfd;
}

static size_t fake_room(const struct sock_diag *diag)
{
    (void)diag;
    return kernel->room;
}

static void watch_fake_udp(struct sock_diag *diag, bool on)
{
    (void)diag;
    kernel->watches_udp = on;
}

static struct fake_socket *find_socket(uint64_t cookie)
{
    for (size_t i = 0; i < socket_count; i++)
        if (sockets[i].target.cookie == cookie)
            return &sockets[i];
    return NULL;
}

static int look_up_fake(struct sock_diag *diag, const struct sock_diag_target *targets,
                        unsigned count)
{
    if (kernel->fails)
        return -1;
    kernel->lookups += count;
    for (unsigned i = 0; i < count; i++) {
        const struct fake_socket *found = find_socket(targets[i].cookie);
        if (found != NULL)
            tell(diag, SOCK_DIAG_FOUND, found);
        else
            tell(diag, SOCK_DIAG_MISSING, &(struct fake_socket){.target = targets[i]});
    }
    return 0;
}

static int dump_fake(struct sock_diag *diag, uint8_t family, uint16_t protocol, uint32_t states)
{
    if (kernel->fails)
        return -1;
    kernel->dumps++;
    for (size_t i = 0; i < socket_count; i++)
        if (sockets[i].target.flow.family == family && sockets[i].protocol == protocol &&
            (states >> (sockets[i].listens ? LISTENING : ESTABLISHED) & 1) != 0)
            tell(diag, SOCK_DIAG_FOUND, &sockets[i]);
    diag->dumping = true;
    return 0;
}

static bool fake_is_dumping(const struct sock_diag *diag)
{
    return diag->dumping;
}

static int read_fake(struct sock_diag *diag, unsigned limit)
{
    (void)limit;
    if (kernel->fails)
        return -1;
    diag->dumping = false;
    while (diag->told < destroyed_count)
        tell(diag, SOCK_DIAG_DESTROYED, &destroyed[diag->told++]);
    return kernel->more;
}

static uint64_t count_fake_overruns(struct sock_diag *diag)
{
    uint64_t overruns = kernel->overruns;
    (void)diag;
    kernel->overruns = 0;
    return overruns;
}

static const struct sock_diag_ops fake_ops = {
    .open = open_fake,
    .close = close_fake,
    .fd = fd_of_fake,
    .room = fake_room,
    .watch_udp = watch_fake_udp,
    .lookup = look_up_fake,
    .dump = dump_fake,
    .is_dumping = fake_is_dumping,
    .read = read_fake,
    .overruns = count_fake_overruns,
};

struct fake_kernel *fake_kernel_new(void)
{
    kernel = calloc(1, sizeof *kernel);
    cr_assert_not_null(kernel);
    socket_count = destroyed_count = 0;
    now = 1000 * SECOND;
    kernel->conntrack =
        (struct conntrack){connections_new(16), &kernel->counts, &fake_ops, fake_now};
    return kernel;
}

void fake_kernel_free(struct fake_kernel *fake)
{
    connections_free(fake->conntrack.connections);
    free(fake);
    kernel = NULL;
}

static struct fake_socket socket_of(const struct connection_start *start, uid_t uid)
{
    return (struct fake_socket){.target = {.cookie = start->cookie,
                                           .flow = start->flow,
                                           .udp = start->protocol == IPPROTO_UDP},
                                .protocol = start->protocol,
                                .uid = uid,
                                .listens = start->role == ROLE_LISTEN};
}

void fake_kernel_add(const struct connection_start *start, uid_t uid)
{
    cr_assert_lt(socket_count, SOCKETS_MAX);
    sockets[socket_count++] = socket_of(start, uid);
}

void fake_kernel_forget(uint64_t cookie)
{
    struct fake_socket *socket = find_socket(cookie);
    cr_assert_not_null(socket);
    *socket = sockets[--socket_count];
}

void fake_kernel_destroy(uint64_t cookie)
{
    cr_assert_lt(destroyed_count, SOCKETS_MAX);
    destroyed[destroyed_count++] = *find_socket(cookie);
    fake_kernel_forget(cookie);
}

void fake_kernel_destroy_unknown(const struct connection_start *start)
{
    destroyed[destroyed_count++] = socket_of(start, 0);
}

void fake_kernel_pass(uint64_t nanoseconds)
{
    now += nanoseconds;
}
