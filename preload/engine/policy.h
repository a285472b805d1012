/* SPDX-License-Identifier: MIT */
/*
 * The compiled policy: the one file format of socktune, written by config/compile.c and read by the
 * preloaded object and by every tool.
 *
 * A policy is a flat blob in the byte order of the machine: a header, then sections of fixed-width
 * records, each located by {offset, count} in the header. Records refer to each other by index, and
 * to text and values by an offset into the data section; there are no pointers. policy_open()
 * checks everything once (bounds, indices, terminated strings, enumerations, checksum). After that,
 * readers may follow any reference without a further check.
 *
 * There are two kinds of criteria. Those on the program (name, command line, user) are "matchers",
 * evaluated once per process. Those on the socket (role, family, protocol, addresses, ports) are
 * masks and ranges in the rule itself, evaluated for each socket.
 *
 * A file may contain several such blobs, so that a program reads only the rules that could be for
 * it:
 *
 *   front    the sources, and the rules that could be for a program of any name
 *   index    for each program name in the rules, where its part is (policy_index.h)
 *   parts    one per name: the rules of the front and those for the name, in their order
 *   whole    all rules
 *
 * policy_open() checks such a file completely and returns the whole. The preloaded object reads the
 * front and at most one part.
 */
#ifndef SOCKTUNE_POLICY_H
#define SOCKTUNE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_MAGIC       "SOCKTUNE"
#define POLICY_VERSION     10u
#define POLICY_SUFFIX      ".policy"
#define POLICY_SIZE_MAX    (64u << 20) /* bytes; a larger file is refused unread */
#define POLICY_OPTIONS_MAX 256u /* distinct options in one policy: bounds the stack of a hook */
#define POLICY_VALUE_MAX   256u /* bytes of one option's value */

/* The phases at which a hook can act on a socket, in the order of a socket's life. */
enum phase {
    PHASE_SOCKET,          /* after socket() returned a descriptor */
    PHASE_BIND,            /* before bind() */
    PHASE_CONNECT,         /* before connect() */
    PHASE_CONNECTED,       /* after connect() succeeded or is in progress */
    PHASE_LISTEN,          /* before listen() */
    PHASE_LISTENING,       /* after listen() succeeded */
    PHASE_ACCEPT,          /* after accept() or accept4() returned a descriptor */
    PHASE_ACCEPT_WILDCARD, /* like PHASE_ACCEPT, but only if the listener is bound to the wildcard
                              address; otherwise PHASE_LISTEN has done it */
    PHASE_COUNT
};
#define PHASE_BIT(phase) (1u << (phase))
#define PHASE_ALL        (PHASE_BIT(PHASE_COUNT) - 1u)

/* Sets of possibilities: what a rule accepts, or what a socket may still turn out to be. */
enum role_bit { ROLE_CONNECT = 1, ROLE_LISTEN = 2, ROLE_ACCEPT = 4, ROLE_DATAGRAM = 8 };
#define ROLE_STREAM (ROLE_CONNECT | ROLE_LISTEN | ROLE_ACCEPT)
#define ROLE_ALL    (ROLE_STREAM | ROLE_DATAGRAM)

enum family_bit { FAMILY_INET = 1, FAMILY_INET6 = 2, FAMILY_UNIX = 4 };
#define FAMILY_IP  (FAMILY_INET | FAMILY_INET6)
#define FAMILY_ALL (FAMILY_IP | FAMILY_UNIX)

enum protocol_bit {
    PROTOCOL_TCP = 1,
    PROTOCOL_MPTCP = 2,
    PROTOCOL_SCTP = 4,
    PROTOCOL_DCCP = 8,
    PROTOCOL_UDP = 16,
    PROTOCOL_UDPLITE = 32,
    PROTOCOL_ICMP = 64,         /* unprivileged ping sockets, IPPROTO_ICMP and IPPROTO_ICMPV6 */
    PROTOCOL_RAW = 128,         /* SOCK_RAW of any protocol */
    PROTOCOL_UNIX_STREAM = 256, /* AF_UNIX, SOCK_STREAM and SOCK_SEQPACKET */
    PROTOCOL_UNIX_DGRAM = 512
};
#define PROTOCOL_CONNECTED                                                                         \
    (PROTOCOL_TCP | PROTOCOL_MPTCP | PROTOCOL_SCTP | PROTOCOL_DCCP | PROTOCOL_UNIX_STREAM)
