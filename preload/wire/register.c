/* SPDX-License-Identifier: MIT */
/*
 * Creates the ring and the sock_diag socket, and passes both to the helper. Every descriptor is
 * close-on-exec, and closed before this returns.
 *
 * If there is no helper, or its heartbeat has stopped (it ended, or released the ring), a later
 * connection retries: after 1 s, then at twice the interval each time, up to once a minute. So a
 * helper that starts late or restarts is found. After UNANSWERED_MAX registrations without an
 * answer there are no more retries: each holds descriptors in the queue of a stopped helper.
 * Between retries a connection makes no system call for this.
 */
#include "register.h"

#include "compat.h"
#include "kernel.h"
#include "text.h"

#include <linux/limits.h>
#include <linux/memfd.h>
#include <linux/netlink.h>
#include <sys/random.h>
#include <sys/resource.h>

#define DESCRIPTOR_FLAGS (SOCK_CLOEXEC | SOCK_NONBLOCK)

#define DISTANCE_MAX_NS (60 * REGISTER_DISTANCE_NS)
#define UNANSWERED_MAX  16u

/* After so many registrations of version 4 without an answer, every other one is version 3: the
 * helper may be an older one, which refuses version 4. */
#define LIVE_TRIES 2u

/* Maximum length of names that the helper accepts (registration_parse.h). */
#define NAME_MAX_BYTES 255u

/* The plan */

/* False if there is no room. */
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

/* False if there is no room. */
static bool put_trial(struct register_plan *plan, const struct policy *policy,
                      const struct policy_rule *rule)
{
    return put_name(plan, rule->trial.count == 0
                              ? REGISTRATION_NO_TRIAL
                              : policy_string(policy, policy->trials[rule->trial.first].text));
}

/* Adds the path unchanged. False if there is no room, or if it cannot be sent in a message. */
static bool put_path(struct register_plan *plan, const char *path)
{
    const size_t length = text_length(path);
    char *to = plan->names + plan->names_size;
    if (length == 0 || length >= PATH_MAX || sizeof plan->names - plan->names_size < length + 1)
        return false;
    for (size_t i = 0; i <= length; i++) {
        if (i < length && ((unsigned char)path[i] < ' ' || path[i] == 0x7f))
            return false;
        to[i] = path[i];
    }
    plan->names_size += (uint32_t)length + 1;
    return true;
}

static void put_live(struct register_plan *plan, const struct register_live *live,
                     const struct policy *policy)
{
    const uint32_t size = plan->names_size;
    if (put_name(plan, live->executable != NULL ? live->executable : REGISTRATION_UNKNOWN) &&
        put_path(plan, live->rules)) {
        plan->live =
            (struct registration_live){.device = live->device,
                                       .inode = live->inode,
                                       .policy = policy->checksum,
                                       .published = (uint32_t)PUBLISHED_AT(plan->head.ring_size),
                                       .room = PUBLISHED_ROOM};
        plan->user = live->user;
        plan->place = live->place;
        plan->live_from = size;
        plan->live_to = plan->names_size;
    } else {
        plan->names_size = size;
    }
}

static bool has_trials(const struct policy *policy, const struct active *active)
{
    for (uint32_t i = 0; i < active->count; i++)
        if (policy->rules[active->rules[i]].trial.count != 0)
            return true;
    return false;
}

void register_prepare(struct register_plan *plan, const struct helper_environment *environment,
                      const char *program, const struct policy *policy, const struct active *active,
                      const struct register_live *live)
{
    if (environment != NULL)
        helper_addresses(environment, HELPER_REGISTRATION, plan->helpers);
    plan->head.ring_size = (uint32_t)RING_SIZE(RING_SLOTS);
    __builtin_memcpy(plan->head.magic, REGISTRATION_MAGIC, sizeof plan->head.magic);
    put_name(plan, program);
    if (live != NULL)
        put_live(plan, live, policy);
    plan->trials = has_trials(policy, active);
    const bool columns = plan->trials || plan->live.room != 0;
    plan->head.version = columns ? REGISTRATION_WITH_TRIALS : REGISTRATION_VERSION;
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        uint32_t size = plan->names_size;
        if ((rule->flags & RULE_REPORT) == 0)
            continue;
        if (plan->head.rule_count == REGISTRATION_RULES_MAX ||
            !put_name(plan, policy_string(policy, rule->name)) ||
            (columns && !put_trial(plan, policy, rule))) {
            plan->names_size = size;
            break;
        }
        plan->head.rule_count++;
    }
    plan->head.size =
        (uint32_t)sizeof plan->head + plan->names_size - (plan->live_to - plan->live_from);
}

