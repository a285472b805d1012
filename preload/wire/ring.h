/* SPDX-License-Identifier: MIT */
/*
 * The ring: memory that a program shares with the helper (a sealed memfd), through which it reports
 * its connections. Many writers (threads, forked children, signal handlers), one reader, no system
 * call, no lock, and nobody waits.
 *
 * A writer takes a ticket by advancing `head`, fills a slot, and commits it by storing `sequence` =
 * ticket + 1. The reader takes the slots in order and stores its position in `tail`.
 *
 * - If the reader keeps up, few records are unread. While they are fewer than RING_FRONT, the slot
 *   is front slot ticket % RING_FRONT, otherwise backlog slot ticket % slots. A slot is free again
 *   when the tail has passed it. The reader looks at both. The front is 64 KiB, so the kernel
 *   usually never allocates the memory behind it: the first touch of a page costs as much as about
 *   10 system calls.
 * - Full (head - tail == slots): the writer counts the record in `dropped` and continues.
 * - A writer that is killed or stopped between ticket and commit leaves a hole. The reader skips it
 *   after a while and counts it. A writer that resumes late may overwrite what a later one has put
 *   into the same slot; the checksum, which covers the ticket, detects that.
 * - `head` and `tail` of a new ring begin at RING_GENERATION times a random number. A program may
 *   replace the old ring by a new one (same address) while one of its threads is writing; what that
 *   thread leaves in the new ring then matches no ticket.
 * - The helper looks for the connections in one network namespace. Connections in another one
 *   (setns(), unshare()) are counted in `dropped` and left out.
 * - `handed` and `taken` count descriptors in flight to the helper (hand_off() in register.h):
 *   never more than RING_HANDED_MAX. The helper sets `taken` to `handed` when no further descriptor
 *   can arrive, because a writer was killed.
 * - `heartbeat` shows the writers that the ring is read. A reader that stops stores 0; then the
 *   program's next connection registers again.
 *
 * The reader must trust nothing in here: a process with write access can change it at any time
 * (tools/helper/clients/ring_reader.c). Writers take only numbers from it.
 */
#ifndef SOCKTUNE_RING_H
#define SOCKTUNE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_MAGIC      "STRING01"
#define RING_VERSION    3u
#define RING_FRONT      256u                /* front slots; a power of two */
#define RING_SLOTS      8192u               /* backlog slots that writers make; a power of two */
#define RING_SLOTS_MIN  64u                 /* minimum that readers accept */
#define RING_SLOTS_MAX  65536u              /* maximum that readers accept */
#define RING_GENERATION ((uint64_t)1 << 32) /* tickets of two rings differ by more than a ring */
/* If the heartbeat is older than this, the helper is gone. */
#define RING_HEARTBEAT_MAX_NS ((uint64_t)30 * 1000000000u)
/* Maximum number of connections in flight to the helper. Meanwhile the program's close() does not
 * end them. */
#define RING_HANDED_MAX 8u
/* Connections are handed over only if the last heartbeat is not older than this. */
#define RING_HANDED_HEARD_NS ((uint64_t)3 * 1000000000u)

enum record_kind {
    RECORD_CONNECT = 1, /* connect() succeeded, failed, or is in progress */
    RECORD_ACCEPT,      /* accept() returned the connection */
    RECORD_LISTEN,      /* listen() succeeded */
    RECORD_DATAGRAM,    /* a UDP socket was bound, connected, or sent its first datagram */
};

#define RECORD_FAILURES_MAX 8u
#define RECORD_NAMED_MAX    16u
/* record.flags: the socket existed before. It is reported because the program inherited it, or
 * because another helper reads now. */
#define RECORD_ADOPTED 1u
/* connect() is about to be called. Another record reports the result, unless the call still blocks,
 * or was cancelled or killed. The local end may be unknown. */
#define RECORD_BEGUN 2u
/* connect() failed: with ECONNREFUSED, or with another error. The kernel has cleared its
 * counters. */
#define RECORD_REFUSED    4u
#define RECORD_UNANSWERED 8u
/* The registration had no room to name this rule. */
#define RECORD_RULE_UNNAMED 0xffffu

/* An option that a rule sets and the kernel refused. */
struct record_failure {
    int32_t level;
    int32_t optname;
    int32_t error; /* errno, positive */
};

/* An option that was set. If its numbers do not fit here, it is only counted. */
struct record_option {
    uint16_t level;
    uint16_t optname;
};

/* The report about a connection, a listener or a UDP socket. Addresses are in network order, IPv4
 * as v4-mapped, also on an AF_INET6 socket that speaks IPv4; ports are in host byte order. */
struct record {
    uint64_t cookie;  /* SO_COOKIE */
    uint64_t time_ns; /* CLOCK_REALTIME, when the call returned */
    uint8_t local[16];
    uint8_t remote[16];   /* 0 for a listener, and if the port is 0 */
    uint32_t pid;         /* of the process that made the call, in its own pid namespace */
    uint32_t interface;   /* interface to which the socket is bound (idiag_if); 0: unknown */
    uint16_t local_port;  /* 0: unknown */
    uint16_t remote_port; /* 0: unknown, since the peer had gone; or none */
    uint16_t family;      /* of the socket: AF_INET or AF_INET6 */
    uint16_t protocol;    /* IPPROTO_TCP, IPPROTO_MPTCP or IPPROTO_UDP */
    uint16_t rule;        /* index into the rules of the registration, or RECORD_RULE_UNNAMED */
    uint16_t applied;     /* options that rules set, without refused ones */
    uint8_t kind;         /* enum record_kind */
    uint8_t failed;       /* options refused; the first RECORD_FAILURES_MAX are in `failures` */
    uint8_t named;        /* valid entries of `options`, the first ones applied */
    uint8_t flags;        /* RECORD_ADOPTED ..., or 0 */
    struct record_failure failures[RECORD_FAILURES_MAX];
    struct record_option options[RECORD_NAMED_MAX];
};

