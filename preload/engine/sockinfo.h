/* SPDX-License-Identifier: MIT */
/*
 * The sockinfo: what is known about a socket when rules are matched. Unknown facts are not guessed:
 * role, family and protocol are sets of possibilities; addresses and ports have a bit that says
 * whether they are known. Asking the kernel costs a system call, so it is done only if matching
 * says that it would make a difference.
 */
#ifndef SOCKTUNE_SOCKINFO_H
#define SOCKTUNE_SOCKINFO_H

#include "policy.h"

#include <sys/socket.h>

/* Facts about a socket that may be unknown. */
enum fact_bit {
    FACT_ROLE = 1,     /* roles has one member */
    FACT_FAMILY = 2,   /* families has one member */
    FACT_PROTOCOL = 4, /* protocols has one member */
    FACT_LOCAL = 8,    /* local and local_port */
    FACT_REMOTE = 16,  /* remote and remote_port */
    FACT_MOMENT = 32,  /* moment: when the connection began; known only at connect() and accept() */
    FACT_COOKIE = 64   /* cookie */
};
#define FACT_ALL 127u

/* IPv4 as v4-mapped IPv6, so that there is one kind of address. */
struct address {
    uint8_t bytes[16];
};

/* What selects a socket's arm in a trial, besides the socket (trial.h). */
struct trial_moment {
    uint64_t time_ns; /* CLOCK_REALTIME */
    uint64_t ended;   /* a bit per trial, by its number: the trial has ended */
    /* For `explain`: 0, or the arm to assume, counted from 1. `forced_trial` is the number of its
     * trial. */
    uint8_t forced;
    uint8_t forced_trial;
};

/*
 * While FACT_ROLE is unknown, `roles` is what the socket may become, and a rule matches if it
 * accepts all of them. Once it is known, the socket stands for each role in it, and a rule matches
 * if it accepts any: a listener is the template of its accepted sockets, so it has both roles.
 */
struct sockinfo {
    struct address local;
    struct address remote;
    uint16_t local_port; /* host byte order */
    uint16_t remote_port;
    struct trial_moment moment;
    uint64_t cookie;     /* SO_COOKIE */
    uint16_t protocols;  /* enum protocol_bit: what it may be */
    uint8_t roles;       /* enum role_bit */
    uint8_t families;    /* enum family_bit: what it may be; 0: no family of ours */
    uint8_t known;       /* enum fact_bit: ROLE, LOCAL, REMOTE, MOMENT, COOKIE */
    uint8_t unavailable; /* enum fact_bit: could not be read; a rule that needs it does not match */
};

/*
 * The sockinfo at each phase of a socket's life, as far as the call's arguments say. The hooks and
 * `socktune explain` both start with these, so their results agree. sockinfo_at_socket() and
 * sockinfo_at_address() return false, with an empty sockinfo, for sockets that socktune ignores.
 * Pure.
 */
bool sockinfo_at_socket(struct sockinfo *sockinfo, int domain, int type, int protocol);
/* bind() or connect() to `address`; `phase` says which. */
bool sockinfo_at_address(struct sockinfo *sockinfo, enum phase phase,
                         const struct sockaddr *address, socklen_t length);
/* listen(), and the calls accept() and accept4(). */
void sockinfo_at_listen(struct sockinfo *sockinfo);
void sockinfo_at_accept(struct sockinfo *sockinfo);

/* The socket's type (SOCK_STREAM ...) has been read in the call at `phase`: narrow the
 * possibilities, and determine the role. */
void sockinfo_narrow_type(struct sockinfo *sockinfo, enum phase phase, int type);
/* Domain, type and protocol have been read. */
void sockinfo_learn_type(struct sockinfo *sockinfo, enum phase phase, int domain, int type,
                         int protocol);

/* Returns the phases (PHASE_BIT()s) that the socket has passed, and whose actions it should
 * have. */
unsigned sockinfo_phases_behind(const struct sockinfo *sockinfo);

/* True if the socket is known to have connected or to have been accepted. Then it is too late for
 * OPTION_EARLY, and SO_RCVBUF can clamp the window permanently. */
bool sockinfo_is_connection(const struct sockinfo *sockinfo);

/* An address as two numbers, for fast comparison. */
struct halves {
    uint64_t high, low;
};

static inline struct halves address_halves(const uint8_t bytes[16])
{
    struct halves halves;
    __builtin_memcpy(&halves, bytes, sizeof halves);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    halves.high = __builtin_bswap64(halves.high);
    halves.low = __builtin_bswap64(halves.low);
#endif
    return halves;
}

/* True for an IPv4 address (v4-mapped). */
static inline bool address_is_v4(const struct address *address)
{
    struct halves halves = address_halves(address->bytes);
    return halves.high == 0 && halves.low >> 32 == 0xffff;
}

/* True for 0.0.0.0 and ::, the wildcard addresses. */
static inline bool address_is_unspecified(const struct address *address)
{
    struct halves halves = address_halves(address->bytes);
    return halves.high == 0 && (halves.low == 0 || halves.low == (uint64_t)0xffff << 32);
}

/* False for NULL and other pointers into the first page, where nothing is ever mapped
 * (vm.mmap_min_addr). The kernel returns EFAULT for them; reading would crash. */
static inline bool sockinfo_is_pointer(const void *pointer)
{
    return (uintptr_t)pointer >= 4096u;
}

/*
 * Read a socket address of `length` bytes. Returns FAMILY_INET, FAMILY_INET6 or, for a unix
 * address, FAMILY_UNIX (then address and port are 0). Returns 0 for any other or a too short
 * address, and then writes nothing.
 */
unsigned address_read(const struct sockaddr *from, socklen_t length, struct address *address,
                      uint16_t *port);

/* The bits of a socket created by socket(domain, type, protocol); `type` may contain SOCK_CLOEXEC
 * and SOCK_NONBLOCK. 0 for sockets that socktune ignores. */
unsigned family_bit_of(int domain);
unsigned protocol_bit_of(int domain, int type, int protocol);

/* The roles that sockets of these protocols can have. */
unsigned roles_of_protocols(unsigned protocols);

#endif
