/* SPDX-License-Identifier: MIT */
/*
 * The option table: one row for each socket option a rule may name (config/options.def). All that
 * socktune knows about an option stands in its row; nothing else names an option.
 */
#ifndef SOCKTUNE_OPTION_H
#define SOCKTUNE_OPTION_H

#include "policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a value is written in a rule, and what bytes the kernel takes and returns for it. */
enum option_kind {
    KIND_BOOL,     /* int 0 or 1 */
    KIND_INT,      /* int between min and max */
    KIND_SIZE,     /* int, bytes; "256K", "1M": powers of 1024 */
    KIND_RATE,     /* 64-bit, bytes per second; "10M"; ~0 means no limit ("unlimited") */
    KIND_DURATION, /* int in the row's unit */
    KIND_TIMEVAL,  /* two 64-bit ints (seconds, microseconds): SO_RCVTIMEO_NEW; 0 or "off": none */
    KIND_LINGER,   /* struct linger; "5s" or "off" */
    KIND_TOS,      /* int; names lowdelay, throughput, reliability, mincost, or 0-255 */
    KIND_DSCP,     /* socktune's dscp: a name (EF, AF41, CS1 ...) or 0-63 */
    KIND_PMTUDISC, /* int; names want, dont, do, probe, interface, omit */
    KIND_NAMES,    /* int; other names of the row, or the number */
    KIND_STRING,   /* bytes without a terminator: TCP_CONGESTION, SO_BINDTODEVICE */
    KIND_PORT_RANGE, /* u32: low | high << 16; "40000-50000" */
    KIND_TRANSPORT,  /* socktune's transport: "mptcp" */
    KIND_ADDRESS,    /* socktune's source: an address without a port */
    KIND_COUNT
};

enum option_unit {
    UNIT_NONE,
    UNIT_BYTES,
    UNIT_BYTES_PER_SECOND,
    UNIT_SECONDS,
    UNIT_MILLISECONDS,
    UNIT_MICROSECONDS,
    UNIT_HOPS,
    UNIT_COUNT_OF, /* a plain count: probes, retries, connections */
};

/* When the kernel wants it set. */
enum option_when {
    WHEN_ANY,       /* at any time */
    WHEN_BIND,      /* before bind(), or the connect()/listen() that binds implicitly */
    WHEN_HANDSHAKE, /* before connect() or listen(): part of the handshake or of the window scale */
    WHEN_LISTENER,  /* on listeners alone, before listen() */
    WHEN_CONNECT,   /* on connecting sockets alone, before connect() */
    WHEN_AFTER      /* only after connect() or listen(): set earlier it is lost */
};

/* What an accepted socket has from its listener; see also option_is_inherited(). */
enum option_inherit {
    INHERIT_YES,
    INHERIT_NO,       /* must be set on each accepted socket */
    INHERIT_UNWANTED, /* inherited, but it would alter the listener's own calls (SO_RCVTIMEO: accept
                         would time out), so a rule on accepted sockets sets it there */
    INHERIT_NONE      /* means nothing on an accepted socket */
};

/* What the caller must have for the kernel to take it. */
enum option_privilege {
    PRIVILEGE_NONE,
    PRIVILEGE_NET_ADMIN, /* CAP_NET_ADMIN, always */
    PRIVILEGE_NET_RAW,   /* CAP_NET_RAW or CAP_NET_ADMIN */
    PRIVILEGE_ABOVE,     /* CAP_NET_ADMIN for values above `free_max` */
    PRIVILEGE_CHANGE     /* CAP_NET_RAW to change a value once set */
};

