/* SPDX-License-Identifier: MIT */
/*
 * The BPF programs of `socktune attach`: they match and apply a policy that is stored in maps.
 *
 * Theory of operation: matching and applying follow preload/engine/match.c and apply.c, within the
 * limits of BPF: no recursion, bounded loops (bpf_loop), 512 bytes of stack. The kernel calls a
 * program when a socket of the cgroup connects, binds, listens or has been accepted. The BPF
 * program identifies the process, takes the rules for it, decides, and sets the options. The rules
 * for a program are found once and stored (`programs`).
 *
 * A socket belongs to the cgroup in which it was created, for its whole life. The calls that create
 * or connect it run in the process. An accepted socket is created when a packet arrives, outside
 * any process, so it gets a copy of its listener's data.
 */
#include "attach_maps.h"
#include "attach_report.h"
#include "figures.bpf.h"
#include "kernel_types.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Constants of the kernel's ABI; the headers that define them need a libc. */
enum { AF_INET_ = 2, AF_INET6_ = 10, STREAM = 1, DATAGRAM = 2, LISTENING = 10, CLOSED = 7 };
enum { TCP = 6, UDP = 17, UDPLITE = 136 };
enum { LEVEL_SOCKET = 1, LEVEL_IP = 0 };
enum {
    OPT_SNDBUF = 7,
    OPT_RCVBUF = 8,
    OPT_PRIORITY = 12,
    OPT_SNDBUFFORCE = 32,
    OPT_RCVBUFFORCE = 33
};
enum { OPT_TOS = 1 };
enum { LOCK_SNDBUF = 1, LOCK_RCVBUF = 2 };
enum { SWALLOW = -1 }; /* optlen: the kernel must not carry out the program's call */

#define EVENT_CONNECT (PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_CONNECT))
#define EVENT_BIND    (PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_BIND))
#define EVENT_LISTEN                                                                               \
    (PHASE_BIT(PHASE_SOCKET) | PHASE_BIT(PHASE_LISTEN) | PHASE_BIT(PHASE_LISTENING))
#define EVENT_ACCEPT PHASE_BIT(PHASE_ACCEPT)

/* Maps; the command sets their sizes */

#define TABLE(name, type_)                                                                         \
    struct {                                                                                       \
        __uint(type, BPF_MAP_TYPE_ARRAY);                                                          \
        __uint(max_entries, 1);                                                                    \
        __type(key, uint32_t);                                                                     \
        __type(value, type_);                                                                      \
    } name SEC(".maps")

TABLE(rules, struct attach_rule);
TABLE(actions, struct attach_action);
TABLE(options, struct attach_option);
TABLE(matchers, struct attach_matcher);
TABLE(prefixes, struct attach_prefix);
TABLE(ports, struct policy_port);
TABLE(guards, struct attach_guard);
TABLE(defaults, struct attach_default);
TABLE(trials, struct attach_trial);
TABLE(about, struct attach_about);

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, struct attach_count);
} counts SEC(".maps");

/* Entries are never removed, so an entry can be filled in place. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 1024);
    __type(key, struct attach_identity);
    __type(value, struct attach_active);
} programs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct attach_socket);
} sockets SEC(".maps");

/* Marks the command's own sockets, on which settings are tried. */
struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, uint32_t);
} tried_sockets SEC(".maps");

/* The processes that exist when the rules are attached, by process ID. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 65536);
    __type(key, uint32_t);
    __type(value, struct attach_identity);
} processes SEC(".maps");

/* Begins and ends of connections, for the helper (attach_report.h). */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
} reports SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, uint32_t);
    __type(value, struct attach_channel);
} channel SEC(".maps");

/* In writable memory, so that the verifier assumes nothing about the values. */
volatile struct attach_constants constants SEC(".data.constants") = {0};
static const struct attach_active no_rules = {0};

/*
 * The verifier checks a non-static function once, separately, and not again for each caller. So
 * pure functions are not static; then the verifier requires that their pointers are compared with
 * NULL.
 */

static __always_inline void *table_row(void *table, uint32_t index)
{
    return bpf_map_lookup_elem(table, &index);
}

/* A program's name against a glob (engine/glob.c) */

struct glob_walk {
    const struct attach_matcher *matcher;
    const char *text;
    uint32_t at_pattern, at_text;
    uint32_t star_pattern, star_text; /* where to go back to; 0: no star so far */
    bool matched;
};

struct set_walk {
    const struct attach_matcher *matcher;
    uint32_t first, at;
    char character;
    bool negate, in, closed;
};

static long set_step(uint32_t index, struct set_walk *walk)
{
    uint32_t at = walk->at % ATTACH_PATTERN_SIZE;
    unsigned char low = (unsigned char)walk->matcher->pattern[at];
    if (low == 0)
        return 1;
    if (low == ']' && at != walk->first) {
        walk->closed = true;
        return 1;
    }
    unsigned char high = low;
    unsigned char dash = (unsigned char)walk->matcher->pattern[(at + 1) % ATTACH_PATTERN_SIZE];
    unsigned char end = (unsigned char)walk->matcher->pattern[(at + 2) % ATTACH_PATTERN_SIZE];
    if (dash == '-' && end != ']' && end != 0) {
        high = end;
        at += 2;
    }
    unsigned char character = (unsigned char)walk->character;
    if (low <= character && character <= high)
        walk->in = true;
    walk->at = at + 1 + constants.zero;
    return 0;
}

/* Matches a bracket expression after the "[" at `at`. Returns the position after it; 0 if it is not
 * closed and so means a literal "[". */
static uint32_t set_match(const struct attach_matcher *matcher, uint32_t at, char character,
                          bool *matched)
{
    char sign = matcher->pattern[at % ATTACH_PATTERN_SIZE];
    struct set_walk walk = {.matcher = matcher, .character = character};
    walk.negate = sign == '!' || sign == '^';
    walk.first = walk.at = at + walk.negate + constants.zero;
    bpf_loop(ATTACH_PATTERN_SIZE, set_step, &walk, 0);
    *matched = walk.in != walk.negate;
    return walk.closed ? walk.at + 1 : 0;
}

/* Matches the pattern's next element, which is not `*`. Returns the position after it; 0 if it does
 * not match. */
static uint32_t glob_one(const struct attach_matcher *matcher, uint32_t at, char character)
{
    char element = matcher->pattern[at % ATTACH_PATTERN_SIZE];
    if (character == 0 || element == 0)
        return 0;
    if (element == '?')
        return at + 1;
    if (element == '[') {
        bool matched = false;
        uint32_t rest = set_match(matcher, at + 1, character, &matched);
        if (rest != 0)
            return matched ? rest : 0;
    }
    if (element == '\\' && matcher->pattern[(at + 1) % ATTACH_PATTERN_SIZE] != 0)
        element = matcher->pattern[++at % ATTACH_PATTERN_SIZE];
    return element == character ? at + 1 : 0;
}

static long glob_step(uint32_t index, struct glob_walk *walk)
{
    char element = walk->matcher->pattern[walk->at_pattern % ATTACH_PATTERN_SIZE];
    char character = walk->text[walk->at_text % ATTACH_NAME_SIZE];
    if (element == '*') {
        walk->star_pattern = walk->at_pattern = walk->at_pattern + 1 + constants.zero;
        walk->star_text = walk->at_text;
        return 0;
    }
    if (element == 0 && character == 0) {
        walk->matched = true;
        return 1;
    }
    uint32_t rest = glob_one(walk->matcher, walk->at_pattern, character);
    if (rest != 0) {
        walk->at_pattern = rest + constants.zero;
        walk->at_text += 1 + constants.zero;
        return 0;
    }
    if (walk->star_pattern == 0 || walk->text[walk->star_text % ATTACH_NAME_SIZE] == 0)
        return 1;
    walk->at_text = walk->star_text = walk->star_text + 1 + constants.zero;
    walk->at_pattern = walk->star_pattern;
    return 0;
}