struct ring_slot {
    uint64_t sequence __attribute__((aligned(8))); /* ticket + 1: committed */
    uint64_t checksum;                             /* ring_checksum(record, ticket) */
    struct record record;
    uint8_t reserved[256 - 16 - sizeof(struct record)];
};
_Static_assert(sizeof(struct record) == 232, "the same on every architecture");
_Static_assert(sizeof(struct ring_slot) == 256, "the same on every architecture");

/* Fields with different writers are in different cache lines. */
struct ring_header {
    char magic[8];
    uint32_t version;
    uint32_t slot_size; /* sizeof(struct ring_slot) */
    uint32_t slots;     /* number of backlog slots, and of records that fit; a power of two */
    uint32_t slots_at;  /* offset of the first front slot: sizeof(struct ring_header) */
    uint64_t id;        /* random: identifies the ring in handoff messages */
    uint64_t netns;     /* SO_NETNS_COOKIE of the sockets reported here; 0: unknown */
    uint8_t reserved1[24];
    uint64_t head __attribute__((aligned(64))); /* writers: the next ticket */
    uint64_t dropped;                           /* writers: records that could not be written */
    uint64_t handed;                            /* writers: connections passed to the helper */
    uint64_t withheld; /* writers: connections not passed; reasons: hand_off() */
    uint64_t tail __attribute__((aligned(64))); /* the reader: the next ticket to read */
    uint64_t heartbeat; /* reader: CLOCK_REALTIME ns, renewed at least every 10 s; 0: gone */
    uint64_t taken;     /* reader: those of `handed` that it has closed again */
    uint64_t ended;     /* reader: a bit per trial, by its number in the policy: it has ended */
    uint8_t reserved2[4096 - 160];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct ring_header) == 4096, "one page, the same on every architecture");

struct ring {
    struct ring_header header;
    struct ring_slot slot[]; /* RING_FRONT slots, then the backlog slots */
};

#define RING_SIZE(slots)                                                                           \
    (sizeof(struct ring_header) + (RING_FRONT + (size_t)(slots)) * sizeof(struct ring_slot))

static inline struct ring_slot *ring_front_slot(struct ring *ring, uint64_t ticket)
{
    return &ring->slot[ticket & (RING_FRONT - 1)];
}

/* `slots` is the ring's number of backlog slots. */
static inline struct ring_slot *ring_backlog_slot(struct ring *ring, uint64_t ticket,
                                                  uint64_t slots)
{
    return &ring->slot[RING_FRONT + (ticket & (slots - 1))];
}

/* Covers every byte of the record, and the ticket. Detects two writers in one slot; no protection
 * against manipulation. Pure. */
static inline uint64_t ring_checksum(const struct record *record, uint64_t ticket)
{
    uint64_t words[sizeof *record / sizeof(uint64_t)];
    uint64_t sum = ticket ^ 0x9e3779b97f4a7c15u;
    __builtin_memcpy(words, record, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        sum = (sum ^ words[i]) * 0xff51afd7ed558ccdu;
        sum ^= sum >> 32;
    }
    return sum;
}

/* Initialize RING_SIZE(RING_SLOTS) zeroed bytes as an empty ring, except `netns`. `first` is its
 * first ticket (a multiple of RING_GENERATION), `now_ns` its first heartbeat (CLOCK_REALTIME). */
void ring_init(struct ring *ring, uint64_t id, uint64_t first, uint64_t now_ns);

/* True if a helper renews the heartbeat. `now_ns` is CLOCK_REALTIME. */
static inline bool ring_is_read(const struct ring *ring, uint64_t now_ns)
{
    uint64_t beat = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    return beat != 0 && (now_ns < beat || now_ns - beat < RING_HEARTBEAT_MAX_NS);
}

/* Count a record that cannot be written. */
static inline void ring_drop(struct ring *ring)
{
    __atomic_fetch_add(&ring->header.dropped, 1, __ATOMIC_RELAXED);
}

/*
 * True if a connection may be handed over. A stopped helper accepts connections, and would keep the
 * descriptor open. So the helper itself must have written a heartbeat into this ring recently;
 * `given` is the initial heartbeat of the ring.
 */
static inline bool ring_is_answered(const struct ring *ring, uint64_t given, uint64_t now_ns)
{
    uint64_t beat = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    return beat != 0 && beat != given && (now_ns < beat || now_ns - beat < RING_HANDED_HEARD_NS);
}

/* True if the reader keeps up, so that there is room for an optional record. */
static inline bool ring_keeps_up(const struct ring *ring)
{
    return __atomic_load_n(&ring->header.head, __ATOMIC_RELAXED) -
               __atomic_load_n(&ring->header.tail, __ATOMIC_RELAXED) <
           RING_FRONT / 4;
}

/* Count a connection that is not handed over although a rule asks for it. */
static inline void ring_withhold(struct ring *ring)
{
    __atomic_fetch_add(&ring->header.withheld, 1, __ATOMIC_RELAXED);
}

/* Returns the number of connections in flight to the helper. */
static inline uint64_t ring_in_flight(const struct ring *ring)
{
    return __atomic_load_n(&ring->header.handed, __ATOMIC_RELAXED) -
           __atomic_load_n(&ring->header.taken, __ATOMIC_RELAXED);
}

/* Write a record to a ring of RING_SLOTS. False if it is full; the record is then counted as
 * dropped. Async-signal-safe, thread-safe, makes no system call, never waits. */
bool ring_put(struct ring *ring, const struct record *record);

#endif