/* The message */

static uint32_t effective_user(void)
{
#ifdef SYS_geteuid32
    return (uint32_t)kernel_call(SYS_geteuid32);
#else
    return (uint32_t)kernel_call(SYS_geteuid);
#endif
}

/* The helper receives the program's connections and names. It is trusted only if it is root or the
 * program's own user: anybody may listen at a path that the environment names. */
static bool is_trusted_peer(int helper)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return kernel_getsockopt(helper, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == 0 || peer.uid == effective_user());
}

/* True if the helper may also publish rules. False for the helper of a user that the program has
 * changed to later: the program may have kept privileges that this user lacks. */
static bool may_publish(const struct register_plan *plan, int helper)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    return plan->live.room != 0 &&
           kernel_getsockopt(helper, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           (peer.uid == 0 || peer.uid == plan->user);
}

/* Connects to the helper at that address. -1 on failure, also if its queue is full. */
static int connect_if_trusted(const struct register_plan *plan, const struct sockaddr_un *address)
{
    transient_opening(plan->transient);
    int fd = (int)kernel_call(SYS_socket, AF_UNIX, SOCK_SEQPACKET | DESCRIPTOR_FLAGS, 0);
    transient_note(plan->transient, fd);
    if (fd < 0)
        return -1;
    if (kernel_call(SYS_connect, fd, address, sizeof *address) == 0 && is_trusted_peer(fd))
        return fd;
    transient_close(plan->transient, fd);
    return -1;
}

/* Connects to the first helper that exists, or returns -1. */
static int connect_helper(const struct register_plan *plan)
{
    int fd = -1;
    for (unsigned i = 0; fd < 0 && i < sizeof plan->helpers / sizeof plan->helpers[0]; i++)
        if (plan->helpers[i].sun_family == AF_UNIX)
            fd = connect_if_trusted(plan, &plan->helpers[i]);
    return fd;
}

/* A ring is a file, whose size is limited by RLIMIT_FSIZE: the kernel would raise SIGXFSZ, which
 * ends the program. */
static bool has_room(size_t size)
{
    uint64_t limit[2]; /* struct rlimit64: soft, hard */
    return kernel_call(SYS_prlimit64, 0L, RLIMIT_FSIZE, NULL, limit) == 0 && limit[0] >= size;
}

/* Returns the size of the memory; with `live` it includes the room for a policy. */
static size_t memory_size(const struct register_plan *plan, bool live)
{
    return registration_memory(plan->head.ring_size, live ? plan->live.room : 0);
}