__noinline int glob_fits(const struct attach_matcher *matcher,
                         const struct attach_identity *identity, int argument)
{
    if (matcher == NULL || identity == NULL)
        return 0;
    struct glob_walk walk = {.matcher = matcher,
                             .at_pattern = constants.zero,
                             .at_text = constants.zero,
                             .text = argument != 0 ? identity->name0 : identity->name};
    bpf_loop(2 * ATTACH_NAME_SIZE * ATTACH_PATTERN_SIZE, glob_step, &walk, 0);
    return walk.matched;
}

/* Which rules are for a program */

struct matcher_walk {
    const struct attach_identity *identity;
    uint32_t first;
    uint32_t wanted, found; /* groups: bits by kind */
    bool refused;
};

static bool matcher_fits(const struct attach_matcher *matcher,
                         const struct attach_identity *identity)
{
    if (matcher->kind == ATTACH_USER)
        return matcher->id == identity->uid;
    if (matcher->kind == ATTACH_GROUP)
        return matcher->id == identity->gid;
    return glob_fits(matcher, identity, 0) != 0 || glob_fits(matcher, identity, 1) != 0;
}

static long matcher_step(uint32_t index, struct matcher_walk *walk)
{
    const struct attach_matcher *matcher = table_row(&matchers, walk->first + index);
    if (matcher == NULL)
        return 1;
    uint32_t group = 1u << (matcher->kind & 7);
    if (matcher->negate == 0)
        walk->wanted |= group;
    if (matcher->negate == 0 && (walk->found & group) != 0)
        return 0;
    if (!matcher_fits(matcher, walk->identity))
        return 0;
    walk->refused = matcher->negate != 0;
    walk->found |= group;
    return walk->refused;
}

__noinline int program_fits(const struct attach_rule *rule, const struct attach_identity *identity)
{
    if (rule == NULL || identity == NULL)
        return 0;
    struct matcher_walk walk = {.identity = identity, .first = rule->matchers.first};
    if (rule->matchers.count == 0)
        return 1;
    bpf_loop(rule->matchers.count, matcher_step, &walk, 0);
    return !walk.refused && walk.wanted == walk.found;
}

struct active_walk {
    const struct attach_identity *identity;
    struct attach_active *active;
    uint32_t count;
};

static long active_step(uint32_t index, struct active_walk *walk)
{
    const struct attach_rule *rule = table_row(&rules, index);
    if (rule == NULL || walk->count >= ATTACH_RULES_MAX)
        return 1;
    if (program_fits(rule, walk->identity) != 0) {
        walk->active->rules[walk->count] = (uint16_t)index;
        walk->count += 1 + constants.zero;
    }
    return 0;
}

/* Returns the rules for a program. Two processors may fill an entry at the same time; both write
 * the same. NULL if there are too many programs; then each rule has to be checked. */
static struct attach_active *active_of(const struct attach_identity *identity)
{
    struct attach_active *active = bpf_map_lookup_elem(&programs, identity);
    if (active == NULL) {
        bpf_map_update_elem(&programs, identity, &no_rules, BPF_NOEXIST);
        active = bpf_map_lookup_elem(&programs, identity);
    }
    if (active == NULL || active->ready != 0)
        return active;
    struct active_walk walk = {.identity = identity, .active = active};
    bpf_loop(constants.rule_count, active_step, &walk, 0);
    active->count = walk.count;
    __sync_lock_test_and_set(&active->ready, 1); /* last, when the entry is complete */
    return active;
}

/* Matching a rule with a socket (engine/match.c) */

struct attach_end {
    uint64_t high, low; /* the address, IPv4 as v4-mapped, in the machine's byte order */
    uint16_t port;
    bool known;
};

struct attach_view {
    struct attach_end local, remote;
    uint16_t protocols; /* one bit */
    uint8_t families;   /* one bit */
    uint8_t roles;
    bool role_known;
};

enum match { NO, YES, MAYBE };

static bool is_v4(const struct attach_end *end)
{
    return end->high == 0 && end->low >> 32 == 0xffff;
}

static bool is_unspecified(const struct attach_end *end)
{
    return end->high == 0 && (end->low == 0 || end->low == 0xffffull << 32);
}

struct prefix_walk {
    const struct attach_end *end;
    uint32_t first;
    bool v4, unspecified, positive, found, refused;
};

static long prefix_step(uint32_t index, struct prefix_walk *walk)
{
    const struct attach_prefix *prefix = table_row(&prefixes, walk->first + index);
    if (prefix == NULL)
        return 1;
    bool in = walk->v4 == (prefix->v4 != 0) &&
              ((walk->end->high ^ prefix->high) & prefix->mask_high) == 0 &&
              ((walk->end->low ^ prefix->low) & prefix->mask_low) == 0 &&
              (!walk->unspecified || prefix->all != 0);
    if (prefix->negate == 0) {
        walk->positive = true;
        walk->found |= in;
    } else if (in || walk->unspecified) {
        walk->refused = true;
        return 1;
    }
    return 0;
}

static bool address_fits(const struct policy_range *range, const struct attach_end *end)
{
    struct prefix_walk walk = {
        .end = end, .first = range->first, .v4 = is_v4(end), .unspecified = is_unspecified(end)};
    if (range->count == 0)
        return true;
    bpf_loop(range->count, prefix_step, &walk, 0);
    return !walk.refused && (walk.found || !walk.positive);
}

struct port_walk {
    uint32_t first;
    uint16_t port;
    bool positive, found, refused;
};

static long port_step(uint32_t index, struct port_walk *walk)
{
    const struct policy_port *range = table_row(&ports, walk->first + index);
    if (range == NULL)
        return 1;
    bool in = range->low <= walk->port && walk->port <= range->high;
    if (range->negate == 0) {
        walk->positive = true;
        walk->found |= in;
    } else if (in) {
        walk->refused = true;
        return 1;
    }
    return 0;
}

static bool port_fits(const struct policy_range *range, uint16_t port)
{
    struct port_walk walk = {.first = range->first, .port = port};
    if (range->count == 0)
        return true;
    bpf_loop(range->count, port_step, &walk, 0);
    return !walk.refused && (walk.found || !walk.positive);
}

static enum match end_matches(const struct attach_end *end, const struct policy_range *addresses,
                              const struct policy_range *port_ranges)
{
    if (addresses->count == 0 && port_ranges->count == 0)
        return YES;
    if (!end->known)
        return MAYBE;
    return address_fits(addresses, end) && port_fits(port_ranges, end->port) ? YES : NO;
}

static enum match role_matches(const struct attach_view *view, uint8_t accepted)
{
    if ((view->roles & accepted) == 0)
        return NO;
    return view->role_known || (view->roles & ~accepted) == 0 ? YES : MAYBE;
}