#define PROTOCOL_DATAGRAM                                                                          \
    (PROTOCOL_UDP | PROTOCOL_UDPLITE | PROTOCOL_ICMP | PROTOCOL_RAW | PROTOCOL_UNIX_DGRAM)
#define PROTOCOL_ALL (PROTOCOL_CONNECTED | PROTOCOL_DATAGRAM)

/* The kind of statement from which an action comes; see socktune.conf(5). */
enum action_mode {
    MODE_SET,
    MODE_DEFAULT,
    MODE_FORCE,
    MODE_IGNORE,
    MODE_AT_LEAST, /* a bound: set only if the socket's value is below it */
    MODE_AT_MOST,  /* a bound: set only if the socket's value is above it */
    MODE_COUNT
};

/* What the engine does with an action's bytes. */
enum action_op {
    OP_SET,       /* setsockopt(level, optname, value, length) */
    OP_MERGE,     /* one int: keep the bits of the current value outside `mask`, then set */
    OP_TRANSPORT, /* value is an int32 protocol: socket() uses it, and falls back */
    OP_SOURCE,    /* value is 16 address bytes (IPv4 as v4-mapped): bind() before connect() */
    OP_BACKLOG,   /* value is an int: the backlog of listen() */
    OP_COUNT
};

/* Pseudo level of options that setsockopt() does not have: OP_TRANSPORT, OP_SOURCE, OP_BACKLOG. */
#define LEVEL_SOCKTUNE (-1)
enum { SOCKTUNE_TRANSPORT = 1, SOCKTUNE_SOURCE = 2, SOCKTUNE_BACKLOG = 4 };

struct policy_section {
    uint32_t offset; /* bytes from the start of the blob, a multiple of 8 */
    uint32_t count;  /* records; bytes for the data section */
};

enum policy_section_id {
    SECTION_SOURCES,  /* struct policy_source: the files this policy was compiled from */
    SECTION_MATCHERS, /* struct policy_matcher */
    SECTION_RULES,    /* struct policy_rule, in order of evaluation */
    SECTION_OPTIONS,  /* struct policy_option, in the order in which the kernel needs them set */
    SECTION_ACTIONS,  /* struct policy_action, grouped by rule */
    SECTION_PREFIXES, /* struct policy_prefix */
    SECTION_PORTS,    /* struct policy_port */
    SECTION_SIBLINGS, /* struct policy_sibling */
    SECTION_TRIALS,   /* struct policy_trial */
    SECTION_DATA,     /* NUL-terminated strings and values; byte 0 is NUL, so offset 0 is "" */
    SECTION_COUNT
};

/* Bytes of one record of each section. */
extern const uint32_t policy_record_size[SECTION_COUNT];

enum policy_reference_kind {
    REFERS_STRING, /* uint32_t: offset of a string in the data section */
    REFERS_RANGE,  /* two uint32_t, as in struct policy_range: records of the section `target` */
    REFERS_OPTION  /* uint16_t: index of an option */
};

/* A field of a record that refers to another section. */
struct policy_reference {
    uint8_t section; /* enum policy_section_id, of the record */
    uint8_t kind;    /* enum policy_reference_kind */
    uint8_t target;  /* of REFERS_RANGE: enum policy_section_id */
    uint8_t offset;  /* of the field in the record */
};

/*
 * All fields that refer to something. A new field of this kind only needs a row in policy.c: the
 * check of a policy bounds it, and config/policy_split.c copies what it refers to.
 */
