/* SPDX-License-Identifier: MIT */
/*
 * The option table: the rows of options.def, and the ways to find one.
 */
#include "option.h"

#include "compat.h"
#include "policy.h"

#include <asm/socket.h>
#include <ctype.h>
#include <limits.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* Two 64-bit ints on every word size, unlike the older pair; a program uses either. */
#undef SO_RCVTIMEO
#define SO_RCVTIMEO SO_RCVTIMEO_NEW
#undef SO_SNDTIMEO
#define SO_SNDTIMEO SO_SNDTIMEO_NEW

/* Names of values */

/* DiffServ code points, as IANA's registry has them. */
#define DSCP_NAMES(X)                                                                              \
    X("cs0", 0)                                                                                    \
    X("le", 1)                                                                                     \
    X("cs1", 8)                                                                                    \
    X("af11", 10)                                                                                  \
    X("af12", 12)                                                                                  \
    X("af13", 14)                                                                                  \
    X("cs2", 16)                                                                                   \
    X("af21", 18)                                                                                  \
    X("af22", 20)                                                                                  \
    X("af23", 22)                                                                                  \
    X("cs3", 24)                                                                                   \
    X("af31", 26)                                                                                  \
    X("af32", 28)                                                                                  \
    X("af33", 30)                                                                                  \
    X("cs4", 32)                                                                                   \
    X("af41", 34)                                                                                  \
    X("af42", 36)                                                                                  \
    X("af43", 38)                                                                                  \
    X("cs5", 40)                                                                                   \
    X("voice-admit", 44)                                                                           \
    X("ef", 46)                                                                                    \
    X("cs6", 48)                                                                                   \
    X("cs7", 56)

#define AS_DSCP(name, value) {name, value},
#define AS_TOS(name, value)  {name, (value) << 2},

static const struct option_name dscp_names[] = {DSCP_NAMES(AS_DSCP){"default", 0}, {NULL, 0}};

/* The four of RFC 1349 (<netinet/ip.h>), which also ip(7) and ssh(1) use, then the code points. */
static const struct option_name tos_names[] = {
    {"lowdelay", 0x10}, {"throughput", 0x08},        {"reliability", 0x04},
    {"mincost", 0x02},  DSCP_NAMES(AS_TOS){NULL, 0},
};

/* IP_PMTUDISC_* and IPV6_PMTUDISC_* have the same values. */
static const struct option_name pmtudisc_names[] = {
    {"dont", IP_PMTUDISC_DONT},
    {"want", IP_PMTUDISC_WANT},
    {"do", IP_PMTUDISC_DO},
    {"probe", IP_PMTUDISC_PROBE},
    {"omit", IP_PMTUDISC_OMIT},
    {"interface", IP_PMTUDISC_INTERFACE},
    {NULL, 0},
};

/* RFC 5014; the flags are in <linux/in6.h>. */
static const struct option_name preference_names[] = {
    {"temporary", IPV6_PREFER_SRC_TMP},
    {"public", IPV6_PREFER_SRC_PUBLIC},
    {"default", IPV6_PREFER_SRC_PUBTMP_DEFAULT},
    {NULL, 0},
};

/* SOCK_SNDBUF_LOCK and SOCK_RCVBUF_LOCK of <linux/socket.h>. */
static const struct option_name buffer_lock_names[] = {
    {"none", 0}, {"send", 1}, {"receive", 2}, {"both", 3}, {NULL, 0},
};

/* SOCK_TXREHASH_* of <linux/socket.h>; -1 takes net.core.txrehash. */
static const struct option_name txrehash_names[] = {
    {"off", 0},
    {"on", 1},
    {"default", -1},
    {NULL, 0},
};

static const struct option_name linger2_names[] = {{"off", -1}, {"default", 0}, {NULL, 0}};

static const struct option_name rate_names[] = {{"unlimited", -1}, {NULL, 0}};

/* The words of options.def */

#define BOOL                .kind = KIND_BOOL, .min = 0, .max = 1
#define INT(u, low, high)   .kind = KIND_INT, .unit = UNIT_##u, .min = (low), .max = (high)
#define SIZE(low, high)     .kind = KIND_SIZE, .unit = UNIT_BYTES, .min = (low), .max = (high)
#define STRING(low, high)   .kind = KIND_STRING, .min = (low), .max = (high)
#define LINGER(low, high)   .kind = KIND_LINGER, .unit = UNIT_SECONDS, .min = (low), .max = (high)
#define TOS                 .kind = KIND_TOS, .names = tos_names, .min = 0, .max = 255
#define DSCP                .kind = KIND_DSCP, .names = dscp_names, .min = 0, .max = 63
#define PMTUDISC            .kind = KIND_PMTUDISC, .names = pmtudisc_names, .min = 0, .max = 5
#define NAMES(n, low, high) .kind = KIND_NAMES, .names = (n), .min = (low), .max = (high)
#define PORT_RANGE          .kind = KIND_PORT_RANGE, .min = 1, .max = 65535
#define TRANSPORT           .kind = KIND_TRANSPORT
#define ADDRESS             .kind = KIND_ADDRESS
#define RATE(low, high)                                                                            \
    .kind = KIND_RATE, .unit = UNIT_BYTES_PER_SECOND, .names = rate_names, .min = (low),           \
    .max = (high)