/* Returns MAYBE if the result depends on an unknown fact. */
__noinline int rule_matches(const struct attach_rule *rule, const struct attach_view *view)
{
    if (rule == NULL || view == NULL)
        return NO;
    if ((view->families & rule->families) == 0 || (view->protocols & rule->protocols) == 0)
        return NO;
    enum match role = role_matches(view, rule->roles);
    if (role == NO)
        return NO;
    enum match remote = end_matches(&view->remote, &rule->remote, &rule->remote_port);
    if (remote == NO)
        return NO;
    enum match local = end_matches(&view->local, &rule->local, &rule->local_port);
    if (local == NO)
        return NO;
    return role == MAYBE || remote == MAYBE || local == MAYBE ? MAYBE : YES;
}

/* Choosing and setting options */

/* One socket in one event. */
struct work {
    void *target;                 /* argument of bpf_setsockopt() */
    struct attach_socket *socket; /* NULL: nothing is stored for it */
    const struct attach_active *active;
    struct attach_view view;
    uint32_t phases;   /* PHASE_BIT()s of the actions that are due */
    uint32_t kind;     /* enum attach_kind */
    uint8_t locks;     /* sk_userlocks: buffers whose size was set */
    bool afterwards;   /* the socket has been in use for an unknown time */
    bool no_early;     /* too late for OPTION_EARLY */
    uint32_t rule;     /* rule of the current step */
    uint32_t reporter; /* the rule that reports it, plus 1; 0: none */
    uint64_t concern;  /* options that the rules set for it */
    uint64_t chosen;   /* options that will be set */
    union {
        uint16_t winners[ATTACH_OPTIONS_MAX]; /* winning action of an option, plus 1; 0: none */
        struct attach_identity identity; /* used before `winners`; the stack has no room for both */
    };
};

static bool action_concerns(const struct attach_action *action, const struct attach_view *view)
{
    return (action->families & view->families) != 0 && (action->protocols & view->protocols) != 0;
}

static long take_step(uint32_t index, struct work *work)
{
    const struct attach_rule *rule = table_row(&rules, work->rule);
    if (rule == NULL)
        return 1;
    uint32_t number = rule->actions.first + index;
    const struct attach_action *action = table_row(&actions, number);
    if (action == NULL)
        return 1;
    if (action->mode == MODE_IGNORE || !action_concerns(action, &work->view))
        return 0;
    work->winners[action->option % ATTACH_OPTIONS_MAX] = (uint16_t)(number + 1);
    work->concern |= 1ull << (action->option % 64);
    return 0;
}

/* Returns the rule at an index of the active ones; NULL if it is not for this program. */
static const struct attach_rule *rule_at(uint32_t index, const struct attach_active *active,
                                         const struct attach_identity *identity, uint32_t *number)
{
    *number = index;
    if (active != NULL)
        *number = active->rules[index % ATTACH_RULES_MAX];
    const struct attach_rule *rule = table_row(&rules, *number);
    if (rule == NULL || active != NULL)
        return rule;
    return identity != NULL && program_fits(rule, identity) != 0 ? rule : NULL;
}

static long decide_step(uint32_t index, struct work *work)
{
    uint32_t number;
    const struct attach_identity *identity = work->socket != NULL ? &work->socket->identity : NULL;
    const struct attach_rule *rule = rule_at(index, work->active, identity, &number);
    if (rule == NULL || rule_matches(rule, &work->view) != YES)
        return 0;
    work->rule = number;
    bpf_loop(rule->actions.count, take_step, work, 0);
    if (rule->report != 0)
        work->reporter = number + 1;
    return rule->final != 0;
}

static uint32_t rules_to_walk(const struct attach_active *active)
{
    return active != NULL ? active->count : constants.rule_count;
}

static void decide_options(struct work *work)
{
    if (work->active == NULL && work->socket != NULL)
        work->active = active_of(&work->socket->identity);
    bpf_loop(rules_to_walk(work->active), decide_step, work, 0);
}

/* True if the option has the value of a new socket. The kernel changes the size of a buffer until
 * the program sets it, so for buffers the lock is checked instead of the size. */
static bool has_default(struct work *work, uint32_t index, const struct attach_option *option)
{
    bool socket_level = option->level == LEVEL_SOCKET;
    int32_t optname = option->optname;
    if (socket_level && optname == OPT_SNDBUFFORCE)
        optname = OPT_SNDBUF;
    if (socket_level && optname == OPT_RCVBUFFORCE)
        optname = OPT_RCVBUF;
    if (socket_level && optname == OPT_SNDBUF)
        return (work->locks & LOCK_SNDBUF) == 0;
    if (socket_level && optname == OPT_RCVBUF)
        return (work->locks & LOCK_RCVBUF) == 0;
    const struct attach_default *usual =
        table_row(&defaults, work->kind * ATTACH_OPTIONS_MAX + index);
    if (usual == NULL || usual->length == 0 || usual->length > ATTACH_VALUE_SIZE)
        return false;
    uint64_t now[2] = {0, 0}, wanted[2];
    int length = usual->length == 4 ? 4 : ATTACH_VALUE_SIZE;
    if (bpf_getsockopt(work->target, option->level, optname, now, length) != 0)
        return false;
    __builtin_memcpy(wanted, usual->value, sizeof wanted);
    return now[0] == wanted[0] && now[1] == wanted[1];
}

/* True if the program cannot have set the option: it has not accepted the socket yet, and the
 * option is not inherited. */
static bool is_untouchable(const struct work *work, const struct attach_option *option)
{
    return !work->afterwards && (work->phases & EVENT_ACCEPT) != 0 &&
           (option->flags & OPTION_INHERITED) == 0;
}

/* True if the action is not carried out because the program has set the option itself. */
static bool yields_to_program(struct work *work, uint32_t index, const struct attach_option *option,
                              const struct attach_action *action)
{
    const struct attach_socket *socket = work->socket;
    bool tracked = constants.tracked != 0 && socket != NULL && (socket->flags & SOCKET_BEFORE) == 0;
    bool own = socket != NULL && (socket->own >> (index % 64) & 1) != 0;
    uint32_t due = action->phases & work->phases;
    if (action->mode == MODE_FORCE)
        return false;
    if (action->mode == MODE_SET && !work->afterwards && due == PHASE_BIT(PHASE_SOCKET))
        return tracked ? own : !has_default(work, index, option);
    if (action->mode == MODE_SET || is_untouchable(work, option))
        return false;
    if (tracked && !own)
        return false;
    return !has_default(work, index, option);
}

static long choose_step(uint32_t index, struct work *work)
{
    uint32_t winner = work->winners[index % ATTACH_OPTIONS_MAX];
    if (winner == 0)
        return 0;
    const struct attach_action *action = table_row(&actions, winner - 1);
    const struct attach_option *option = table_row(&options, index);
    if (action == NULL || option == NULL)
        return 1;
    if ((action->phases & work->phases) == 0 ||
        (work->no_early && (option->flags & OPTION_EARLY) != 0) ||
        yields_to_program(work, index, option, action))
        return 0;
    work->chosen |= 1ull << (index % 64);
    return 0;
}

/* Stores the result of an option, for reports. */
static void note_result(struct attach_socket *socket, uint32_t option, long result)
{
    uint64_t bit = 1ull << (option % 64);
    if (socket == NULL)
        return;
    if (result == 0) {
        socket->given |= bit;
        socket->refused &= ~bit;
    } else {
        socket->refused |= bit;
        socket->given &= ~bit;
        socket->errors[option % ATTACH_OPTIONS_MAX] = (uint8_t)-result;
    }
}