#define POLICY_REFERENCES 18
extern const struct policy_reference policy_references[POLICY_REFERENCES];

enum policy_flag {
    POLICY_LIVE = 1 /* programs take new rules while they run (published.h) */
};

struct policy_header {
    char magic[8];
    uint32_t version;
    uint32_t size;     /* bytes of the whole blob, a multiple of 8 */
    uint64_t checksum; /* policy_checksum() over everything after this field, up to `size` */
    uint32_t failure;  /* string: why the sources could not be compiled; then the rules are the last
                          good ones, or none. "": the rules are up to date with the sources */
    uint32_t rule_total; /* rules for all programs: the number in the whole */
    /* Only in a front; 0 in any other blob. Offsets are from the start of the file. */
    struct policy_section index; /* struct policy_index_block */
    uint32_t whole;              /* offset of the whole, which is the end of the file */
    uint32_t flags;              /* enum policy_flag */
    uint64_t rest_checksum;      /* policy_checksum_bytes() from the front's end to the whole */
    struct policy_section sections[SECTION_COUNT];
};

/* A range of records in another section. */
struct policy_range {
    uint32_t first;
    uint32_t count;
};

enum policy_source_kind {
    SOURCE_FILE,
    SOURCE_DIRECTORY,
    SOURCE_LINK, /* a path in `program` that is a symbolic link or does not exist yet */
    SOURCE_KINDS
};

/* A source of the policy. The policy is fresh if all stamps (size, inode and times) are equal. If
 * they differ, as in a copy, the hash of the content decides. */
struct policy_source {
    uint64_t size; /* st_size; 0 for a directory */
    uint64_t hash; /* bytes_hash() of the content; for a directory the sum of policy_name_hash();
                      for a link the hash of its target */
    uint64_t inode;
    int64_t mtime_sec;
    int64_t ctime_sec;
    uint32_t mtime_nsec;
    uint32_t ctime_nsec;
    uint32_t path; /* string, absolute */
    uint32_t kind; /* enum policy_source_kind */
};

/* The criteria on the program, one kind of matcher each. Patterns of `program` that contain a slash
 * have their own kind, so that no program start has to search for the slash. */
enum matcher_kind {
#define PROGRAM_CRITERION(name, NAME, needs, summary) MATCHER_##NAME,
#include "criteria.def"
    PROGRAM_CRITERIA,
    MATCHER_PATH = PROGRAM_CRITERIA,
    MATCHER_COUNT
};

/* What a criterion needs to know about the process besides its arguments and ids. */
enum identity_need { NEED_CGROUP = 1 };

/*
 * One condition on the program. In a rule's range, the matchers of one criterion form a group. A
 * group matches if none of its negated conditions applies and, if it has positive ones, at least
 * one of them does. The rule is for the program if all groups match.
 */
struct policy_matcher {
    uint32_t kind;    /* enum matcher_kind */
    uint32_t negate;  /* 0 or 1 */
    uint32_t pattern; /* string; "" for users and groups */
    uint32_t id;      /* of a user or group */
};

/* An address prefix. IPv4 is stored as v4-mapped, with 96 added to the length. A v6 prefix never
 * matches an IPv4 address, not even ::/0. Bits after the length are 0. */
struct policy_prefix {
    uint8_t address[16];
    uint8_t length; /* 0..128 */
    uint8_t v4;     /* 1: IPv4, length >= 96 */
    uint8_t negate;
    uint8_t reserved; /* 0 */
};

struct policy_port {
    uint16_t low; /* host byte order, low <= high */
    uint16_t high;
    uint16_t negate;
    uint16_t reserved; /* 0 */
};

enum rule_flag {
    RULE_FINAL = 1,
    RULE_REPORT = 2,
    /* Besides the record, the connection's descriptor is passed to the helper: always, or only if
     * the program could not create a sock_diag socket. At most one of these. */
    RULE_HANDOFF_SOCKET = 4,
    RULE_HANDOFF_AUTO = 8,
    /* Also for sockets that leaked from the program's parent. */
    RULE_INHERITED = 16,
    /* bind(), connect() or listen() fails if an option cannot be set. */
    RULE_REQUIRE = 32
};
#define RULE_HANDOFF (RULE_HANDOFF_SOCKET | RULE_HANDOFF_AUTO)