#define DURATION(u, low, high) DURATION_OR(NULL, u, low, high)
#define DURATION_OR(n, u, low, high)                                                               \
    .kind = KIND_DURATION, .unit = UNIT_##u, .names = (n), .min = (low), .max = (high)
#define TIMEVAL(other, low, high)                                                                  \
    .kind = KIND_TIMEVAL, .unit = UNIT_MICROSECONDS, .other_optname = (other), .min = (low),       \
    .max = (high)

#define UNORDERED(...) __VA_ARGS__, .unordered = true

/* The members of FOR(). Short names for sets of policy.h's bits, so that a row stays readable. */
enum {
    INET = FAMILY_INET,
    INET6 = FAMILY_INET6,
    IP = FAMILY_IP,
    UNIX = FAMILY_UNIX,
    ANYWHERE = FAMILY_ALL,

    TCP = PROTOCOL_TCP,
    MPTCP = PROTOCOL_MPTCP,
    UDP = PROTOCOL_UDP,
    UDPLITE = PROTOCOL_UDPLITE,
    UNIX_STREAM = PROTOCOL_UNIX_STREAM,
    UNIX_DGRAM = PROTOCOL_UNIX_DGRAM,
    EVERY = PROTOCOL_ALL,
    INTERNET = PROTOCOL_ALL & ~(PROTOCOL_UNIX_STREAM | PROTOCOL_UNIX_DGRAM),
    PLAIN = INTERNET & ~PROTOCOL_MPTCP, /* what MPTCP does not hand on to its subflows */
    CONNECTED = PROTOCOL_CONNECTED & ~PROTOCOL_UNIX_STREAM,
    DATAGRAMS = PROTOCOL_DATAGRAM & ~PROTOCOL_UNIX_DGRAM,

    CONNECT = ROLE_CONNECT,
    LISTEN = ROLE_LISTEN,
    DATAGRAM = ROLE_DATAGRAM,
    STREAM = ROLE_STREAM,
    ALL = ROLE_ALL
};

#define FOR(f, p, r) .families = (f), .protocols = (p), .roles = (r)

#define PRIVILEGE(p)    .privilege = PRIVILEGE_##p
#define ABOVE(greatest) .privilege = PRIVILEGE_ABOVE, .free_max = (greatest)

#define OPTION(id, l, value, scope, w, i, p, e, s, d)                                              \
    {                                                                                              \
        .name = #id,                                                                               \
        .level = (l),                                                                              \
        .optname = (id),                                                                           \
        value,                                                                                     \
        scope,                                                                                     \
        .when = WHEN_##w,                                                                          \
        .inherit = INHERIT_##i,                                                                    \
        p,                                                                                         \
        .readable = ECHO_##e != ECHO_NEVER,                                                        \
        .echo = ECHO_##e,                                                                          \
        .since = (s),                                                                              \
        .doc = (d),                                                                                \
    },

/* Socktune's own: names of rows, and only here macros of their numbers. */
#define transport SOCKTUNE_TRANSPORT
#define source    SOCKTUNE_SOURCE
#define dscp      SOCKTUNE_DSCP
#define backlog   SOCKTUNE_BACKLOG

static const struct option table[] = {
#include "options.def"
};

#undef transport
#undef source
#undef dscp
#undef backlog

#define TABLE_ROWS (sizeof(table) / sizeof(table[0]))

/* Finding */

const struct option *option_table(size_t *count)
{
    *count = TABLE_ROWS;
    return table;
}