static void count_result(uint32_t action, long result)
{
    struct attach_count *counted = table_row(&counts, action);
    if (counted == NULL)
        return;
    if (result == 0) {
        counted->given++;
    } else {
        counted->failed++;
        counted->error = result;
    }
}

static long set_option(void *target, const struct attach_option *option,
                       const struct attach_action *action)
{
    uint32_t length = action->length;
    if (action->op == OP_MERGE) {
        uint32_t now = 0, bits;
        long failed = bpf_getsockopt(target, option->level, option->optname, &now, sizeof now);
        if (failed != 0)
            return failed;
        __builtin_memcpy(&bits, action->value, sizeof bits);
        now = (now & ~action->mask) | (bits & action->mask);
        return bpf_setsockopt(target, option->level, option->optname, &now, sizeof now);
    }
    if (length == 0 || length > ATTACH_VALUE_SIZE)
        return -1;
    return bpf_setsockopt(target, option->level, option->optname, (void *)action->value, length);
}

/* IP_TOS makes the kernel change SO_PRIORITY. True if the socket's priority has to be restored: a
 * rule gives one at another time, or the program has set it (engine/apply.c). */
static bool priority_stands(const struct work *work, const struct attach_action *tos, int before)
{
    bool late = (tos->phases & work->phases) == PHASE_BIT(PHASE_SOCKET);
    if ((late || work->afterwards) && before != 0)
        return true;
    uint32_t priority = constants.priority;
    return priority < ATTACH_OPTIONS_MAX && work->winners[priority] != 0 &&
           (work->chosen >> priority & 1) == 0;
}

static long give_step(uint32_t index, struct work *work)
{
    if ((work->chosen >> (index % 64) & 1) == 0)
        return 0;
    uint32_t number = work->winners[index % ATTACH_OPTIONS_MAX] - 1u;
    const struct attach_action *action = table_row(&actions, number);
    const struct attach_option *option = table_row(&options, index);
    if (action == NULL || option == NULL)
        return 1;
    if (action->op == OP_SOURCE)
        return 0;
    bool tos = option->level == LEVEL_IP && option->optname == OPT_TOS;
    int priority = 0;
    bool keep =
        tos &&
        bpf_getsockopt(work->target, LEVEL_SOCKET, OPT_PRIORITY, &priority, sizeof priority) == 0 &&
        priority_stands(work, action, priority);
    long result = set_option(work->target, option, action);
    count_result(number, result);
    note_result(work->socket, index, result);
    if (keep)
        bpf_setsockopt(work->target, LEVEL_SOCKET, OPT_PRIORITY, &priority, sizeof priority);
    return 0;
}

static void give_options(struct work *work)
{
    decide_options(work);
    bpf_loop(constants.option_count, choose_step, work, 0);
    if (work->chosen != 0)
        bpf_loop(constants.option_count, give_step, work, 0);
}

/* The process that uses a socket */

/* The text is read in pieces: a path has up to 4,095 bytes, and the stack has no room for it. */
enum { PIECE_SIZE = 128, PIECES = 33 };

struct basename_walk {
    unsigned long argument;
    uint32_t piece; /* position of the piece in the text */
    uint32_t begin; /* position after the last slash */
    char text[PIECE_SIZE];
};

static long basename_step(uint32_t index, struct basename_walk *walk)
{
    char character = walk->text[index % PIECE_SIZE];
    if (character == '/')
        walk->begin = walk->piece + index + 1 + constants.zero;
    return character == 0;
}

static long piece_step(uint32_t index, struct basename_walk *walk)
{
    const void *from = (void *)(walk->argument + walk->piece);
    long length = bpf_probe_read_user_str(walk->text, sizeof walk->text, from);
    if (length <= 1)
        return 1;
    bpf_loop(PIECE_SIZE, basename_step, walk, 0);
    walk->piece += PIECE_SIZE - 1 + constants.zero;
    return length < PIECE_SIZE;
}

/* Read the basename of argv[0]. The program may have overwritten it since it started. */
static __noinline void read_name0(struct attach_identity *identity, unsigned long argument)
{
    struct basename_walk walk = {.argument = argument};
    bpf_loop(PIECES, piece_step, &walk, 0);
    bpf_probe_read_user_str(identity->name0, sizeof identity->name0,
                            (void *)(argument + walk.begin));
}

/* Fills in the current process; 0 for a kernel thread. */
__noinline int identify_process(struct attach_identity *identity)
{
    if (identity == NULL)
        return 0;
    const struct task_struct *task = (void *)bpf_get_current_task();
    struct mm_struct *mm = BPF_CORE_READ(task, mm);
    if (mm == NULL)
        return 0;
    bpf_probe_read_kernel_str(identity->name, sizeof identity->name,
                              BPF_CORE_READ(mm, exe_file, f_path.dentry, d_name.name));
    read_name0(identity, BPF_CORE_READ(mm, arg_start));
    /* bpf_get_current_uid_gid() returns the real IDs. */
    identity->uid = BPF_CORE_READ(task, cred, euid.val);
    identity->gid = BPF_CORE_READ(task, cred, egid.val);
    return 1;
}

/* Options and rules in the data of a socket are numbers in the tables of one set of rules. If the
 * pinned rules were replaced since, the numbers mean nothing any more, and what the program has set
 * itself is unknown. */
static void forget_former_rules(struct attach_socket *socket)
{
    if (socket->generation == constants.generation)
        return;
    socket->own = socket->given = socket->refused = socket->concern = 0;
    socket->flags |= SOCKET_BEFORE;
    socket->rule = ATTACH_FORMER_RULE;
    socket->generation = constants.generation;
}

/* Returns the data stored for a socket of the current process; NULL if the socket is to be
 * ignored. */
static struct attach_socket *socket_in_use(struct bpf_sock *sk)
{
    struct attach_socket *socket = bpf_sk_storage_get(&sockets, sk, NULL, 0);
    if (socket != NULL) {
        forget_former_rules(socket);
        return socket;
    }
    socket = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (socket != NULL && identify_process(&socket->identity) == 0) {
        bpf_sk_storage_delete(&sockets, sk);
        return NULL;
    }
    if (socket != NULL) {
        socket->pid = (uint32_t)(bpf_get_current_pid_tgid() >> 32);
        socket->generation = constants.generation;
    }
    return socket;
}

/* Returns the rules for the current process, if they have been found before. */
static const struct attach_active *known_rules(struct work *work)
{
    const struct attach_active *active = NULL;
    if (identify_process(&work->identity) != 0)
        active = bpf_map_lookup_elem(&programs, &work->identity);
    __builtin_memset(&work->identity, 0, sizeof work->identity);
    return active != NULL && active->ready != 0 ? active : NULL;
}

/* Properties of a socket */

static __always_inline struct attach_end end_of_v4(uint32_t address, uint16_t port)
{
    return (struct attach_end){0, 0xffffull << 32 | bpf_ntohl(address), port, true};
}

static __always_inline struct attach_end end_of_v6(uint32_t a, uint32_t b, uint32_t c, uint32_t d,
                                                   uint16_t port)
{
    return (struct attach_end){(uint64_t)bpf_ntohl(a) << 32 | bpf_ntohl(b),
                               (uint64_t)bpf_ntohl(c) << 32 | bpf_ntohl(d), port, true};
}

static __always_inline struct attach_end local_end(const struct bpf_sock *sk)
{
    uint16_t port = (uint16_t)sk->src_port;
    return sk->family == AF_INET_
               ? end_of_v4(sk->src_ip4, port)
               : end_of_v6(sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3], port);
}

