/* SPDX-License-Identifier: MIT */
#include "report_channel.h"

#include "helper_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The helper renews the heartbeat every second. */
#define HEARD_LATELY_NS INT64_C(3000000000)

/* The map */

int channel_fill(const struct bpf_object *object, const struct attach_tables *tables,
                 struct attach_error *error)
{
    struct attach_channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL || getrandom(&channel->id, sizeof channel->id, 0) < 0) {
        free(channel);
        return attach_fail(error, "%s", strerror(errno));
    }
    channel->version = ATTACH_CHANNEL_VERSION;
    channel->rule_count = tables->rule_count;
    channel->option_count = tables->option_count;
    for (uint32_t i = 0; i < tables->option_count; i++) {
        channel->options[i].level = tables->options[i].level;
        channel->options[i].optname = tables->options[i].optname;
    }
    memcpy(channel->rules, tables->rule_names, tables->rule_count * sizeof *channel->rules);
    int failed = object_fill(object, "channel", channel, sizeof *channel, 1, error);
    free(channel);
    return failed;
}

static size_t mapped_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (sizeof(struct attach_channel) + page - 1) / page * page;
}

struct attach_channel *channel_map(int fd)
{
    void *channel = mmap(NULL, mapped_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return channel != MAP_FAILED ? channel : NULL;
}

void channel_unmap(struct attach_channel *channel)
{
    if (channel != NULL)
        munmap(channel, mapped_size());
}

void channel_close(struct attach_channel *channel)
{
    if (channel != NULL)
        __atomic_store_n(&channel->closed, 1, __ATOMIC_RELEASE);
}

void channel_close_fd(int fd)
{
    struct attach_channel *channel = fd >= 0 ? channel_map(fd) : NULL;
    channel_close(channel);
    channel_unmap(channel);
}

bool channel_is_read(const struct attach_channel *channel)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t beat = __atomic_load_n(&channel->heartbeat, __ATOMIC_RELAXED);
    uint64_t time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return beat != 0 && (int64_t)(time - beat) < HEARD_LATELY_NS;
}

/* The helper */

/* The helper receives the connections of all users: only root's and the own user's helper are
 * trusted. */
static int connect_to(const struct sockaddr_un *address)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
        (peer.uid == 0 || peer.uid == geteuid()))
        return fd;
    close(fd);
    return -1;
}

static int connect_helper(void)
{
    const struct helper_environment environment = {getenv("SOCKTUNE_HELPER"),
                                                   getenv("XDG_RUNTIME_DIR")};
    struct sockaddr_un addresses[HELPER_PLACES];
    int fd = -1;
    helper_addresses(&environment, HELPER_REGISTRATION, addresses);
    for (unsigned i = 0; fd < 0 && i < HELPER_PLACES; i++)
        if (addresses[i].sun_family == AF_UNIX)
            fd = connect_to(&addresses[i]);
    return fd;
}

static bool send_maps(int to, int reports, int channel, uint32_t flags)
{
    struct attach_message body = {
        .version = ATTACH_MESSAGE_VERSION, .size = sizeof body, .flags = flags};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {&body, sizeof body};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    memcpy(body.magic, ATTACH_MESSAGE_MAGIC, sizeof body.magic);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(2 * sizeof(int));
    memcpy(CMSG_DATA(&control.header), (const int[]){reports, channel}, 2 * sizeof(int));
    return sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof body;
}

bool channel_pass(int reports, int channel, bool pinned)
{
    int to = connect_helper();
    bool sent = to >= 0 && send_maps(to, reports, channel, pinned ? ATTACH_PINNED : 0);
    if (to >= 0)
        close(to);
    return sent;
}