/* Not executable if the kernel supports that (vm.memfd_noexec may require it). */
static int make_memory(struct transient *transient, size_t size)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    transient_opening(transient);
    int fd = (int)kernel_call(SYS_memfd_create, "socktune-ring", flags | MFD_NOEXEC_SEAL);
    if (fd < 0)
        fd = (int)kernel_call(SYS_memfd_create, "socktune-ring", flags);
    if (transient_note(transient, fd) >= 0 && kernel_call(SYS_ftruncate, fd, size) == 0 &&
        kernel_call(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    transient_close(transient, fd);
    return -1;
}

/* The initial values of a new ring. */
struct ring_start {
    uint64_t id, first, now_ns;
    uint64_t netns;     /* the network namespace of this thread */
    uint64_t in_flight; /* handed over through the process's last ring and not yet taken */
};

/* The header is written before anybody else sees the ring. */
static bool fill_header(int fd, const struct ring_start *start)
{
    struct ring *ring = kernel_map_shared(NULL, sizeof(struct ring_header), fd);
    if (ring == NULL)
        return false;
    ring_init(ring, start->id, start->first, start->now_ns);
    ring->header.netns = start->netns;
    ring->header.handed = start->in_flight;
    kernel_call(SYS_munmap, ring, sizeof(struct ring_header));
    return true;
}

/* Sends one message with `count` descriptors. */
static bool send_message(int to, struct iovec *parts, size_t part_count, size_t size,
                         const int *descriptors, size_t count)
{
    union {
        struct cmsghdr header;
        uint8_t bytes[CMSG_SPACE(REGISTRATION_DESCRIPTORS * sizeof(int))];
    } control = {{0}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = part_count,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
    __builtin_memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
    return kernel_call(SYS_sendmsg, to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (long)size;
}

/* One attempt to register. */
struct registering {
    const struct register_plan *plan;
    struct ring *place; /* where to map the ring; NULL: anywhere */
    uint32_t pid;
    bool live;      /* with memory for published rules */
    bool diagnosed; /* out: a sock_diag socket was created */
};

static struct iovec names_part(const struct register_plan *plan, uint32_t from, uint32_t to)
{
    return (struct iovec){(char *)plan->names + from, to - from};
}

/* Version 4 has one more struct and more names than the others. */
static bool send_registration(const struct registering *registering, int to, int memory, int diag)
{
    const struct register_plan *plan = registering->plan;
    struct registration head = plan->head;
    struct registration_live live = plan->live;
    struct iovec parts[] = {{&head, sizeof head},
                            {&live, 0},
                            names_part(plan, 0, plan->live_from),
                            names_part(plan, plan->live_from, plan->live_from),
                            names_part(plan, plan->live_to, plan->names_size)};
    const int descriptors[REGISTRATION_DESCRIPTORS] = {memory, diag};
    head.pid = registering->pid;
    if (registering->live) {
        head.version = REGISTRATION_LIVE;
        parts[1].iov_len = sizeof live;
        parts[3] = names_part(plan, plan->live_from, plan->live_to);
        head.size += (uint32_t)(parts[1].iov_len + parts[3].iov_len);
    }
    return send_message(to, parts, sizeof parts / sizeof parts[0], head.size, descriptors,
                        diag >= 0 ? 2 : 1);
}

/* Creates a sock_diag socket, or returns -1. From here on it receives events of destroyed sockets,
 * so none is missed before the helper reads it. If the kernel refuses that, the helper tries it.
 * The netlink address is not one that the program would use for its own socket, such as its pid. */
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

static bool pass_ring(struct registering *registering, struct ring *ring, int to, int memory)
{
    const struct register_plan *plan = registering->plan;
    /* Without sock_diag in the kernel, or if it is forbidden, the helper does without it. */
    transient_opening(plan->transient);
    int diag = make_diag((uint32_t)(ring->header.head / RING_GENERATION));
    transient_note(plan->transient, diag);
    bool sent = send_registration(registering, to, memory, diag);
    registering->diagnosed = diag >= 0;
    transient_close(plan->transient, diag);
    return sent;
}

/* Maps the memory and passes it. NULL if it failed and nothing has changed. */
static struct ring *map_ring(struct registering *registering, int to, int memory)
{
    const struct register_plan *plan = registering->plan;
    const size_t size = memory_size(plan, registering->live);
    struct ring *ring = kernel_map_shared(registering->place, size, memory);
    if (ring == NULL)
        return NULL;
    if (registering->live)
        published_init(register_published(plan), plan->live.room, plan->generation);
    if (pass_ring(registering, ring, to, memory))
        return ring;
    if (registering->place != NULL) {
        __atomic_store_n(&ring->header.heartbeat, 0, __ATOMIC_RELAXED);
        return ring;
    }
    kernel_call(SYS_munmap, ring, size);
    return NULL;
}

/* Returns a unique id for a ring: random, or made from time and process. */
static uint64_t make_id(uint32_t pid, uint64_t now_ns)
{
    uint64_t id = 0;
    if (kernel_call(SYS_getrandom, &id, sizeof id, GRND_NONBLOCK) != sizeof id)
        id = now_ns ^ (uint64_t)pid << 40;
    return id;
}

/* Creates a ring and passes it to the helper; NULL on failure. */
static struct ring *make_ring(struct registering *registering, struct ring_start *start)
{
    const struct register_plan *plan = registering->plan;
    struct ring *ring = NULL;
    int to = has_room(memory_size(plan, registering->live)) ? connect_helper(plan) : -1;
    if (to < 0)
        return NULL;
    registering->live &= may_publish(plan, to);
    start->netns = kernel_get_cookie(to, SO_NETNS_COOKIE);
    int memory = make_memory(plan->transient, memory_size(plan, registering->live));
    if (memory >= 0 && fill_header(memory, start))
        ring = map_ring(registering, to, memory);
    transient_close(plan->transient, memory);
    transient_close(plan->transient, to);
    return ring;
}

/* `old` is the last ring, or NULL. */
static struct ring *register_ring(struct registering *registering, const struct ring *old,
                                  uint64_t now_ns)
{
    /* Time and process give a generation that no other ring of the process had. */
    const uint64_t first =
        ((now_ns >> 20 ^ (uint64_t)registering->pid << 20) & 0x7fffffff) * RING_GENERATION;
    struct ring_start start = {.id = make_id(registering->pid, now_ns),
                               .first = first,
                               .now_ns = now_ns,
                               .in_flight = old != NULL ? ring_in_flight(old) : 0};
    return make_ring(registering, &start);
}

/* When to register */

/* A helper that wrote its heartbeat has accepted the ring: reset the counters. */
static void note_answer(struct register_state *state, const struct ring *ring)
{
    if (ring == NULL || state->unanswered == 0 ||
        __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED) == state->given)
        return;
    state->unanswered = 0;
    state->distance = REGISTER_DISTANCE_NS;
}

/* True if a retry is due and this thread must make it. */
static bool claim_try(struct register_state *state, uint64_t now)
{
    uint64_t due = __atomic_load_n(&state->next_try, __ATOMIC_RELAXED);
    uint64_t distance = state->distance;
    /* A clock that was set back must not delay the retry for long. */
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
    if (ring != NULL && register_is_read(state, ring, now_ns))
        return false;
    note_answer(state, ring);
    return state->unanswered < UNANSWERED_MAX && claim_try(state, now_ns);
}

void register_again(struct register_state *state, const struct register_plan *plan, uint32_t pid,
                    uint64_t now_ns)
{
    note_answer(state, state->ring);
    const bool live =
        plan->live.room != 0 && (state->unanswered < LIVE_TRIES || state->unanswered % 2 != 0);
    struct registering registering = {.plan = plan,
                                      .place = plan->place != NULL ? plan->place : state->ring,
                                      .pid = pid,
                                      .live = live};
    struct ring *ring = register_ring(&registering, state->ring, now_ns);
    if (ring == NULL)
        return;
    state->given = now_ns;
    state->unanswered++;
    state->blind = !registering.diagnosed;
    state->live = registering.live;
    __atomic_store_n(&state->ring, ring, __ATOMIC_RELEASE);
}

/* Handing over */

/* close() with SO_LINGER waits until the data is sent, or resets the connection. It does neither
 * while another process holds the socket. */
static bool has_linger(int fd)
{
    struct linger linger = {0, 0};
    socklen_t length = sizeof linger;
    return kernel_getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length) != 0 ||
           linger.l_onoff != 0;
}

static bool pass_connection(const struct register_plan *plan, const struct ring *ring, int fd,
                            const struct record *record)
{
    struct handoff message = {.version = HANDOFF_VERSION,
                              .size = sizeof message,
                              .ring = ring->header.id,
                              .record = *record};
    struct iovec part = {&message, sizeof message};
    __builtin_memcpy(message.magic, HANDOFF_MAGIC, sizeof message.magic);
    int to = connect_helper(plan);
    bool sent = to >= 0 && send_message(to, &part, 1, sizeof message, &fd, 1);
    transient_close(plan->transient, to);
    return sent;
}

void hand_off(const struct register_plan *plan, struct ring *ring, int fd,
              const struct record *record)
{
    struct ring_header *header = &ring->header;
    uint64_t handed = __atomic_fetch_add(&header->handed, 1, __ATOMIC_RELAXED);
    uint64_t taken = __atomic_load_n(&header->taken, __ATOMIC_RELAXED);
    if (handed - taken < RING_HANDED_MAX && !has_linger(fd) &&
        pass_connection(plan, ring, fd, record))
        return;
    __atomic_fetch_sub(&header->handed, 1, __ATOMIC_RELAXED);
    ring_withhold(ring);
}