/* connect() to the wildcard address goes to this machine. */
static void settle_any(struct attach_end *remote)
{
    if (is_unspecified(remote))
        remote->low |= is_v4(remote) ? 0x7f000001u : 1u;
}

static uint16_t protocol_bit(uint32_t type, uint32_t protocol)
{
    if (type == STREAM)
        return protocol == TCP ? PROTOCOL_TCP : 0;
    if (type != DATAGRAM)
        return 0;
    return protocol == UDP ? PROTOCOL_UDP : protocol == UDPLITE ? PROTOCOL_UDPLITE : 0;
}

/* Returns false for sockets that are ignored. */
static bool describe_kind(struct work *work, uint32_t family, uint16_t protocols)
{
    bool v6 = family == AF_INET6_, datagram = (protocols & PROTOCOL_DATAGRAM) != 0;
    if ((!v6 && family != AF_INET_) || protocols == 0)
        return false;
    work->view.families = v6 ? FAMILY_INET6 : FAMILY_INET;
    work->view.protocols = protocols;
    work->kind = (datagram ? KIND_DATAGRAM4 : KIND_STREAM4) + v6;
    return true;
}

static uint8_t buffer_locks(const void *tcp)
{
    const struct sock *sk = tcp;
    return sk != NULL ? (uint8_t)BPF_CORE_READ_BITFIELD_PROBED(sk, sk_userlocks) : 0;
}

static bool is_subflow(const struct tcp_sock *tcp)
{
    return tcp != NULL && bpf_core_field_exists(tcp->is_mptcp) && BPF_CORE_READ(tcp, is_mptcp);
}

/* connect(), bind() */

/* Binds the socket to the address of a `source`. */
static void bind_source(struct bpf_sock_addr *ctx, const struct work *work)
{
    struct {
        uint16_t family, port;
        uint32_t flow, address[4], scope;
    } to = {.family = AF_INET6_};
    struct {
        uint16_t family, port;
        uint32_t address;
        uint64_t zero;
    } to4 = {.family = AF_INET_};
    uint32_t source = constants.source;
    if (source >= ATTACH_OPTIONS_MAX || (work->chosen >> source & 1) == 0)
        return;
    uint32_t number = work->winners[source] - 1u;
    const struct attach_action *action = table_row(&actions, number);
    if (action == NULL)
        return;
    __builtin_memcpy(to.address, action->value, sizeof to.address);
    to4.address = to.address[3];
    bool v4 = to.address[0] == 0 && to.address[1] == 0 && to.address[2] == bpf_htonl(0xffff);
    if (v4 != is_v4(&work->view.remote))
        return;
    count_result(number, work->view.families == FAMILY_INET
                             ? bpf_bind(ctx, (void *)&to4, sizeof to4)
                             : bpf_bind(ctx, (void *)&to, sizeof to));
}

/* Fills `work` for connect() and bind(). False for sockets that are ignored. */
static __always_inline bool begin_event(struct work *work, struct bpf_sock_addr *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    __builtin_memset(work, 0, sizeof *work);
    work->target = ctx;
    if (sk == NULL || !describe_kind(work, sk->family, protocol_bit(ctx->type, ctx->protocol)))
        return false;
    work->view.role_known = true;
    const struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    if (is_subflow(tcp))
        return false;
    work->locks = buffer_locks(tcp);
    /* Storing data for a socket costs as much as everything else here, so it is avoided. */
    if (constants.tracked == 0 && constants.reports == 0)
        work->active = known_rules(work);
    if (work->active == NULL)
        work->socket = socket_in_use(sk);
    return work->active != NULL || work->socket != NULL;
}

static __always_inline void connect_to(struct bpf_sock_addr *ctx, struct attach_end remote)
{
    struct work work;
    if (!begin_event(&work, ctx))
        return;
    settle_any(&remote);
    work.view.remote = remote;
    work.view.local = local_end(ctx->sk);
    work.view.local.known = work.view.local.port != 0 || !is_unspecified(&work.view.local);
    work.view.roles = (work.view.protocols & PROTOCOL_DATAGRAM) != 0 ? ROLE_DATAGRAM : ROLE_CONNECT;
    work.phases = EVENT_CONNECT;
    give_options(&work);
    if (!work.view.local.known)
        bind_source(ctx, &work);
}

/* The role of a stream socket is open: what must precede bind() is set for each role. */
static __always_inline void bind_to(struct bpf_sock_addr *ctx, struct attach_end local)
{
    struct work work;
    if (!begin_event(&work, ctx))
        return;
    work.view.local = local;
    work.view.roles = (work.view.protocols & PROTOCOL_DATAGRAM) != 0 ? ROLE_DATAGRAM : ROLE_STREAM;
    work.phases = EVENT_BIND;
    give_options(&work);
}

static __always_inline struct attach_end end_of_inet4(const struct bpf_sock_addr *ctx)
{
    return end_of_v4(ctx->user_ip4, bpf_ntohs((uint16_t)ctx->user_port));
}

static __always_inline struct attach_end end_of_inet6(const struct bpf_sock_addr *ctx)
{
    return end_of_v6(ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3],
                     bpf_ntohs((uint16_t)ctx->user_port));
}

SEC("cgroup/connect4")
int socktune_connect4(struct bpf_sock_addr *ctx)
{
    connect_to(ctx, end_of_inet4(ctx));
    return 1;
}

SEC("cgroup/connect6")
int socktune_connect6(struct bpf_sock_addr *ctx)
{
    connect_to(ctx, end_of_inet6(ctx));
    return 1;
}

SEC("cgroup/bind4")
int socktune_bind4(struct bpf_sock_addr *ctx)
{
    bind_to(ctx, end_of_inet4(ctx));
    return 1;
}

SEC("cgroup/bind6")
int socktune_bind6(struct bpf_sock_addr *ctx)
{
    bind_to(ctx, end_of_inet6(ctx));
    return 1;
}

/* Context of sockops programs */

/* Reads one word at a time: the verifier allows no wider access here. */
#define WORD(field) (*(const volatile uint32_t *)&(field))

static __always_inline struct attach_end ops_local(const struct bpf_sock_ops *ctx)
{
    uint16_t port = (uint16_t)ctx->local_port;
    return ctx->family == AF_INET_
               ? end_of_v4(ctx->local_ip4, port)
               : end_of_v6(WORD(ctx->local_ip6[0]), WORD(ctx->local_ip6[1]),
                           WORD(ctx->local_ip6[2]), WORD(ctx->local_ip6[3]), port);
}

static __always_inline struct attach_end ops_remote(const struct bpf_sock_ops *ctx)
{
    uint16_t port = (uint16_t)bpf_ntohl(ctx->remote_port);
    return ctx->family == AF_INET_
               ? end_of_v4(ctx->remote_ip4, port)
               : end_of_v6(WORD(ctx->remote_ip6[0]), WORD(ctx->remote_ip6[1]),
                           WORD(ctx->remote_ip6[2]), WORD(ctx->remote_ip6[3]), port);
}

/* An MPTCP listener also accepts connections of plain TCP. They get a copy of this data, and all
 * options at that time, because they inherit none. */
static __always_inline void prepare_mptcp_listener(const struct bpf_sock_ops *ctx,
                                                   struct bpf_sock *sk)
{
    const struct attach_end local = ops_local(ctx);
    struct attach_socket *socket = socket_in_use(sk);
    if (socket == NULL)
        return;
    socket->flags |= SOCKET_OF_MPTCP | SOCKET_BEFORE;
    if (!is_unspecified(&local))
        socket->flags |= SOCKET_SPECIFIC;
}

