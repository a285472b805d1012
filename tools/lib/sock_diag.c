/* SPDX-License-Identifier: MIT */
/*
 * Requests and answers of inet_diag. Requests have the sequence number SEQUENCE_LOOKUP + index or
 * SEQUENCE_DUMP; destroy events have 0.
 */
#include "sock_diag.h"
#include "compat.h"
#include "kernel.h"
#include "registration.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEQUENCE_LOOKUP 1u
#define SEQUENCE_DUMP   1000u
#define SEQUENCE_MPTCP  1001u /* also a dump */
#define SEQUENCE_UDP    1002u
#define MESSAGES        16u
#define MESSAGE_SIZE    16384u
/* Room for more than a quarter of a second at 50,000 closes per second. */
#define RECEIVE_BUFFER    (16 << 20)
#define BYTES_OF_END      1280u /* kernel memory per event */
#define EXTENSION(number) (1u << ((number)-1))
#define EXTENSIONS                                                                                 \
    (EXTENSION(INET_DIAG_INFO) | EXTENSION(INET_DIAG_CONG) | EXTENSION(INET_DIAG_SKMEMINFO))
#define GROUP(number) (1u << ((number)-1))
_Static_assert(REGISTRATION_GROUPS ==
                   (GROUP(SKNLGRP_INET_TCP_DESTROY) | GROUP(SKNLGRP_INET6_TCP_DESTROY)),
               "the groups have these numbers");

struct sock_diag {
    int fd;
    bool dumping;
    uint32_t drops; /* at the last read */
    sock_diag_take *take;
    void *context;
    const struct sock_diag_target *targets; /* of the current lookup */
    unsigned target_count;
};

/* Buffers for one receive call: there is one thread, and no callback receives. */
static uint8_t buffers[MESSAGES][MESSAGE_SIZE] __attribute__((aligned(8)));

int sock_diag_socket(void)
{
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

const char *sock_diag_check(int fd, uint64_t *netns)
{
    socklen_t length = sizeof *netns;
    if (kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN) != AF_NETLINK ||
        kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) != NETLINK_SOCK_DIAG)
        return "the second descriptor is no sock_diag socket";
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, netns, &length) != 0)
        return "the kernel does not tell the sock_diag socket's network namespace";
    return NULL;
}

/* A socket that is bound already keeps its address; its groups are replaced. */
static int join_groups(int fd)
{
    struct sockaddr_nl address;
    socklen_t length = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        return -1;
    address.nl_groups = REGISTRATION_GROUPS;
    return bind(fd, (struct sockaddr *)&address, sizeof address);
}

struct sock_diag *sock_diag_open(int fd, sock_diag_take *take, void *context)
{
    struct sock_diag *diag = calloc(1, sizeof *diag);
    int size = RECEIVE_BUFFER;
    if (diag == NULL || join_groups(fd) != 0) {
        int error = errno;
        free(diag);
        (void)close(fd);
        errno = error;
        return NULL;
    }
    /* with CAP_NET_ADMIN any size, otherwise at most net.core.rmem_max */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    diag->fd = fd;
    diag->take = take;
    diag->context = context;
    return diag;
}

void sock_diag_close(struct sock_diag *diag)
{
    if (diag == NULL)
        return;
    (void)close(diag->fd);
    free(diag);
}

int sock_diag_fd(const struct sock_diag *diag)
{
    return diag->fd;
}

size_t sock_diag_room(const struct sock_diag *diag)
{
    int bytes = kernel_get_int(diag->fd, SOL_SOCKET, SO_RCVBUF);
    return bytes > 0 ? (size_t)bytes / BYTES_OF_END : 0;
}

void sock_diag_watch_udp(struct sock_diag *diag, bool on)
{
    static const int groups[] = {SKNLGRP_INET_UDP_DESTROY, SKNLGRP_INET6_UDP_DESTROY};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        (void)setsockopt(diag->fd, SOL_NETLINK,
                         on ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP, &groups[i],
                         sizeof groups[i]);
}

bool sock_diag_is_dumping(const struct sock_diag *diag)
{
    return diag->dumping;
}

