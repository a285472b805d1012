/* SPDX-License-Identifier: MIT */
/*
 * Making the ring and the sock_diag socket and passing both to the helper. Every descriptor is
 * closed on exec and gone when this returns.
 */
#include "register.h"

#include "kernel.h"

#include <linux/memfd.h>
#include <linux/netlink.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* include/uapi/linux/memfd.h, Linux 6.3 */
#endif

#define DESCRIPTOR_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

/* A connection to the first helper that there is, or -1. One whose queue is full is none. */
static int connect_helper(const struct register_plan *plan)
{
    int fd = (int)kernel_call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | DESCRIPTOR_FLAGS, 0);
    if (fd < 0)
        return -1;
    for (unsigned i = 0; i < sizeof plan->helpers / sizeof plan->helpers[0]; i++)
        if (plan->helpers[i].sun_family == AF_UNIX &&
            kernel_call(SYS_connect, fd, &plan->helpers[i], sizeof plan->helpers[i]) == 0)
            return fd;
    kernel_close(fd);
    return -1;
}

/* Never executable where the kernel knows that (vm.memfd_noexec may insist on it). */
static int make_memory(void)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = (int)kernel_call(SYS_memfd_create, "socktune-ring", flags | MFD_NOEXEC_SEAL);
    if (fd < 0)
        fd = (int)kernel_call(SYS_memfd_create, "socktune-ring", flags);
    if (fd >= 0 && kernel_call(SYS_ftruncate, fd, RING_SIZE(RING_SLOTS)) == 0 &&
        kernel_call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    if (fd >= 0)
        kernel_close(fd);
    return -1;
}

/* The header is written before anybody sees it as a ring. */
static bool fill_header(int fd, uint64_t first, uint64_t now_ns)
{
    void *header = kernel_map_shared(NULL, sizeof(struct ring_header), fd);
    if (header == NULL)
        return false;
    ring_init(header, first, now_ns);
    kernel_call(SYS_munmap, header, sizeof(struct ring_header));
    return true;
}

static bool send_message(const struct register_plan *plan, int to, uint32_t pid, int memory,
                         int diag)
{
    struct registration head = plan->head;
    head.pid = pid;
    struct iovec parts[] = {{&head, sizeof head}, {(void *)plan->names, plan->names_size}};
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(REGISTRATION_DESCRIPTORS * sizeof(int))];
    } control = {{0}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    const int descriptors[REGISTRATION_DESCRIPTORS] = {memory, diag};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof descriptors);
    __builtin_memcpy(CMSG_DATA(&control.header), descriptors, sizeof descriptors);
    return kernel_call(SYS_sendmsg, to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (long)plan->head.size;
}

static struct ring *pass_ring(const struct register_plan *plan, int to, int memory,
                              struct ring *old, uint32_t pid)
{
    struct ring *ring = kernel_map_shared(old, RING_SIZE(RING_SLOTS), memory);
    if (ring == NULL)
        return NULL;
    int diag =
        (int)kernel_call(SYS_socket, AF_NETLINK, SOCK_DGRAM | DESCRIPTOR_FLAGS, NETLINK_SOCK_DIAG);
    bool sent = diag >= 0 && send_message(plan, to, pid, memory, diag);
    if (diag >= 0)
        kernel_close(diag);
    if (sent)
        return ring;
    if (old != NULL) {
        __atomic_store_n(&ring->header.heartbeat, 0, __ATOMIC_RELAXED);
        return ring;
    }
    kernel_call(SYS_munmap, ring, RING_SIZE(RING_SLOTS));
    return NULL;
}

struct ring *register_ring(const struct register_plan *plan, struct ring *old, uint32_t pid,
                           uint64_t now_ns)
{
    /* Time and process make the generation one that none of the process's other rings had. */
    const uint64_t first = ((now_ns >> 20 ^ (uint64_t)pid << 20) & 0x7fffffff) * RING_GENERATION;
    struct ring *ring = NULL;
    int to = connect_helper(plan);
    if (to < 0)
        return NULL;
    int memory = make_memory();
    if (memory >= 0 && fill_header(memory, first, now_ns))
        ring = pass_ring(plan, to, memory, old, pid);
    if (memory >= 0)
        kernel_close(memory);
    kernel_close(to);
    return ring;
}