/* Fills `work` from the context of sockops programs. False for sockets that are ignored. */
static __always_inline bool describe_ops(struct bpf_sock_ops *ctx, struct work *work, bool in_use)
{
    struct bpf_sock *sk = ctx->sk;
    if (sk == NULL)
        return false;
    __builtin_memset(work, 0, sizeof *work);
    work->target = ctx;
    if (!describe_kind(work, ctx->family, PROTOCOL_TCP))
        return false;
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    if (is_subflow(tcp)) {
        if (ctx->op == BPF_SOCK_OPS_TCP_LISTEN_CB)
            prepare_mptcp_listener(ctx, sk);
        return false;
    }
    work->locks = buffer_locks(tcp);
    work->view.local = ops_local(ctx);
    work->view.role_known = true;
    work->socket = in_use ? socket_in_use(sk) : bpf_sk_storage_get(&sockets, sk, NULL, 0);
    if (work->socket == NULL)
        return false;
    forget_former_rules(work->socket);
    return true;
}

/* Reports */

/* True if a helper reads the reports; otherwise no work is done for them. The coarse clock is up to
 * one tick late, so the heartbeat can seem to be in the future. */
static bool has_reader(void)
{
    if (constants.reports == 0)
        return false;
    const struct attach_channel *shared = table_row(&channel, 0);
    return shared != NULL && shared->heartbeat != 0 &&
           (int64_t)(bpf_ktime_get_coarse_ns() - shared->heartbeat) <
               (int64_t)ATTACH_HEARTBEAT_MAX_NS;
}

static void count_lost(void)
{
    struct attach_channel *shared = table_row(&channel, 0);
    if (shared != NULL)
        __sync_fetch_and_add(&shared->lost, 1);
}

static __always_inline void put_end(uint8_t to[16], const struct attach_end *end)
{
    uint64_t halves[2] = {bpf_cpu_to_be64(end->high), bpf_cpu_to_be64(end->low)};
    __builtin_memcpy(to, halves, sizeof halves);
}

/* Fills in everything but the figures. */
static __always_inline void describe_report(struct attach_report *report, struct bpf_sock_ops *ctx,
                                            const struct attach_socket *socket)
{
    struct attach_end local = ops_local(ctx), remote = ops_remote(ctx);
    struct bpf_sock *sk = ctx->sk;
    const struct sock *owned = sk != NULL ? (void *)bpf_skc_to_tcp_sock(sk) : NULL;
    bool listens = socket->role == ROLE_LISTEN;
    report->cookie = socket->reported;
    report->netns = bpf_get_netns_cookie(ctx);
    report->opened_ns = socket->opened_ns;
    report->time_ns = bpf_ktime_get_ns();
    report->given = socket->given & socket->concern;
    report->refused = socket->refused & socket->concern;
    put_end(report->local, &local);
    if (listens)
        __builtin_memset(&remote, 0, sizeof remote);
    put_end(report->remote, &remote);
    report->local_port = local.port;
    report->remote_port = remote.port;
    report->pid = socket->pid;
    report->uid = owned != NULL ? BPF_CORE_READ(owned, sk_uid.val) : socket->identity.uid;
    report->interface = sk != NULL ? sk->bound_dev_if : 0;
    report->family = (uint16_t)ctx->family;
    report->rule = socket->rule;
    report->role = (uint8_t)socket->role;
    report->aborted = 0;
    __builtin_memset(report->reserved, 0, sizeof report->reserved);
    __builtin_memcpy(report->program, socket->identity.name, sizeof report->program);
    __builtin_memcpy(report->errors, socket->errors, sizeof report->errors);
    report->unacknowledged = report->info_length = 0;
    __builtin_memset(report->congestion, 0, sizeof report->congestion);
}

/* Reports the begin of a connection or a listener, if a rule says so, and asks the kernel to call
 * again when its state changes. */
