/* SPDX-License-Identifier: MIT */
/*
 * The ring: memory that a program shares with the helper (a sealed memfd), through which it reports
 * its connections. Many writers (threads, forked children, signal handlers), one reader, no system
 * call, no lock, and nobody ever waits for anybody.
 *
 * A writer takes a ticket by advancing `head`, fills a slot and commits it by storing `sequence` =
 * ticket + 1. The reader takes the slots in order and stores in `tail` how far it is.
 *
 * - Few records are unread where a reader keeps up. While they are fewer than RING_FRONT, the slot
 *   is front slot ticket % RING_FRONT, else backlog slot ticket % slots. A slot is free again when
 *   the tail has passed it. The reader looks at both. The front is 64 KiB; what lies behind it the
 *   kernel then never has to find memory for: the first touch of a page costs as much as some 10
 *   system calls.
 * - Full (head - tail == slots): the writer counts the record in `dropped` and goes on.
 * - A writer that is killed, or stopped, between ticket and commit leaves a hole. The reader passes
 *   over it after a while and counts it. The late writer may then overwrite what a later one has
 *   put into the same slot; the checksum, which covers the ticket, tells.
 * - `head` and `tail` of a new ring begin at RING_GENERATION times a random number: a program may
 *   put a new ring in the place of the old (same address) while one of its threads is writing, and
 *   what that thread leaves in the new ring then fits no ticket.
 * - The helper looks for the connections in one network namespace. Those of another one (setns(),
 *   unshare()) are counted in `dropped` and left out.
 * - `handed` and `taken` count descriptors on their way to the helper (hand_off() in register.h):
 *   never more than RING_HANDED_MAX. The helper sets `taken` to `handed` when none that is missing
 *   will come any more, since a writer was killed on the way.
 * - `heartbeat` tells the writers that somebody reads. A reader that will read no more stores 0:
 *   the program's next connection then registers anew.
 *
 * The reader must take nothing in here for granted: whoever can write it can write anything, at any
 * time (tools/helper/ring_reader.c). Writers take nothing from it but numbers.
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
#define RING_SLOTS_MIN  64u                 /* that readers take */
#define RING_SLOTS_MAX  65536u              /* that readers take */
#define RING_GENERATION ((uint64_t)1 << 32) /* tickets of two rings differ by more than a ring */
/* A heartbeat older than this is a helper that is gone. */
#define RING_HEARTBEAT_MAX_NS ((uint64_t)30 * 1000000000u)
/* So many connections may be on their way to the helper, whose ends are not the program's alone
 * meanwhile. */
#define RING_HANDED_MAX 8u
/* Connections are handed over only to a helper that has been heard of within this time. */
#define RING_HANDED_HEARD_NS ((uint64_t)3 * 1000000000u)

enum record_kind {
    RECORD_CONNECT = 1, /* connect() succeeded, failed, or is under way */
    RECORD_ACCEPT,      /* accept() returned the connection */
    RECORD_LISTEN,      /* listen() succeeded */
    RECORD_DATAGRAM,    /* a UDP socket was bound, connected, or sent its first datagram */
};

#define RECORD_FAILURES_MAX 8u
#define RECORD_NAMED_MAX    16u
/* record.flags: the socket was there before; its program tells of it since it was started with it,
 * or since another helper reads now. */
#define RECORD_ADOPTED 1u
/* connect() is about to be called: a further record tells how it went, unless the program waits for
 * that still, or was cancelled or killed. The local end may not be known yet. */
#define RECORD_BEGUN 2u
/* connect() failed: by ECONNREFUSED, or by another error. The kernel has wiped what it counted. */
#define RECORD_REFUSED    4u
#define RECORD_UNANSWERED 8u
/* The rule is one that the registration had no room to name. */
#define RECORD_RULE_UNNAMED 0xffffu

/* An option that a rule gives and the kernel refused. */
struct record_failure {
    int32_t level;
    int32_t optname;
    int32_t error; /* errno, positive */
};

/* An option that was set. One whose numbers do not fit is only counted. */
struct record_option {
    uint16_t level;
    uint16_t optname;
};

/* What is reported of a connection, a listener or a UDP socket. Addresses are in network order,
 * IPv4 as v4-mapped, also on an AF_INET6 socket that speaks IPv4; ports in host byte order. */