struct policy_rule {
    uint32_t name;                  /* string; never empty: an unnamed rule is called "#N" */
    uint32_t file;                  /* string: the file of the rule */
    uint32_t line;                  /* first line of the rule */
    uint32_t flags;                 /* enum rule_flag */
    struct policy_range matchers;   /* empty: any program */
    struct policy_range local;      /* prefixes, empty: any */
    struct policy_range remote;     /* prefixes, empty: any */
    struct policy_range local_port; /* ports, empty: any */
    struct policy_range remote_port;
    struct policy_range actions;
    uint16_t protocols;        /* enum protocol_bit, never 0 */
    uint8_t roles;             /* enum role_bit, never 0 */
    uint8_t families;          /* enum family_bit, never 0 */
    uint32_t phases;           /* union of its actions' phases */
    struct policy_range trial; /* one record: the rule is an arm of a trial; empty: it is not */
};

#define POLICY_TRIALS_MAX     64u /* in one policy */
#define POLICY_TRIAL_ARMS_MAX 8u

/*
 * An arm of a trial (trial.h). Each arm of a trial is a rule of its own. All arms have the criteria
 * of the trial's rule; these fields decide which arm a connection gets.
 */
struct policy_trial {
    uint64_t seed;
    uint64_t unit_ns; /* length of a time interval; 0: each connection gets its own arm */
    uint32_t low;     /* without intervals: the arm's share, in 65536ths, from `low` ... */
    uint32_t high;    /* ... up to, but not with, `high` */
    uint32_t text;    /* string: the whole definition, for the helper (config/trial_text.h) */
    uint16_t number;  /* of the trial in this policy, below POLICY_TRIALS_MAX */
    uint8_t arm;      /* below `arms`; 0 is the control arm */
    uint8_t arms;     /* 2 to POLICY_TRIAL_ARMS_MAX */
};

enum option_flag {
    OPTION_INHERITED = 1, /* an accepted socket inherits its listener's value */
    OPTION_EARLY = 2, /* must be set before bind(), connect() or listen(); never on a connection */
    OPTION_NOT_READ_BACK =
        4 /* getsockopt() does not return what was set: it is not undone (undo.h) */
};

/* A distinct (level, optname). Its index is its rank in the order of setting. */
struct policy_option {
    int32_t level;
    int32_t optname;
    uint32_t name;  /* string: the kernel's name, or "level:number" for a raw one */
    uint16_t flags; /* enum option_flag */
    uint16_t least; /* the fewest bytes that the kernel accepts as its value */
};

/* The effect of setting one option on another. */
enum sibling_effect {
    SIBLING_SAME,    /* another name of the same option */
    SIBLING_DISTURBS /* changes the other option as a side effect */
};

/* Setting `level`, `optname` also changes `option`. */
struct policy_sibling {
    int32_t level;
    int32_t optname;
    uint16_t option; /* index into SECTION_OPTIONS */
    uint16_t effect; /* enum sibling_effect */
};

struct policy_action {
    uint16_t option;     /* index into SECTION_OPTIONS */
    uint8_t mode;        /* enum action_mode */
    uint8_t op;          /* enum action_op */
    uint16_t phases;     /* PHASE_BIT()s at which it is to be carried out; 0 for MODE_IGNORE */
    uint16_t protocols;  /* protocols for which the option exists */
    uint8_t families;    /* families for which the option exists */
    uint8_t reserved[3]; /* 0 */
    uint32_t mask;       /* OP_MERGE: the bits that the value replaces */
    uint32_t value;      /* offset in the data section; empty for MODE_IGNORE */
    uint32_t length;     /* bytes, at most POLICY_VALUE_MAX */
    uint32_t text;       /* string: the value as written in the rule file */
    uint32_t line;       /* line of the statement, in the rule's file or an included one */
    uint32_t file;       /* string */
};