static __noinline void report_opened(struct bpf_sock_ops *ctx, const struct work *work,
                                     uint8_t role)
{
    struct attach_socket *socket = work->socket;
    if (work->reporter == 0 || !has_reader())
        return;
    socket->rule = (uint16_t)(work->reporter - 1);
    socket->role = role;
    socket->concern = work->concern;
    socket->reported = bpf_get_socket_cookie(ctx);
    socket->opened_ns = bpf_ktime_get_ns();
    bpf_sock_ops_cb_flags_set(ctx, (int)ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
    struct attach_report *report =
        bpf_ringbuf_reserve(&reports, offsetof(struct attach_report, info), 0);
    if (report == NULL) {
        count_lost();
        return;
    }
    describe_report(report, ctx, socket);
    report->kind = ATTACH_OPENED;
    bpf_ringbuf_submit(report, BPF_RB_NO_WAKEUP);
}

/* True if the program makes the kernel reset the connection: SO_LINGER with 0 seconds, and no
 * error. */
static bool is_aborted(const struct tcp_sock *tcp)
{
    const struct sock *sk = (const void *)tcp;
    return sk->sk_err == 0 && (sk->__sk_common.skc_flags >> SOCK_LINGER & 1) != 0 &&
           sk->sk_lingertime == 0;
}

/* Called when the state changes to CLOSED. The kernel has not cleared any figures yet. */
static __noinline void report_ended(struct bpf_sock_ops *ctx)
{
    struct bpf_sock *sk = ctx->sk;
    if (sk == NULL)
        return;
    struct attach_socket *socket = bpf_sk_storage_get(&sockets, sk, NULL, 0);
    if (socket == NULL || socket->reported == 0 || socket->reported != bpf_get_socket_cookie(ctx))
        return;
    forget_former_rules(socket);
    const struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    struct attach_report *report =
        tcp != NULL ? bpf_ringbuf_reserve(&reports, sizeof *report, 0) : NULL;
    if (report == NULL) {
        count_lost();
    } else {
        describe_report(report, ctx, socket);
        report->kind = ATTACH_ENDED;
        report->aborted = is_aborted(tcp);
        read_figures(report, tcp, constants.jiffy_us);
        bpf_ringbuf_submit(report, BPF_RB_NO_WAKEUP);
    }
    socket->reported = 0;
}

/* listen(), accepted and connecting sockets */

static void handle_listen(struct bpf_sock_ops *ctx, struct work *work)
{
    if (!describe_ops(ctx, work, true))
        return;
    work->view.roles = ROLE_LISTEN | ROLE_ACCEPT;
    work->phases = EVENT_LISTEN;
    if (!is_unspecified(&work->view.local))
        work->socket->flags |= SOCKET_SPECIFIC;
    give_options(work);
    report_opened(ctx, work, ROLE_LISTEN);
}

static void handle_accepted(struct bpf_sock_ops *ctx, struct work *work)
{
    if (!describe_ops(ctx, work, false))
        return;
    work->view.roles = ROLE_ACCEPT;
    work->view.remote = ops_remote(ctx);
    work->phases = EVENT_ACCEPT;
    if ((work->socket->flags & SOCKET_SPECIFIC) == 0)
        work->phases |= PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    if ((work->socket->flags & SOCKET_OF_MPTCP) != 0) {
        work->phases |= EVENT_LISTEN;
        work->no_early = true;
    }
    work->socket->flags |= SOCKET_ACCEPTED;
    give_options(work);
    report_opened(ctx, work, ROLE_ACCEPT);
}

/* connect() has set the options; now the socket has a local address, too. */
static void handle_connect(struct bpf_sock_ops *ctx, struct work *work)
{
    if (!has_reader() || !describe_ops(ctx, work, true))
        return;
    work->view.roles = ROLE_CONNECT;
    work->view.remote = ops_remote(ctx);
    decide_options(work);
    report_opened(ctx, work, ROLE_CONNECT);
}

SEC("sockops")
int socktune_sockops(struct bpf_sock_ops *ctx)
{
    struct work work;
    switch (ctx->op) {
    case BPF_SOCK_OPS_TCP_LISTEN_CB:
        handle_listen(ctx, &work);
        break;
    case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
        handle_accepted(ctx, &work);
        break;
    case BPF_SOCK_OPS_TCP_CONNECT_CB:
        handle_connect(ctx, &work);
        break;
    case BPF_SOCK_OPS_STATE_CB:
        if (ctx->args[1] == CLOSED)
            report_ended(ctx);
        break;
    }
    return 1;
}

/* setsockopt() calls of the program */

enum { NO_OPTION = ATTACH_OPTIONS_MAX };

/* What the program is about to set. */
struct guard_walk {
    int32_t level, optname;
    uint32_t same;      /* the option of the policy that it sets, or NO_OPTION */
    uint32_t disturbed; /* the option that it changes as a side effect */
};

static long guard_step(uint32_t index, struct guard_walk *walk)
{
    const struct attach_guard *guard = table_row(&guards, index);
    if (guard == NULL)
        return 1;
    if (guard->level != walk->level || guard->optname != walk->optname)
        return 0;
    if (guard->effect == SIBLING_SAME)
        walk->same = guard->option;
    else
        walk->disturbed = guard->option;
    return 0;
}

/* What the rules say about one option of a socket. */
struct attach_ruling {
    const struct attach_view *view;
    const struct attach_identity *identity;
    const struct attach_active *active;
    uint32_t option;
    uint32_t rule;   /* rule of the current step */
    uint32_t gives;  /* the action of that rule that sets the option, plus 1; 0: none */
    bool ignores;    /* that rule ignores the program's value */
    uint32_t forced; /* the action that wins and is a `force`, plus 1 */
    bool ignored;
};

static long says_step(uint32_t index, struct attach_ruling *ruling)
{
    const struct attach_rule *rule = table_row(&rules, ruling->rule);
    if (rule == NULL)
        return 1;
    uint32_t number = rule->actions.first + index;
    const struct attach_action *action = table_row(&actions, number);
    if (action == NULL)
        return 1;
    if (action->option != ruling->option || !action_concerns(action, ruling->view))
        return 0;
    if (action->mode == MODE_IGNORE)
        ruling->ignores = true;
    else
        ruling->gives = number + 1;
    return 0;
}

/* An `ignore` counts if its rule could still match: a program sets a buffer before it connects,
 * when its peer is unknown. */
static long ruling_step(uint32_t index, struct attach_ruling *ruling)
{
    const struct attach_rule *rule =
        rule_at(index, ruling->active, ruling->identity, &ruling->rule);
    if (rule == NULL)
        return 0;
    int match = rule_matches(rule, ruling->view);
    if (match == NO)
        return 0;
    ruling->gives = 0;
    ruling->ignores = false;
    bpf_loop(rule->actions.count, says_step, ruling, 0);
    ruling->ignored |= ruling->ignores;
    if (match != YES)
        return 0;
    if (ruling->gives != 0) {
        const struct attach_action *action = table_row(&actions, ruling->gives - 1);
        ruling->forced = action != NULL && action->mode == MODE_FORCE ? ruling->gives : 0;
    }
    return rule->final != 0;
}

/* Returns the action by which a rule forces the option, if the socket has reached its phase; else
 * NULL. */
static const struct attach_action *rule_on(struct work *work, uint32_t option, bool *ignored)
{
    struct attach_ruling ruling = {.view = &work->view,
                                   .identity = &work->socket->identity,
                                   .active = active_of(&work->socket->identity),
                                   .option = option};
    bpf_loop(rules_to_walk(ruling.active), ruling_step, &ruling, 0);
    *ignored = ruling.ignored;
    if (ruling.forced == 0)
        return NULL;
    const struct attach_action *action = table_row(&actions, ruling.forced - 1);
    return action != NULL && (action->phases & work->phases) != 0 ? action : NULL;
}

static void describe_role(struct work *work, uint32_t state)
{
    bool datagram = (work->view.protocols & PROTOCOL_DATAGRAM) != 0;
    work->view.role_known = true;
    if (state == LISTENING) {
        work->view.roles = ROLE_LISTEN | ROLE_ACCEPT;
        work->phases = EVENT_LISTEN | PHASE_BIT(PHASE_BIND);
    } else if (datagram) {
        work->view.roles = ROLE_DATAGRAM;
        work->phases = EVENT_CONNECT;
    } else if (state == CLOSED) {
        work->view.roles = ROLE_STREAM;
        work->view.role_known = false;
        work->phases = PHASE_BIT(PHASE_SOCKET);
    } else if ((work->socket->flags & SOCKET_ACCEPTED) != 0) {
        work->view.roles = ROLE_ACCEPT;
        work->phases = EVENT_LISTEN | EVENT_ACCEPT | PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    } else {
        work->view.roles = ROLE_CONNECT;
        work->phases = EVENT_CONNECT | PHASE_BIT(PHASE_BIND) | PHASE_BIT(PHASE_CONNECTED);
    }
}

/* Fills in the current ends. If connect() itself bound the socket, the rules on the local end have
 * not acted. */
static __always_inline void describe_ends(struct work *work, struct attach_end local,
                                          struct attach_end remote)
{
    work->view.local = local;
    work->view.local.known =
        work->view.roles != ROLE_CONNECT && (local.port != 0 || !is_unspecified(&local));
    work->view.remote = remote;
    work->view.remote.known = remote.port != 0;
}

/* Reads the program's value as a number. */
static bool read_number(const struct bpf_sockopt *ctx, int32_t *number)
{
    const int32_t *value = ctx->optval;
    const uint8_t *byte = ctx->optval;
    if ((const void *)(value + 1) <= ctx->optval_end && ctx->optlen >= 4)
        *number = *value;
    else if ((const void *)(byte + 1) <= ctx->optval_end && ctx->optlen >= 1)
        *number = *byte;
    else
        return false;
    return true;
}

/* Sets the forced value. False if the kernel must carry out the program's call. */
static bool force_value(struct bpf_sockopt *ctx, const struct attach_option *option,
                        const struct attach_action *action)
{
    int32_t number = 0;
    uint32_t bits;
    if (action->op != OP_MERGE)
        return set_option(ctx->sk, option, action) == 0;
    if (!read_number(ctx, &number))
        return false;
    __builtin_memcpy(&bits, action->value, sizeof bits);
    bits = ((uint32_t)number & ~action->mask) | (bits & action->mask);
    return bpf_setsockopt(ctx->sk, option->level, option->optname, &bits, sizeof bits) == 0;
}

static bool set_guarded(struct bpf_sockopt *ctx, struct work *work, uint32_t index)
{
    bool ignored = false;
    const struct attach_option *option = table_row(&options, index);
    if (option == NULL || ctx->optlen < option->least) /* the kernel refuses it */
        return false;
    const struct attach_action *forced = rule_on(work, index, &ignored);
    if (forced == NULL)
        return ignored;
    return force_value(ctx, option, forced);
}

/* The program's option changes a guarded option as a side effect: set it here, and restore the
 * guarded option. */
static bool set_disturbing(struct bpf_sockopt *ctx, struct work *work, uint32_t index)
{
    bool ignored = false;
    int32_t number = 0, before = 0;
    const struct attach_option *option = table_row(&options, index);
    if (option == NULL || !read_number(ctx, &number))
        return false;
    const struct attach_action *forced = rule_on(work, index, &ignored);
    if (forced == NULL && !ignored)
        return false;
    if (bpf_getsockopt(ctx->sk, option->level, option->optname, &before, sizeof before) != 0 ||
        bpf_setsockopt(ctx->sk, ctx->level, ctx->optname, &number, sizeof number) != 0)
        return false;
    if (forced != NULL)
        set_option(ctx->sk, option, forced);
    else
        bpf_setsockopt(ctx->sk, option->level, option->optname, &before, sizeof before);
    return true;
}

static bool describe_socket(struct work *work, struct bpf_sock *sk)
{
    uint16_t port;
    __builtin_memset(work, 0, sizeof *work);
    if (!describe_kind(work, sk->family, protocol_bit(sk->type, sk->protocol)))
        return false;
    work->socket = socket_in_use(sk);
    if (work->socket == NULL)
        return false;
    describe_role(work, sk->state);
    port = bpf_ntohs(sk->dst_port);
    describe_ends(work, local_end(sk),
                  sk->family == AF_INET_ ? end_of_v4(sk->dst_ip4, port)
                                         : end_of_v6(sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2],
                                                     sk->dst_ip6[3], port));
    return true;
}

