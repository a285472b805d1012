/* SPDX-License-Identifier: MIT */
/*
 * Rules as read: the syntax tree between parser, checker and compiler. Every node knows where it
 * stands. All memory belongs to the ruleset and goes with ruleset_free().
 */
#ifndef SOCKTUNE_RULES_H
#define SOCKTUNE_RULES_H

#include "diagnostic.h"
#include "option.h"
#include "policy.h"
#include "value.h"

/* A glob, a user or a group, maybe excluded by a leading `!`. */
struct pattern {
    const char *text; /* without the `!` */
    bool negate;
    uint32_t id; /* users and groups: resolved */
    struct location at;
};

struct pattern_list {
    struct pattern *items;
    size_t count;
};

struct prefix_list {
    struct policy_prefix *items;
    size_t count;
    struct location at;
};

struct port_list {
    struct policy_port *items;
    size_t count;
    struct location at;
};

/* One statement about one option. A `dscp` or `raw` is one statement; it becomes one or two
 * actions when compiled. */
struct setting {
    enum action_mode mode;
    const struct option *option; /* NULL for raw */
    int raw_level;               /* raw only */
    int raw_optname;
    struct value value; /* empty for MODE_IGNORE */
    const char *text;   /* the value as written */
    struct location at;
};

struct rule {
    const char *name; /* never NULL */
    struct location at;
    struct pattern_list programs[PROGRAM_CRITERIA]; /* by enum matcher_kind */
    struct prefix_list local;
    struct prefix_list remote;
    struct port_list local_port;
    struct port_list remote_port;
    uint16_t protocols; /* enum protocol_bit; PROTOCOL_ALL where the rule says nothing */
    uint8_t roles;      /* enum role_bit; ROLE_ALL where the rule says nothing */
    uint8_t families;   /* enum family_bit; FAMILY_IP where the rule says nothing: AF_UNIX sockets
                           are left alone unless a rule names them */
    bool final;
    bool report;
    bool require;      /* the program's call fails where an option cannot be given */
    bool inherited;    /* also for sockets that the program has from its parent, unasked */
    uint8_t handoff;   /* enum rule_flag: RULE_HANDOFF_SOCKET, RULE_HANDOFF_AUTO, or 0 */
    bool handoff_said; /* the rule has a handoff */
    struct accepted_risk {
        const char *name; /* of an option, or "handoff" */
        struct location at;
    } * accepted; /* dangers that are meant: the checker does not warn of them */
    size_t accepted_count;
    struct setting *settings; /* in the order written */
    size_t setting_count;
    const struct trial *trial; /* the rule is an arm of it (trial.h); NULL: it is none */
    unsigned trial_arm;
};

struct source_file {
    const char *path;           /* absolute */
    struct policy_source stamp; /* taken from the opened file, so that a change during the reading
                                   makes the policy stale; `path` is the compiler's */
};

/* Two strings side by side, which libconfig makes one of. */
struct joined_strings {
    const char *first; /* as written, with quotes */
    const char *second;
    struct location at; /* of the second */
};

/* What a setting sets: its own option, or those that a collective name such as dscp stands for. */
enum { SETTING_TARGETS_MAX = 2 };
struct setting_target {
    const struct option *option; /* NULL for a raw one without a row */
    int level;
    int optname;
};

struct ruleset {
    const char *name;   /* the path or name that was read */
    struct rule *rules; /* in order of evaluation */
    size_t rule_count;
    struct source_file *sources; /* every file and directory read, includes too */
    size_t source_count;
    struct joined_strings *joined; /* in arrays, lists and on one line */
    size_t joined_count;
    bool live;           /* programs take new rules while they run */
    struct arena *arena; /* holds all of the above and the ruleset itself */
};

/*
 * Read the rule file, or the *.conf files of the directory in name order, at `path`. Every finding
 * goes to `diagnostics`; parsing goes on after an error as far as it can, so that a person sees
 * all of them. Returns a ruleset in any case but when memory ends (NULL, errno); it may only be
 * compiled when there was no error.
 */
struct ruleset *ruleset_read(const char *path, struct diagnostics *diagnostics);

/* The same from text, under a name for messages: for tests and fuzzers. */
struct ruleset *ruleset_read_text(const char *text, const char *name,
                                  struct diagnostics *diagnostics);

void ruleset_free(struct ruleset *ruleset);

/* Fill `targets` and return how many there are. */
size_t setting_targets(const struct setting *setting, struct setting_target *targets);

/* The roles the sockets of this rule can have: those it names and its protocols allow. 0: the rule
 * matches no socket. */
unsigned rule_roles(const struct rule *rule);

/* Who will run under the rules and where, for warnings that depend on it. */
struct check_context {
    bool privileged;         /* has CAP_NET_ADMIN */
    const char *sysctl_root; /* NULL: /proc/sys */
    const char *kernel;      /* release, as in "6.1.0-18-amd64"; NULL: the running one */
    bool other_host;         /* the files and addresses of this host say nothing */
};

/* Warn about what is valid but will not do what its writer thinks. */
void ruleset_check(const struct ruleset *ruleset, const struct check_context *context,
                   struct diagnostics *diagnostics);

#endif
