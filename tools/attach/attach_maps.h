/* SPDX-License-Identifier: MIT */
/*
 * The content of the BPF maps, which the command writes and the BPF programs read: a policy in flat
 * tables.
 *
 * Shared by flatten.c and attach.bpf.c, so it includes only policy.h. All tables are arrays. Rules,
 * prefixes and ports have the same order and meaning as in the policy; actions that this kernel
 * refuses are left out.
 */
#ifndef SOCKTUNE_ATTACH_MAPS_H
#define SOCKTUNE_ATTACH_MAPS_H

#include "policy.h"

enum attach_limit {
    ATTACH_RULES_MAX = 1024,
    ATTACH_OPTIONS_MAX = 64, /* distinct options: bits of attach_socket.own */
    ATTACH_ACTIONS_MAX = 65535,
    ATTACH_NAME_SIZE = 64,    /* of a program's name; longer ones are truncated */
    ATTACH_PATTERN_SIZE = 64, /* of a glob */
    ATTACH_VALUE_SIZE = 16    /* of an option's value: TCP_CONGESTION, SO_BINDTODEVICE */
};

/* A rule's criteria on the program: the kinds of enum matcher_kind that BPF supports. */
enum attach_matcher_kind { ATTACH_NAME, ATTACH_USER, ATTACH_GROUP };

struct attach_matcher {
    uint16_t kind;
    uint16_t negate;
    uint32_t id;                       /* ATTACH_USER, ATTACH_GROUP */
    char pattern[ATTACH_PATTERN_SIZE]; /* ATTACH_NAME: glob, terminated */
};

struct attach_prefix {
    uint64_t high, low;           /* the address in the machine's byte order */
    uint64_t mask_high, mask_low; /* which bits of the address are compared */
    uint8_t v4;
    uint8_t negate;
    uint8_t all; /* contains every address of its family */
    uint8_t reserved[5];
};

struct attach_rule {
    struct policy_range matchers;
    struct policy_range local; /* attach_prefix */
    struct policy_range remote;
    struct policy_range local_port; /* policy_port */
    struct policy_range remote_port;
    struct policy_range actions;
    uint16_t protocols;
    uint8_t roles;
    uint8_t families;
    uint16_t final;
    uint16_t report;
};

struct attach_action {
    uint8_t option; /* index into the options */
    uint8_t mode;   /* enum action_mode */
    uint8_t op;     /* OP_SET, OP_MERGE or OP_SOURCE */
    uint8_t families;
    uint16_t phases; /* PHASE_BIT()s */
    uint16_t protocols;
    uint32_t mask; /* OP_MERGE */
    uint32_t length;
    uint8_t value[ATTACH_VALUE_SIZE];
};

struct attach_option {
    int32_t level;
    int32_t optname;
    uint16_t flags; /* enum option_flag */
    uint16_t least; /* fewest bytes of its value */
    uint32_t reserved;
};

/* An option that the program may set, and the option of the policy that it affects. */
struct attach_guard {
    int32_t level;
    int32_t optname;
    uint16_t option;
    uint16_t effect; /* enum sibling_effect */
};

/* The values of a new socket: one row for each attach_kind and option. */
enum attach_kind { KIND_STREAM4, KIND_STREAM6, KIND_DATAGRAM4, KIND_DATAGRAM6, ATTACH_KINDS };

struct attach_default {
    uint32_t length; /* 0: unknown */
    uint8_t value[ATTACH_VALUE_SIZE];
};

/* How often an action was carried out; indexed like the actions. */
struct attach_count {
    uint64_t given;
    uint64_t failed;
    int64_t error; /* the last errno, negative */
};

/* Constants of one attachment's programs, in a map of its own. */
struct attach_constants {
    uint32_t rule_count;
    uint32_t option_count;
    uint32_t guard_count;
    uint32_t tracked; /* options that the programs set themselves are noted */
    /* 0, but the verifier does not know that. A text position computed with it may have any value
     * for the verifier, so it checks the body of a loop once. Otherwise it would check the body for
     * each position, and give up. */
    uint32_t zero;
    uint32_t priority; /* index of the option SO_PRIORITY; ATTACH_OPTIONS_MAX: no rule has it */
    uint32_t source;   /* index of the option `source`; ATTACH_OPTIONS_MAX: no rule has it */
    uint32_t trial_count;
    uint32_t generation; /* unique for each set of rules */
    uint32_t reports;    /* a rule reports */
    uint32_t jiffy_us;   /* microseconds in a tick of the kernel's clock */
    uint32_t reserved;
};

/* The process that created a socket. */
struct attach_identity {
    char name[ATTACH_NAME_SIZE];  /* basename of the executable, padded with NULs */
    char name0[ATTACH_NAME_SIZE]; /* basename of argv[0], likewise */
    uint32_t uid, gid;            /* effective */
};

enum attach_socket_flag {
    SOCKET_ACCEPTED = 1,
    SOCKET_BEFORE = 2,   /* older than the attachment: options that its program set are unknown */
    SOCKET_SPECIFIC = 4, /* its listener is bound to one address */
    SOCKET_OF_MPTCP = 8  /* its listener is an MPTCP one, which has no options of rules */
};

/* The data stored for each socket. An accepted socket gets a copy of its listener's. */
struct attach_socket {
    struct attach_identity identity;
    uint64_t own;     /* options that the program has set itself */
    uint64_t given;   /* options that the rules set */
    uint64_t refused; /* options that the kernel refused */
    uint32_t flags;
    uint32_t treated;    /* generation of the rules that the iterator has applied */
    uint32_t pid;        /* of the process that created it */
    uint32_t generation; /* of the rules whose numbers are stored here */
    uint16_t rule;       /* the rule that reports it, and the role in which it is reported */
    uint16_t role;
    uint64_t
        reported; /* its cookie if it is reported; a copy of a listener's data has another cookie */
    uint64_t concern; /* options that the rules set for it in that role */
    uint64_t opened_ns;
    uint8_t errors[ATTACH_OPTIONS_MAX]; /* errno of each refused option */
};

/* The rules for one program, found when the program is first met. */
struct attach_active {
    uint32_t ready;
    uint32_t count;
    uint16_t rules[ATTACH_RULES_MAX];
};

/* The command's own sockets on which settings are tried. */
enum attach_tried { TRIED_LISTENER4, TRIED_LISTENER6, TRIED_CONNECTION4, TRIED_CONNECTION6, TRIED };

/* A setting to try, and the results. */
struct attach_trial {
    int32_t level;
    int32_t optname;
    uint32_t length;
    uint8_t value[ATTACH_VALUE_SIZE];
    int32_t result[TRIED]; /* 0, or a negative errno; the command stores the best of each family in
                              the first two */
};
enum { ATTACH_TRIALS_MAX = 4096 };

/* What `attach --status` shows about an attachment. */
struct attach_about {
    char rules[512];  /* path */
    char cgroup[512]; /* path below the mount point; "/" is the whole machine */
    int64_t since;    /* seconds since the epoch */
    uint32_t rule_count;
    uint32_t action_count;
};

#endif