/* How getsockopt() answers for it. */
enum option_echo {
    ECHO_NEVER,       /* not at all, or with something else */
    ECHO_UNCERTAIN,   /* with its current value, which the kernel alters by itself */
    ECHO_SAME,        /* with what was set */
    ECHO_JIFFIES,     /* rounded up to the kernel's clock tick */
    ECHO_RCVBUF,      /* capped at net.core.rmem_max, then doubled */
    ECHO_SNDBUF,      /* capped at net.core.wmem_max, then doubled */
    ECHO_RETRANSMITS, /* rounded up to a whole number of SYN-ACK retransmissions */
    ECHO_SOMAXCONN,   /* capped at net.core.somaxconn */
    ECHO_LOWAT,       /* capped at half the receive buffer */
    ECHO_TOS,         /* without the ECN bits where the transport owns them */
    ECHO_DEFAULT,     /* with what was set, or what the system's default is */
    ECHO_PREFERENCES, /* with the defaults of the preferences not named */
    ECHO_PADDED,      /* padded with NULs to 16 bytes */
    ECHO_TERMINATED   /* with a NUL at the end */
};

/* The number of socktune's own `dscp`, at LEVEL_SOCKTUNE beside those of policy.h. It reaches no
 * policy: the compiler makes IP_TOS and IPV6_TCLASS of it. */
enum { SOCKTUNE_DSCP = 3 }; /* SOCKTUNE_BACKLOG is 4 */

/* A name for a value. */
struct option_name {
    const char *name; /* lower case */
    int64_t value;
};

struct option {
    const char *name; /* "TCP_KEEPIDLE" */
    int level;
    int optname;
    int other_optname; /* a second number by which programs may set it (SO_RCVTIMEO_OLD); or 0 */
    enum option_kind kind;
    enum option_unit unit;
    int64_t min; /* in the option's unit, both inclusive: the kernel's bounds; KIND_STRING: bytes;
                    KIND_PORT_RANGE: ports; KIND_LINGER: of "off" and so many seconds */
    int64_t max;
    bool
        unordered; /* 0 stands for the system's default or for none, so that values have no order */
    const struct option_name *names; /* NULL or ended by {NULL, 0}; the first one of a value is
                                        the one it is printed with */
    uint8_t families;                /* enum family_bit for which the kernel takes it */
    uint16_t protocols;              /* enum protocol_bit */
    uint8_t roles;                   /* enum role_bit for which it means something */
    enum option_when when;
    enum option_inherit inherit;
    enum option_privilege privilege;
    int64_t free_max; /* PRIVILEGE_ABOVE: the largest value free for all */
    bool readable;    /* getsockopt tells its current value */
    enum option_echo echo;
    const char *since; /* first kernel that has it, "" if older than 4.19 */
    const char *doc;   /* one line, no full stop */
};

/* All rows, in the order in which the kernel wants them set. */
const struct option *option_table(size_t *count);

/* The row of that name (any case), or NULL. */
const struct option *option_find(const char *name);

/* The row of that level and number, or of that level and second number, or NULL. */
const struct option *option_find_number(int level, int optname);

/* An option whose setting by the program changes what another one has set: siblings.def. */
struct option_sibling {
    int level;
    int optname;
    enum sibling_effect effect; /* policy.h */
};
enum { OPTION_SIBLINGS_MAX = 2 };

/* Those of the option of that number; returns how many. */
size_t option_siblings(int level, int optname, struct option_sibling siblings[OPTION_SIBLINGS_MAX]);

/* Can at_least and at_most be said of it? Its values are numbers with an order, and the kernel
 * tells the one that a socket has. */
bool option_has_order(const struct option *option);

/* The fewest bytes that the kernel takes as the option's value. */
unsigned option_least_length(const struct option *option);

/* True if an accepted socket of any of `families` (enum family_bit) has its listener's value. An
 * accepted AF_UNIX socket has it of none but the options of AF_UNIX itself. */
bool option_is_inherited(const struct option *option, unsigned families);

/* True if getsockopt() does not return a value that was set, or returns what the kernel has made of
 * it since. Then nobody can see whether the value is still a rule's (preload/engine/undo.h). */
bool option_is_not_read_back(const struct option *option);

/* The name closest to a misspelt one in any case, or NULL if none is near. Also for other word
 * lists, ended by NULL: option_nearest() is nearest_word() over the table. */
const char *option_nearest(const char *name);
const char *nearest_word(const char *word, const char *const *words);

#endif
