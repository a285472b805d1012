/* SPDX-License-Identifier: MIT */
/*
 * The sockinfo: what is known about a socket when a rule is to be matched. What is not known yet is
 * not guessed: role, family and protocol are sets of what the socket may be, addresses and ports
 * carry a bit that says whether they are known. Asking the kernel for more costs a system call, so
 * that is done only where the matching says that it would make a difference.
 */
#ifndef SOCKTUNE_SOCKINFO_H
#define SOCKTUNE_SOCKINFO_H

#include "policy.h"

#include <sys/socket.h>

/* Facts about a socket that may be missing. */
enum fact_bit {
    FACT_ROLE = 1,     /* roles has one member */
    FACT_FAMILY = 2,   /* families has one member */
    FACT_PROTOCOL = 4, /* protocols has one member */
    FACT_LOCAL = 8,    /* local and local_port */
    FACT_REMOTE = 16,  /* remote and remote_port */
    FACT_MOMENT = 32,  /* moment: when the connection began. Only connect() and accept() know */
    FACT_COOKIE = 64   /* cookie */
};
#define FACT_ALL 127u

/* IPv4 as v4-mapped IPv6, so that there is one kind of address. */
struct address {
    uint8_t bytes[16];
};

/* What decides, beside the socket, on its arm in a trial (trial.h). */
struct trial_moment {
    uint64_t time_ns; /* CLOCK_REALTIME */
    uint64_t ended;   /* a bit for each trial, by its number: it is over */
    /* For explanations: 0, or the one arm that the socket is in, counted from 1, whatever else
     * decides. `forced_trial` is the number of its trial. */
    uint8_t forced;
    uint8_t forced_trial;
};

/*
 * Until FACT_ROLE is known, `roles` is what the socket may turn out to be, and a rule matches if it
 * accepts all of that. Once it is known, the socket stands for each role in it, and a rule matches
 * if it accepts any: a listener is the template of the sockets it accepts, so it stands for both.
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
    uint8_t families;    /* enum family_bit: what it may be; empty: none of ours */
    uint8_t known;       /* enum fact_bit: ROLE, LOCAL, REMOTE, MOMENT, COOKIE */
    uint8_t unavailable; /* enum fact_bit: asked for in vain; a rule that needs it does not match */
};

/*
 * The sockinfo at each phase of a socket's life, as far as the call itself tells. These are what
 * the hooks begin with, and what `socktune explain` begins with, so that the two agree.
 * sockinfo_at_socket() and sockinfo_at_address() return false, with an empty sockinfo, for sockets
 * that socktune leaves alone.
 */
bool sockinfo_at_socket(struct sockinfo *sockinfo, int domain, int type, int protocol);
/* bind() to, or connect() to, `address`; `phase` says which. */
bool sockinfo_at_address(struct sockinfo *sockinfo, enum phase phase,
                         const struct sockaddr *address, socklen_t length);
/* listen(), and the call after it. */
void sockinfo_at_listen(struct sockinfo *sockinfo);
void sockinfo_at_accept(struct sockinfo *sockinfo);

/* The type of the socket (SOCK_STREAM ...) has become known in the call at `phase`: this narrows
 * what it may be, and settles the role. */
void sockinfo_narrow_type(struct sockinfo *sockinfo, enum phase phase, int type);
/* Domain, type and protocol have. */
void sockinfo_learn_type(struct sockinfo *sockinfo, enum phase phase, int domain, int type,
                         int protocol);

/* The phases (PHASE_BIT()s) that lie behind a socket: it should have what is given at any of them.
 */
unsigned sockinfo_phases_behind(const struct sockinfo *sockinfo);

/* True if it is known to have connected or to have been accepted. Then it is too late for
 * OPTION_EARLY, and SO_RCVBUF can clamp the window for good. */
bool sockinfo_is_connection(const struct sockinfo *sockinfo);

/* An address as two numbers, so that it is compared in one or two steps. */
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

/* True for 0.0.0.0 and ::, which stand for every address of the machine. */
static inline bool address_is_unspecified(const struct address *address)
{
    struct halves halves = address_halves(address->bytes);
    return halves.high == 0 && (halves.low == 0 || halves.low == (uint64_t)0xffff << 32);
}

/* False for NULL and other pointers into the first page, where nothing is ever mapped
 * (vm.mmap_min_addr): the kernel answers them with EFAULT, where reading would crash. */
static inline bool sockinfo_is_pointer(const void *pointer)
{
    return (uintptr_t)pointer >= 4096u;
}

/*
 * Read an IP socket address of `length` bytes. Returns FAMILY_INET, FAMILY_INET6 or, for a unix
 * address, FAMILY_UNIX (then address and port are 0); 0 for anything else or one that is too
 * short, and then writes nothing.
 */
unsigned address_read(const struct sockaddr *from, socklen_t length, struct address *address,
                      uint16_t *port);

/* The bits of a socket made by socket(domain, type, protocol); type may carry SOCK_CLOEXEC and
 * SOCK_NONBLOCK. 0 for what socktune leaves alone. */
unsigned family_bit_of(int domain);
unsigned protocol_bit_of(int domain, int type, int protocol);

/* The roles that sockets of these protocols can have. */
unsigned roles_of_protocols(unsigned protocols);

#endif