uint64_t sock_diag_overruns(struct sock_diag *diag)
{
    /* SK_MEMINFO_DROPS is the column Drops of /proc/net/netlink, in any network namespace. */
    uint32_t memory[SK_MEMINFO_VARS] = {0}, lost;
    socklen_t length = sizeof memory;
    if (getsockopt(diag->fd, SOL_SOCKET, SO_MEMINFO, memory, &length) != 0)
        return 0;
    lost = memory[SK_MEMINFO_DROPS] - diag->drops;
    diag->drops = memory[SK_MEMINFO_DROPS];
    return lost;
}

/* Answers */

static bool is_mapped(const uint8_t address[16])
{
    return IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
}

static void take_address(uint8_t to[16], const __be32 from[4], uint8_t family)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (family == AF_INET) {
        memcpy(to, mapped, sizeof mapped);
        memcpy(to + sizeof mapped, from, 4);
    } else {
        memcpy(to, from, 16);
    }
}

static int take_attribute(const struct nlattr *attribute, void *context)
{
    struct sock_diag_answer *answer = context;
    uint16_t type = mnl_attr_get_type(attribute);
    if (type == INET_DIAG_INFO) {
        answer->info = mnl_attr_get_payload(attribute);
        answer->info_length = mnl_attr_get_payload_len(attribute);
    } else if (type == INET_DIAG_SKMEMINFO &&
               mnl_attr_get_payload_len(attribute) >= (SK_MEMINFO_DROPS + 1) * sizeof(uint32_t)) {
        answer->memory = mnl_attr_get_payload(attribute);
        answer->drops = answer->memory[SK_MEMINFO_DROPS];
    } else if (type == INET_DIAG_PROTOCOL && mnl_attr_get_payload_len(attribute) >= 1) {
        answer->target.udp = mnl_attr_get_u8(attribute) == IPPROTO_UDP;
    } else if (type == INET_DIAG_CONG && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0) {
        answer->congestion = mnl_attr_get_str(attribute);
    }
    return MNL_CB_OK;
}

/* True for UDP requests; destroy events have the protocol in an attribute. */
static bool asked_for_udp(const struct sock_diag *diag, uint32_t sequence)
{
    uint32_t index = sequence - SEQUENCE_LOOKUP;
    return sequence == SEQUENCE_UDP || (index < diag->target_count && diag->targets[index].udp);
}

static void take_socket(const struct sock_diag *diag, const struct nlmsghdr *header)
{
    const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
    struct sock_diag_answer answer = {.event = header->nlmsg_seq == 0 ? SOCK_DIAG_DESTROYED
                                                                      : SOCK_DIAG_FOUND};
    if (mnl_nlmsg_get_payload_len(header) < sizeof *message)
        return;
    answer.target.cookie =
        (uint64_t)message->id.idiag_cookie[1] << 32 | message->id.idiag_cookie[0];
    answer.target.flow.family = message->idiag_family;
    take_address(answer.target.flow.local, message->id.idiag_src, message->idiag_family);
    take_address(answer.target.flow.remote, message->id.idiag_dst, message->idiag_family);
    answer.target.flow.local_port = ntohs(message->id.idiag_sport);
    answer.target.flow.remote_port = ntohs(message->id.idiag_dport);
    answer.target.ifindex = message->id.idiag_if;
    answer.state = message->idiag_state;
    answer.uid = message->idiag_uid;
    answer.owned = message->idiag_inode != 0;
    answer.inode = message->idiag_inode;
    answer.timer = message->idiag_timer;
    answer.target.udp = asked_for_udp(diag, header->nlmsg_seq);
    answer.receive_queue = message->idiag_rqueue;
    answer.send_queue = message->idiag_wqueue;
    (void)mnl_attr_parse(header, sizeof *message, take_attribute, &answer);
    answer.mptcp = header->nlmsg_seq == SEQUENCE_MPTCP;
    if (answer.mptcp || answer.target.udp)
        answer.info = NULL;
    diag->take(diag->context, &answer);
}

/* The kernel refused a lookup or a dump. */
static void take_error(struct sock_diag *diag, const struct nlmsghdr *header)
{
    uint32_t index = header->nlmsg_seq - SEQUENCE_LOOKUP;
    if (header->nlmsg_seq >= SEQUENCE_DUMP)
        diag->dumping = false;
    else if (index < diag->target_count)
        diag->take(diag->context, &(struct sock_diag_answer){.event = SOCK_DIAG_MISSING,
                                                             .target = diag->targets[index]});
}