SEC("cgroup/setsockopt")
int socktune_setsockopt(struct bpf_sockopt *ctx)
{
    struct work work;
    struct guard_walk walk = {ctx->level, ctx->optname, NO_OPTION, NO_OPTION};
    struct bpf_sock *sk = ctx->sk;
    bpf_loop(constants.guard_count, guard_step, &walk, 0);
    if (sk == NULL || (walk.same == NO_OPTION && walk.disturbed == NO_OPTION) ||
        !describe_socket(&work, sk))
        return 1;
    if ((walk.disturbed != NO_OPTION && set_disturbing(ctx, &work, walk.disturbed)) ||
        (walk.same != NO_OPTION && set_guarded(ctx, &work, walk.same)))
        ctx->optlen = SWALLOW;
    else if (walk.same != NO_OPTION)
        work.socket->own |= 1ull << (walk.same % 64);
    return 1;
}

/* Existing sockets */

/* Stores which process has each socket. */
SEC("iter/task_file")
int socktune_files(struct bpf_iter__task_file *ctx)
{
    struct task_struct *task = ctx->task;
    struct file *file = ctx->file;
    if (task == NULL || file == NULL)
        return 0;
    uint32_t process = (uint32_t)task->tgid;
    const struct attach_identity *identity = bpf_map_lookup_elem(&processes, &process);
    struct socket *file_socket = bpf_sock_from_file(file);
    if (identity == NULL || file_socket == NULL)
        return 0;
    struct sock *sk = file_socket->sk;
    if (sk == NULL ||
        (sk->__sk_common.skc_family != AF_INET_ && sk->__sk_common.skc_family != AF_INET6_))
        return 0;
    struct attach_socket *socket =
        bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
    if (socket == NULL)
        return 0;
    forget_former_rules(socket);
    if (socket->identity.name[0] == 0) {
        socket->identity = *identity;
        socket->pid = process;
        socket->flags |= SOCKET_BEFORE;
    }
    return 0;
}

/* True if the peer connected. The sequence numbers sent, without those of data and FIN, leave 1 for
 * the SYN of a socket that connected itself. */
static bool is_accepted(const struct tcp_sock *tcp, uint32_t state)
{
    enum { FIN_WAIT1 = 4, FIN_WAIT2 = 5, LAST_ACK = 9, CLOSING = 11 };
    bool fin = state == FIN_WAIT1 || state == FIN_WAIT2 || state == LAST_ACK || state == CLOSING;
    uint64_t sequence = tcp->bytes_acked + (tcp->snd_nxt - tcp->snd_una);
    return sequence - (tcp->bytes_sent - tcp->bytes_retrans) - fin == 0;
}

static bool describe_open(struct work *work, const struct sock_common *sk,
                          const struct tcp_sock *tcp)
{
    uint32_t state = sk->skc_state;
    __builtin_memset(work, 0, sizeof *work);
    if (is_subflow(tcp) || !describe_kind(work, sk->skc_family, PROTOCOL_TCP))
        return false;
    work->socket = bpf_sk_storage_get(&sockets, (void *)tcp, NULL, 0);
    if (work->socket == NULL || work->socket->treated == constants.generation)
        return false;
    forget_former_rules(work->socket);
    work->socket->treated = constants.generation;
    if (state != LISTENING && state != CLOSED && is_accepted(tcp, state))
        work->socket->flags |= SOCKET_ACCEPTED;
    describe_role(work, state);
    return true;
}

SEC("iter/tcp")
int socktune_open(struct bpf_iter__tcp *ctx)
{
    struct work work;
    struct sock_common *sk = ctx->sk_common;
    if (sk == NULL)
        return 0;
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    if (tcp == NULL || !describe_open(&work, sk, tcp))
        return 0;
    const uint32_t *local = sk->skc_v6_rcv_saddr.s6_addr32, *remote = sk->skc_v6_daddr.s6_addr32;
    uint16_t port = bpf_ntohs(sk->skc_dport);
    if (sk->skc_family == AF_INET_)
        describe_ends(&work, end_of_v4(sk->skc_rcv_saddr, sk->skc_num),
                      end_of_v4(sk->skc_daddr, port));
    else
        describe_ends(&work, end_of_v6(local[0], local[1], local[2], local[3], sk->skc_num),
                      end_of_v6(remote[0], remote[1], remote[2], remote[3], port));
    if (work.view.roles == (ROLE_LISTEN | ROLE_ACCEPT) && !is_unspecified(&work.view.local))
        work.socket->flags |= SOCKET_SPECIFIC;
    work.target = tcp;
    work.locks = buffer_locks(tcp);
    work.afterwards = true;
    work.no_early = (work.view.roles & ROLE_LISTEN) == 0;
    give_options(&work);
    return 0;
}

/* Trials of settings */

struct trial_walk {
    void *target;
    uint32_t kind; /* enum attach_tried */
};

static long trial_step(uint32_t index, struct trial_walk *walk)
{
    struct attach_trial *trial = table_row(&trials, index);
    if (trial == NULL)
        return 1;
    uint32_t length = trial->length;
    if (length == 0 || length > ATTACH_VALUE_SIZE)
        return 0;
    trial->result[walk->kind % TRIED] =
        bpf_setsockopt(walk->target, trial->level, trial->optname, trial->value, length);
    return 0;
}

SEC("iter/tcp")
int socktune_try(struct bpf_iter__tcp *ctx)
{
    struct sock_common *sk = ctx->sk_common;
    if (sk == NULL)
        return 0;
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    const uint32_t *kind =
        tcp != NULL ? bpf_sk_storage_get(&tried_sockets, (void *)tcp, NULL, 0) : NULL;
    if (kind == NULL)
        return 0;
    struct trial_walk walk = {tcp, *kind};
    bpf_loop(constants.trial_count, trial_step, &walk, 0);
    return 0;
}

char LICENSE[] SEC("license") = "GPL";