/* True for at_least and at_most. */
static inline bool policy_is_bound(const struct policy_action *action)
{
    return action->mode == MODE_AT_LEAST || action->mode == MODE_AT_MOST;
}

/* True if it is an argument of a call rather than an option of a socket. */
static inline bool policy_is_argument(const struct policy_action *action)
{
    return action->op == OP_TRANSPORT || action->op == OP_BACKLOG;
}

/* True if the statement affects the program's own setsockopt() of the option. */
static inline bool policy_is_guard(const struct policy_action *action)
{
    return action->mode == MODE_FORCE || action->mode == MODE_IGNORE ||
           (policy_is_bound(action) && !policy_is_argument(action));
}

/* A checked policy: the blob and its sections. It does not own the blob, which must stay unchanged
 * as long as this is used. */
struct policy {
    const uint8_t *blob;
    const struct policy_source *sources;
    const struct policy_matcher *matchers;
    const struct policy_rule *rules;
    const struct policy_option *options;
    const struct policy_action *actions;
    const struct policy_prefix *prefixes;
    const struct policy_port *ports;
    const struct policy_sibling *siblings;
    const struct policy_trial *trials;
    const char *data;
    const char *failure; /* as in the header; "" for none */
    uint64_t checksum;   /* from the header: identifies the rules of a policy */
    uint32_t flags;      /* enum policy_flag */
    uint32_t size;
    uint32_t source_count;
    uint32_t matcher_count;
    uint32_t rule_count;
    uint32_t rule_total; /* including the rules that were not read from the file */
    uint32_t option_count;
    uint32_t action_count;
    uint32_t sibling_count;
};

/*
 * Check a whole policy file and fill `policy` with all of its rules. `file` must be aligned to 8
 * bytes and must not change afterwards (so never a shared mapping of a file). Returns NULL, or a
 * static English phrase that says what is wrong ("not a socktune policy", "made by another version
 * of socktune", ...), and then leaves `policy` unchanged. Pure, async-signal-safe.
 */
const char *policy_open(struct policy *policy, const void *file, size_t size);

/* The same for a single blob of a policy file, of `size` bytes. */
const char *policy_open_blob(struct policy *policy, const void *blob, size_t size);

/* Check the beginning of a policy file of `file_size` bytes. `size` bytes of it are in memory, at
 * least a header. Returns like policy_open(). */
const char *policy_check_header(const void *begin, size_t size, uint64_t file_size);

/* True if a file of that name in a rule directory is a rule file: *.conf, not hidden. Pure. */
bool policy_is_rule_file(const char *name);

/* Returns what a file of that name contributes to the hash of a directory: 0 if it is no rule file.
 * The sum does not depend on the order of the names. Pure. */
uint64_t policy_name_hash(const char *name);

/* The header's `checksum`: over blob[offsetof(failure) .. size). `size` is a multiple of 8. Detects
 * damage, not manipulation. */
uint64_t policy_checksum(const void *blob, size_t size);

/* True if setting `level`, `optname` has this effect on policy->options[option]. Pure. */
bool policy_option_is_set_by(const struct policy *policy, uint32_t option, int level, int optname,
                             enum sibling_effect effect);

/* The same function over any bytes, aligned to 8; `size` is a multiple of 8. */
uint64_t policy_checksum_bytes(const void *bytes, size_t size);

/* What must be known about the process to match the policy's rules: enum identity_need. Pure. */
unsigned policy_needs(const struct policy *policy);

/* Returns the rule that contains the action of that index. Pure. */
const struct policy_rule *policy_rule_of_action(const struct policy *policy, uint32_t index);

static inline const char *policy_string(const struct policy *policy, uint32_t offset)
{
    return policy->data + offset;
}

#endif