static void take_messages(struct sock_diag *diag, const uint8_t *bytes, size_t length)
{
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)bytes;
    int left = (int)length;
    for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
        if (header->nlmsg_type == NLMSG_DONE)
            diag->dumping = false;
        else if (header->nlmsg_type == NLMSG_ERROR)
            take_error(diag, header);
        else if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY || header->nlmsg_type == TCPDIAG_GETSOCK)
            take_socket(diag, header);
    }
}

/* Returns the number of messages; -1 if the socket has failed. */
static int sock_diag_receive(struct sock_diag *diag)
{
    struct mmsghdr messages[MESSAGES];
    struct iovec room[MESSAGES];
    struct sockaddr_nl from[MESSAGES];
    int count;
    for (unsigned i = 0; i < MESSAGES; i++) {
        room[i] = (struct iovec){buffers[i], MESSAGE_SIZE};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
                                              .msg_namelen = sizeof from[i],
                                              .msg_iov = &room[i],
                                              .msg_iovlen = 1};
    }
    count = recvmmsg(diag->fd, messages, MESSAGES, MSG_DONTWAIT, NULL);
    if (count < 0) {
        /* ENOBUFS: messages were lost; sock_diag_overruns() counts them */
        if (errno == ENOBUFS || errno == EINTR)
            return sock_diag_receive(diag);
        return errno == EAGAIN ? 0 : -1;
    }
    for (int i = 0; i < count; i++)
        if (from[i].nl_pid == 0 && !(messages[i].msg_hdr.msg_flags & MSG_TRUNC))
            take_messages(diag, buffers[i], messages[i].msg_len);
    return count;
}

int sock_diag_read(struct sock_diag *diag, unsigned limit)
{
    unsigned taken = 0;
    int count;
    do {
        count = sock_diag_receive(diag);
        if (count < 0)
            return -1;
        taken += (unsigned)count;
    } while (count == (int)MESSAGES && taken < limit);
    return count == (int)MESSAGES;
}

/* Requests */

static struct inet_diag_req_v2 *put_request(void *at, uint16_t flags, uint32_t sequence)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(at);
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST | flags;
    header->nlmsg_seq = sequence;
    return mnl_nlmsg_put_extra_header(header, sizeof(struct inet_diag_req_v2));
}

static void put_address(__be32 to[4], const uint8_t from[16], uint8_t family)
{
    if (family == AF_INET)
        memcpy(to, from + 12, 4);
    else
        memcpy(to, from, 16);
}

/* The kernel looks up a UDP socket with its ends exchanged (udp_dump_one() in
 * net/ipv4/udp_diag.c). */
static struct flow wanted_flow(const struct sock_diag_target *target)
{
    struct flow flow = target->flow;
    if (target->udp) {
        memcpy(flow.local, target->flow.remote, sizeof flow.local);
        memcpy(flow.remote, target->flow.local, sizeof flow.remote);
        flow.local_port = target->flow.remote_port;
        flow.remote_port = target->flow.local_port;
    }
    return flow;
}

/* An IPv6 socket that speaks IPv4 is found by its IPv4 addresses; v4-mapped ones also work, since
 * the kernel converts them. */
static void put_target(struct inet_diag_req_v2 *request, const struct sock_diag_target *target)
{
    uint8_t family = (uint8_t)target->flow.family;
    const struct flow flow = wanted_flow(target);
    if (family == AF_INET && !is_mapped(target->flow.local))
        family = AF_INET6;
    request->sdiag_family = family;
    request->sdiag_protocol = target->udp ? IPPROTO_UDP : IPPROTO_TCP;
    request->idiag_ext = EXTENSIONS;
    request->idiag_states = ~0u;
    request->id.idiag_sport = htons(flow.local_port);
    request->id.idiag_dport = htons(flow.remote_port);
    put_address(request->id.idiag_src, flow.local, family);
    put_address(request->id.idiag_dst, flow.remote, family);
    request->id.idiag_if = target->ifindex;
    request->id.idiag_cookie[0] =
        target->any_cookie ? INET_DIAG_NOCOOKIE : (uint32_t)target->cookie;
    request->id.idiag_cookie[1] =
        target->any_cookie ? INET_DIAG_NOCOOKIE : (uint32_t)(target->cookie >> 32);
}