struct record {
    uint64_t cookie;  /* SO_COOKIE */
    uint64_t time_ns; /* CLOCK_REALTIME, when the call returned */
    uint8_t local[16];
    uint8_t remote[16];   /* 0 for a listener, and where the port is 0 */
    uint32_t pid;         /* of the process that made the call, in its own pid namespace */
    uint32_t interface;   /* the socket is bound to this interface (idiag_if), 0: not told */
    uint16_t local_port;  /* 0: not known */
    uint16_t remote_port; /* 0: not known, since the peer had gone; there is none */
    uint16_t family;      /* of the socket: AF_INET or AF_INET6 */
    uint16_t protocol;    /* IPPROTO_TCP, IPPROTO_MPTCP or IPPROTO_UDP */
    uint16_t rule;        /* index into the rules of the registration, or RECORD_RULE_UNNAMED */
    uint16_t applied;     /* options that rules gave it, refused ones not counted */
    uint8_t kind;         /* enum record_kind */
    uint8_t failed;       /* options refused; the first RECORD_FAILURES_MAX are in `failures` */
    uint8_t named;        /* of `options`: the first ones that were applied */
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

/* What different parties write lies in different cache lines. */
struct ring_header {
    char magic[8];
    uint32_t version;
    uint32_t slot_size; /* sizeof(struct ring_slot) */
    uint32_t slots;     /* backlog slots, and how many records have room; a power of two */
    uint32_t slots_at;  /* offset of the first front slot: sizeof(struct ring_header) */
    uint64_t id;        /* random: names the ring in the messages that hand something over */
    uint64_t netns;     /* SO_NETNS_COOKIE of what is reported here; 0: not known */
    uint8_t reserved1[24];
    uint64_t head __attribute__((aligned(64))); /* writers: the next ticket */
    uint64_t dropped;                           /* writers: records that could not be put here */
    uint64_t handed;                            /* writers: connections passed to the helper */
    uint64_t withheld; /* writers: connections not passed (why: hand_off()) */
    uint64_t tail __attribute__((aligned(64))); /* the reader: the next ticket to read */
    uint64_t heartbeat; /* the reader: CLOCK_REALTIME ns, renewed at least every 10 s; 0: gone */
    uint64_t taken;     /* the reader: of `handed`, those that it has closed again */
    uint64_t ended; /* the reader: a bit for each trial, by its number in the policy: it is over */
    uint8_t reserved2[4096 - 160];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct ring_header) == 4096, "one page, the same on every architecture");

struct ring {
    struct ring_header header;
    struct ring_slot slot[]; /* RING_FRONT, and behind them those of the backlog */
};

#define RING_SIZE(slots)                                                                           \
    (sizeof(struct ring_header) + (RING_FRONT + (size_t)(slots)) * sizeof(struct ring_slot))

static inline struct ring_slot *ring_front_slot(struct ring *ring, uint64_t ticket)
{
    return &ring->slot[ticket & (RING_FRONT - 1)];
}

/* `slots`: backlog slots of the ring. */
static inline struct ring_slot *ring_backlog_slot(struct ring *ring, uint64_t ticket,
                                                  uint64_t slots)
{
    return &ring->slot[RING_FRONT + (ticket & (slots - 1))];
}

/* Covers every byte of the record, and the ticket. Guards against two writers in one slot, not
 * against malice. Pure. */
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

/* Make RING_SIZE(RING_SLOTS) zeroed bytes an empty ring, but for `netns`. `first` is its first
 * ticket (a multiple of RING_GENERATION), `now_ns` its first heartbeat. */
void ring_init(struct ring *ring, uint64_t id, uint64_t first, uint64_t now_ns);

/* Does a helper keep the heartbeat going? `now_ns`: CLOCK_REALTIME. */
static inline bool ring_is_read(const struct ring *ring, uint64_t now_ns)
{
    uint64_t beat = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    return beat != 0 && (now_ns < beat || now_ns - beat < RING_HEARTBEAT_MAX_NS);
}

/* Count a record that is not put into the ring. */
static inline void ring_drop(struct ring *ring)
{
    __atomic_fetch_add(&ring->header.dropped, 1, __ATOMIC_RELAXED);
}

/*
 * May something be handed over? A helper that is stopped would keep it open, and yet accepts
 * connections. So the helper must itself have written a heartbeat into this ring, and lately;
 * `given` is the one that the ring was made with.
 */
static inline bool ring_is_answered(const struct ring *ring, uint64_t given, uint64_t now_ns)
{
    uint64_t beat = __atomic_load_n(&ring->header.heartbeat, __ATOMIC_RELAXED);
    return beat != 0 && beat != given && (now_ns < beat || now_ns - beat < RING_HANDED_HEARD_NS);
}

/* Does the reader keep up, so that there is room for a record that can be done without? */
static inline bool ring_keeps_up(const struct ring *ring)
{
    return __atomic_load_n(&ring->header.head, __ATOMIC_RELAXED) -
               __atomic_load_n(&ring->header.tail, __ATOMIC_RELAXED) <
           RING_FRONT / 4;
}

/* Count a connection that is not handed over, though a rule says so. */
static inline void ring_withhold(struct ring *ring)
{
    __atomic_fetch_add(&ring->header.withheld, 1, __ATOMIC_RELAXED);
}

/* Connections on their way to the helper. */
static inline uint64_t ring_in_flight(const struct ring *ring)
{
    return __atomic_load_n(&ring->header.handed, __ATOMIC_RELAXED) -
           __atomic_load_n(&ring->header.taken, __ATOMIC_RELAXED);
}

/* Put a record into a ring of RING_SLOTS. False: it was full; that is counted. Async-signal-safe,
 * thread-safe, makes no system call, never waits. */
bool ring_put(struct ring *ring, const struct record *record);

#endif