const struct option *option_find(const char *name)
{
    for (size_t i = 0; i < TABLE_ROWS; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const struct option *option_find_number(int level, int optname)
{
    for (size_t i = 0; i < TABLE_ROWS; i++)
        if (table[i].level == level &&
            (table[i].optname == optname ||
             (table[i].other_optname != 0 && table[i].other_optname == optname)))
            return &table[i];
    return NULL;
}

bool option_is_inherited(const struct option *option, unsigned families)
{
    if (option->inherit != INHERIT_YES && option->inherit != INHERIT_UNWANTED)
        return false;
    return !(families & FAMILY_UNIX) || option->families == FAMILY_UNIX;
}

/* SO_RCVBUF and SO_SNDBUF read back what SO_RCVBUFFORCE and SO_SNDBUFFORCE have set. */
bool option_is_not_read_back(const struct option *option)
{
    bool buffer = option->level == SOL_SOCKET &&
                  (option->optname == SO_RCVBUFFORCE || option->optname == SO_SNDBUFFORCE);
    return option->level != LEVEL_SOCKTUNE && !buffer &&
           (option->echo == ECHO_NEVER || option->echo == ECHO_UNCERTAIN);
}

/* Longer words are not names and have no neighbour. */
#define WORD_MAX 32

static unsigned least_of(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/*
 * How many letters must be inserted, left out, replaced or swapped with their neighbour to make
 * one word of the other, letter case aside (optimal string alignment).
 */
static unsigned edit_distance(const char *a, const char *b)
{
    size_t a_length = strlen(a), b_length = strlen(b);
    unsigned rows[WORD_MAX + 1][WORD_MAX + 1];
    if (a_length > WORD_MAX || b_length > WORD_MAX)
        return UINT_MAX;
    for (size_t j = 0; j <= b_length; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        rows[i][0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            unsigned best = least_of(rows[i - 1][j], rows[i][j - 1]) + 1;
            best = least_of(best, rows[i - 1][j - 1] + !same);
            if (i > 1 && j > 1 &&
                tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 2]) &&
                tolower((unsigned char)a[i - 2]) == tolower((unsigned char)b[j - 1]))
                best = least_of(best, rows[i - 2][j - 2] + 1);
            rows[i][j] = best;
        }
    }
    return rows[a_length][b_length];
}

/* The distance to a name, where its level's prefix may be missing or wrong: KEEPIDLE and
 * SO_KEEPIDLE are one step from TCP_KEEPIDLE. */
static unsigned name_distance(const char *word, const char *name)
{
    const char *word_tail = strchr(word, '_');
    const char *name_tail = strchr(name, '_');
    unsigned whole = edit_distance(word, name);
    if (name_tail == NULL)
        return whole;
    if (strcasecmp(word, name_tail + 1) == 0 ||
        (word_tail != NULL && strcasecmp(word_tail, name_tail) == 0))
        return least_of(whole, 1);
    return whole;
}

/* Keeps the nearer of two candidates. One in four letters behind the prefix, and one more, may be
 * wrong: with more, two options of different meaning are near. */
static void keep_nearer(const char *word, const char *name, const char **best, unsigned *distance)
{
    const char *tail = strchr(word, '_');
    size_t letters = strlen(tail != NULL ? tail + 1 : word);
    unsigned candidate = name_distance(word, name);
    if (candidate < *distance && candidate <= letters / 4 + 1 && candidate < strlen(name)) {
        *best = name;
        *distance = candidate;
    }
}

const char *nearest_word(const char *word, const char *const *words)
{
    const char *best = NULL;
    unsigned distance = UINT_MAX;
    for (; *words; words++)
        keep_nearer(word, *words, &best, &distance);
    return best;
}

const char *option_nearest(const char *name)
{
    const char *best = NULL;
    unsigned distance = UINT_MAX;
    for (size_t i = 0; i < TABLE_ROWS; i++)
        keep_nearer(name, table[i].name, &best, &distance);
    return best;
}

/* Siblings */

/* Setting `level`, `optname` changes what the option `of` has set. */
static const struct {
    struct option_sibling sibling;
    int of_level;
    int of_optname;
} siblings[] = {
#define SAME(level, name, other_level, other)                                                      \
    {{level, name, SIBLING_SAME}, other_level, other},                                             \
        {{other_level, other, SIBLING_SAME}, level, name},
#define DISTURBS(level, name, other_level, other)                                                  \
    {{level, name, SIBLING_DISTURBS}, other_level, other},
#include "siblings.def"
#undef SAME
#undef DISTURBS
};

size_t option_siblings(int level, int optname, struct option_sibling found[OPTION_SIBLINGS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof siblings / sizeof siblings[0]; i++)
        if (siblings[i].of_level == level && siblings[i].of_optname == optname)
            found[count++] = siblings[i].sibling;
    return count;
}

bool option_has_order(const struct option *option)
{
    switch (option->kind) {
    case KIND_INT:
        if (option->unit == UNIT_NONE) /* marks, priorities, processors */
            return false;
        break;
    case KIND_SIZE:
    case KIND_RATE:
    case KIND_DURATION:
        break;
    default:
        return false;
    }
    if (option->level == LEVEL_SOCKTUNE) /* backlog: what the program passes is known */
        return true;
    return !option->unordered && option->readable && option->echo != ECHO_UNCERTAIN &&
           option->echo != ECHO_DEFAULT;
}

unsigned option_least_length(const struct option *option)
{
    switch (option->kind) {
    case KIND_LINGER:  /* struct linger */
    case KIND_TIMEVAL: /* struct timeval of 32-bit programs */
        return 8;
    case KIND_STRING:
        return option->level == IPPROTO_TCP ? 1 : 0;
    default:
        return option->level == IPPROTO_IP ? 1 : 4; /* ip(7) takes a byte, too */
    }
}
