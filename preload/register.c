/* SPDX-License-Identifier: MIT */
/*
 * Making the ring and the sock_diag socket and passing both to the helper. Every descriptor is
 * closed on exec and gone when this returns.
 *
 * If there is no helper at first, or its heartbeat has stopped (it ended, or it let go of the
 * ring), a later connection tries again: after 1 s, then at twice the distance each time up to once
 * a minute, so that a helper that comes late or restarts is found. Registrations that no helper has
 * taken up are given up after UNANSWERED_MAX: each holds descriptors in the queue of a helper that
 * is stopped. Between tries a connection costs no system call for it.
 */
#include "register.h"

#include "kernel.h"
#include "text.h"

#include <linux/memfd.h>
#include <linux/netlink.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* include/uapi/linux/memfd.h, Linux 6.3 */
#endif

#define DESCRIPTOR_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

#define DISTANCE_MAX_NS (60 * REGISTER_DISTANCE_NS)
#define UNANSWERED_MAX  16u

/* The ends of names that the helper takes (registration_parse.h). */
#define NAME_MAX_BYTES 255u

/* --- the plan -----------------------------------------------------------------------------------
 */

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

static void find_helpers(struct register_plan *plan, const struct register_where *where)
{
    if (where->socket != NULL && where->socket[0] != 0) {
        set_helper(&plan->helpers[0], "", where->socket);
        return;
    }
    set_helper(&plan->helpers[0], "", REGISTRATION_SOCKET);
    if (where->runtime != NULL && where->runtime[0] == '/')
        set_helper(&plan->helpers[1], where->runtime, REGISTRATION_USER_SOCKET);
}

/* False: no room. */
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

void register_prepare(struct register_plan *plan, const struct register_where *where,
                      const char *program, const struct policy *policy, const struct active *active)
{
    find_helpers(plan, where);
    plan->head = (struct registration){.version = REGISTRATION_VERSION,
                                       .ring_size = (uint32_t)RING_SIZE(RING_SLOTS)};
    __builtin_memcpy(plan->head.magic, REGISTRATION_MAGIC, sizeof plan->head.magic);
    put_name(plan, program);
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        if ((rule->flags & RULE_REPORT) == 0)
            continue;
        if (plan->head.rule_count == REGISTRATION_RULES_MAX ||
            !put_name(plan, policy_string(policy, rule->name)))
            break;
        plan->head.rule_count++;
    }
    plan->head.size = (uint32_t)sizeof plan->head + plan->names_size;
}

/* --- the message --------------------------------------------------------------------------------
 */

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

/* A sock_diag socket, or -1. From here on it hears of the sockets that are destroyed, so that no
 * end is missed until the helper reads it; were this refused, the helper would try. Its address is
 * none that the program would give to a socket of its own, as its pid is. */
static int make_diag(uint32_t number)
{
    const struct sockaddr_nl ends = {
        .nl_family = AF_NETLINK, .nl_pid = 0x80000000u | number, .nl_groups = REGISTRATION_GROUPS};
    int fd =
        (int)kernel_call(SYS_socket, AF_NETLINK, SOCK_DGRAM | DESCRIPTOR_FLAGS, NETLINK_SOCK_DIAG);
    if (fd >= 0)
        kernel_call(SYS_bind, fd, &ends, sizeof ends);
    return fd;
}

static struct ring *pass_ring(const struct register_plan *plan, int to, int memory,
                              struct ring *old, uint32_t pid)
{
    struct ring *ring = kernel_map_shared(old, RING_SIZE(RING_SLOTS), memory);
    if (ring == NULL)
        return NULL;
    int diag = make_diag((uint32_t)(ring->header.head / RING_GENERATION));
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

/* --- when ---------------------------------------------------------------------------------------
 */

static bool is_alive(const struct ring *ring, uint64_t now)
{
    uint64_t beat = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    return beat != 0 && (now < beat || now - beat < RING_HEARTBEAT_MAX_NS);
}

/* A helper that wrote its heartbeat has taken the ring up: begin the counting anew. */
static void note_answer(struct register_state *state, const struct ring *ring)
{
    if (ring == NULL || state->unanswered == 0 ||
        __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED) == state->given)
        return;
    state->unanswered = 0;
    state->distance = REGISTER_DISTANCE_NS;
}

/* Is it time for another try, and for this thread to make it? */
static bool claim_try(struct register_state *state, uint64_t now)
{
    uint64_t due = __atomic_load_n(&state->next_try, __ATOMIC_RELAXED);
    uint64_t distance = state->distance;
    /* A clock that was set back must not put it off for long. */
    if (now < due && due - now <= DISTANCE_MAX_NS)
        return false;
    if (!__atomic_compare_exchange_n(&state->next_try, &due, now + distance, false,
                                     __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return false;
    state->distance = distance * 2 < DISTANCE_MAX_NS ? distance * 2 : DISTANCE_MAX_NS;
    return true;
}

bool register_is_due(struct register_state *state, uint64_t now_ns)
{
    const struct ring *ring = __atomic_load_n(&state->ring, __ATOMIC_ACQUIRE);
    if (ring != NULL && is_alive(ring, now_ns))
        return false;
    note_answer(state, ring);
    return state->unanswered < UNANSWERED_MAX && claim_try(state, now_ns);
}

void register_again(struct register_state *state, const struct register_plan *plan, uint32_t pid,
                    uint64_t now_ns)
{
    struct ring *ring = register_ring(plan, state->ring, pid, now_ns);
    if (ring == NULL)
        return;
    state->given = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    state->unanswered++;
    __atomic_store_n(&state->ring, ring, __ATOMIC_RELEASE);
}