static int send_to_kernel(const struct sock_diag *diag, const void *bytes, size_t length)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t sent;
    do
        sent = sendto(diag->fd, bytes, length, MSG_DONTWAIT, (struct sockaddr *)&kernel,
                      sizeof kernel);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)length ? 0 : -1;
}

int sock_diag_lookup(struct sock_diag *diag, const struct sock_diag_target *targets, unsigned count)
{
    uint8_t requests[SOCK_DIAG_BATCH * 128] __attribute__((aligned(8)));
    size_t length = 0;
    int result = 0, received = 0;
    /* Pending messages must not displace the answers. */
    if (sock_diag_read(diag, UINT32_MAX / 2) != 0)
        return -1;
    for (unsigned i = 0; i < count; i++) {
        put_target(put_request(requests + length, 0, SEQUENCE_LOOKUP + i), &targets[i]);
        length += ((const struct nlmsghdr *)(const void *)(requests + length))->nlmsg_len;
    }
    diag->targets = targets;
    diag->target_count = count;
    /* The kernel answers before sendto() returns. */
    if (send_to_kernel(diag, requests, length) != 0)
        result = -1;
    while (result == 0 && (received = sock_diag_receive(diag)) > 0)
        continue;
    diag->target_count = 0;
    return received < 0 ? -1 : result;
}

static void put_dump(uint8_t *bytes, uint8_t family, uint16_t protocol, uint32_t states)
{
    bool mptcp = protocol == IPPROTO_MPTCP;
    struct inet_diag_req_v2 *request = put_request(bytes, NLM_F_DUMP,
                                                   mptcp                     ? SEQUENCE_MPTCP
                                                   : protocol == IPPROTO_UDP ? SEQUENCE_UDP
                                                                             : SEQUENCE_DUMP);
    request->sdiag_family = family;
    request->sdiag_protocol = (uint8_t)protocol;
    request->idiag_ext = EXTENSIONS;
    request->idiag_states = states;
    /* the number does not fit into the request's byte */
    if (mptcp)
        mnl_attr_put_u32((struct nlmsghdr *)(void *)bytes, INET_DIAG_REQ_PROTOCOL, IPPROTO_MPTCP);
}

/* The older request dumps TCP sockets of both families in one walk over the kernel's table
 * (inet_diag_dump_compat() in net/ipv4/inet_diag.c). */
static void put_dump_of_both(uint8_t *bytes, uint32_t states)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(bytes);
    struct inet_diag_req *request;
    header->nlmsg_type = TCPDIAG_GETSOCK;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = SEQUENCE_DUMP;
    request = mnl_nlmsg_put_extra_header(header, sizeof *request);
    request->idiag_ext = EXTENSIONS;
    request->idiag_states = states;
}

int sock_diag_dump(struct sock_diag *diag, uint8_t family, uint16_t protocol, uint32_t states)
{
    uint8_t bytes[128] __attribute__((aligned(8)));
    if (diag->dumping) {
        errno = EBUSY;
        return -1;
    }
    if (family == AF_UNSPEC && protocol == IPPROTO_TCP)
        put_dump_of_both(bytes, states);
    else
        put_dump(bytes, family, protocol, states);
    if (send_to_kernel(diag, bytes, ((struct nlmsghdr *)(void *)bytes)->nlmsg_len) != 0)
        return -1;
    diag->dumping = true;
    return 0;
}

const struct sock_diag_ops sock_diag_kernel = {
    .open = sock_diag_open,
    .close = sock_diag_close,
    .fd = sock_diag_fd,
    .room = sock_diag_room,
    .watch_udp = sock_diag_watch_udp,
    .lookup = sock_diag_lookup,
    .dump = sock_diag_dump,
    .is_dumping = sock_diag_is_dumping,
    .read = sock_diag_read,
    .overruns = sock_diag_overruns,
};
