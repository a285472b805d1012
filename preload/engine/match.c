/* SPDX-License-Identifier: MIT */
/*
 * Matches rules against programs and sockets.
 *
 * A socket criterion has three results: match, no match, and "depends on a missing fact". In the
 * last case the set of missing facts is returned to the caller. So the kernel is asked for a fact
 * only if some rule depends on it and matches in all other respects.
 */
#include "match.h"

#include "bytes.h"
#include "glob.h"
#include "trial.h"

#define NO_MATCH UINT32_MAX /* no set of missing facts has this value */

static const char *basename_of(const char *path)
{
    const char *base = path;
    for (const char *p = path; *p != 0; p++)
        if (*p == '/')
            base = p + 1;
    return base;
}

/* An identity and its basenames, which each rule needs again. "" stands for unknown. */
struct named {
    const struct identity *identity;
    const char *path, *name;   /* of the executable */
    const char *path0, *name0; /* of argv[0] */
};

static struct named name_identity(const struct identity *identity)
{
    const char *path = identity->executable != NULL ? identity->executable : "";
    const char *path0 = identity->argv[0] != NULL ? identity->argv[0] : "";
    return (struct named){identity, path, basename_of(path), path0, basename_of(path0)};
}

static bool match_PROGRAM(const char *pattern, uint32_t id, const struct named *named)
{
    (void)id;
    return glob_match(pattern, named->name) || glob_match(pattern, named->name0);
}

static bool match_PATH(const char *pattern, uint32_t id, const struct named *named)
{
    (void)id;
    return glob_match(pattern, named->path) || glob_match(pattern, named->path0);
}

static bool match_COMMAND(const char *pattern, uint32_t id, const struct named *named)
{
    (void)id;
    return glob_match_words(pattern, named->identity->argv);
}

static bool match_SCRIPT(const char *pattern, uint32_t id, const struct named *named)
{
    (void)id;
    const char *const *word = named->identity->argv;
    if (*word != NULL)
        word++;
    while (*word != NULL && **word == '-')
        word++;
    return *word != NULL && glob_match(pattern, basename_of(*word));
}

static bool match_USER(const char *pattern, uint32_t id, const struct named *named)
{
    (void)pattern;
    return id == named->identity->uid;
}

static bool match_GROUP(const char *pattern, uint32_t id, const struct named *named)
{
    (void)pattern;
    return id == named->identity->gid;
}

static bool match_CGROUP(const char *pattern, uint32_t id, const struct named *named)
{
    (void)id;
    return named->identity->cgroup != NULL && glob_match(pattern, named->identity->cgroup);
}

/* systemd's unit names are at most 255 bytes long (unit-name.h, UNIT_NAME_MAX). */
#define UNIT_SIZE 256

/* Units of every level match: the service, and the slices that contain it. */
static bool match_UNIT(const char *pattern, uint32_t id, const struct named *named)
{
    static const char service[] = ".service";
    (void)id;
    bool with_suffix = false;
    for (const char *p = pattern; *p != 0; p++)
        with_suffix = with_suffix || *p == '.';
    const char *path = named->identity->cgroup != NULL ? named->identity->cgroup : "";
    while (*path != 0) {
        char unit[UNIT_SIZE];
        size_t length = 0;
        while (*path == '/')
            path++;
        for (; *path != 0 && *path != '/'; path++)
            if (length + 1 < sizeof unit)
                unit[length++] = *path;
        unit[length] = 0;
        bool is_service =
            length >= sizeof service &&
            bytes_equal(unit + length - (sizeof service - 1), service, sizeof service);
        if (!with_suffix && is_service)
            unit[length - (sizeof service - 1)] = 0;
        if ((with_suffix || is_service) && glob_match(pattern, unit))
            return true;
    }
    return false;
}

static bool (*const matcher_functions[MATCHER_COUNT])(const char *pattern, uint32_t id,
                                                      const struct named *named) = {
#define PROGRAM_CRITERION(name, NAME, needs, summary) [MATCHER_##NAME] = match_##NAME,
#include "criteria.def"
    [MATCHER_PATH] = match_PATH,
};

static bool matcher_applies(const struct policy *policy, const struct policy_matcher *matcher,
                            const struct named *named)
{
    return matcher_functions[matcher->kind](policy_string(policy, matcher->pattern), matcher->id,
                                            named);
}

/* Conditions on the name and on the path form one group: it is enough that either matches. */
static unsigned group_of(uint32_t kind)
{
    return 1u << (kind == MATCHER_PATH ? (uint32_t)MATCHER_PROGRAM : kind);
}

static bool matchers_hold(const struct policy *policy, struct policy_range matchers,
                          const struct named *named)
{
    unsigned wanted = 0, found = 0;
    for (uint32_t i = 0; i < matchers.count; i++) {
        const struct policy_matcher *matcher = &policy->matchers[matchers.first + i];
        unsigned group = group_of(matcher->kind);
        if (!matcher->negate)
            wanted |= group;
        if (!matcher->negate && (found & group) != 0)
            continue;
        if (!matcher_applies(policy, matcher, named))
            continue;
        if (matcher->negate)
            return false;
        found |= group;
    }
    return wanted == found;
}

uint32_t active_rules(const struct policy *policy, const struct identity *identity, uint32_t *rules)
{
    struct named named = name_identity(identity);
    uint32_t count = 0;
    struct policy_range last = {0, 0};
    bool last_answer = true; /* a rule without matchers is for any program */
    for (uint32_t i = 0; i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        /* Adjacent rules mostly come from one file and have the same program. */
        if (rule->matchers.first != last.first || rule->matchers.count != last.count) {
            last = rule->matchers;
            last_answer = matchers_hold(policy, last, &named);
        }
        if (last_answer)
            rules[count++] = i;
    }
    return count;
}

uint32_t active_rules_inherited(const struct policy *policy, const struct active *active,
                                uint32_t *rules)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < active->count; i++)
        if ((policy->rules[active->rules[i]].flags & RULE_INHERITED) != 0)
            rules[count++] = active->rules[i];
    return count;
}

/* One end of the connection, in the form that every rule needs. */
struct end {
    struct halves address;
    enum fact_bit fact; /* FACT_LOCAL or FACT_REMOTE */
    uint16_t port;
    bool known;
    bool v4;
    bool unspecified;
};

/* A sockinfo and its two ends. */
struct view {
    const struct sockinfo *sockinfo;
    struct end local;
    struct end remote;
};

static struct end view_end(const struct sockinfo *sockinfo, enum fact_bit fact,
                           const struct address *address, uint16_t port)
{
    return (struct end){.address = address_halves(address->bytes),
                        .fact = fact,
                        .port = port,
                        .known = (sockinfo->known & fact) != 0,
                        .v4 = address_is_v4(address),
                        .unspecified = address_is_unspecified(address)};
}

static struct view view_of(const struct sockinfo *sockinfo)
{
    return (struct view){
        .sockinfo = sockinfo,
        .local = view_end(sockinfo, FACT_LOCAL, &sockinfo->local, sockinfo->local_port),
        .remote = view_end(sockinfo, FACT_REMOTE, &sockinfo->remote, sockinfo->remote_port)};
}

static bool in_prefix(const struct policy_prefix *prefix, struct halves address)
{
    struct halves wanted = address_halves(prefix->address);
    if (prefix->length == 0)
        return true;
    if (prefix->length <= 64)
        return (wanted.high ^ address.high) >> (64 - prefix->length) == 0;
    return wanted.high == address.high && (wanted.low ^ address.low) >> (128 - prefix->length) == 0;
}

/* The wildcard addresses 0.0.0.0 and :: stand for all addresses of the machine, so only a prefix
 * that contains all of them matches, and only a prefix that excludes none. */
static bool address_matches(const struct policy *policy, struct policy_range range,
                            const struct end *end)
{
    bool positive = false, found = false;
    for (uint32_t i = 0; i < range.count; i++) {
        const struct policy_prefix *prefix = &policy->prefixes[range.first + i];
        bool all = prefix->length == (prefix->v4 ? 96 : 0);
        bool in = end->v4 == (prefix->v4 != 0) && in_prefix(prefix, end->address) &&
                  (!end->unspecified || all);
        if (prefix->negate && (in || end->unspecified))
            return false;
        positive = positive || !prefix->negate;
        found = found || (!prefix->negate && in);
    }
    return found || !positive;
}

static bool port_matches(const struct policy *policy, struct policy_range range, uint16_t port)
{
    bool positive = false, found = false;
    for (uint32_t i = 0; i < range.count; i++) {
        const struct policy_port *ports = &policy->ports[range.first + i];
        bool in = ports->low <= port && port <= ports->high;
        if (ports->negate && in)
            return false;
        positive = positive || !ports->negate;
        found = found || (!ports->negate && in);
    }
    return found || !positive;
}

/* Matches the criteria on one end: returns 0, NO_MATCH, or the missing fact. */
static uint32_t end_matches(const struct policy *policy, const struct view *view,
                            const struct end *end, struct policy_range addresses,
                            struct policy_range ports)
{
    if (addresses.count == 0 && ports.count == 0)
        return 0;
    if (view->sockinfo->families == FAMILY_UNIX)
        return NO_MATCH;
    if (!end->known)
        return end->fact;
    return address_matches(policy, addresses, end) && port_matches(policy, ports, end->port)
               ? 0
               : NO_MATCH;
}

/* Compares what the socket may be with what the rule accepts: returns 0, NO_MATCH, or `fact` if the
 * result depends on it. */
static uint32_t set_matches(unsigned possible, unsigned accepted, enum fact_bit fact)
{
    if ((possible & accepted) == 0)
        return NO_MATCH;
    return (possible & ~accepted) == 0 ? 0 : fact;
}

static uint32_t role_matches(const struct sockinfo *sockinfo, unsigned accepted)
{
    if ((sockinfo->known & FACT_ROLE) != 0)
        return (sockinfo->roles & accepted) != 0 ? 0 : NO_MATCH;
    return set_matches(sockinfo->roles, accepted, FACT_ROLE);
}

static uint32_t arm_matches(const struct policy_trial *arm, const struct sockinfo *sockinfo)
{
    uint32_t missing = trial_missing(arm, sockinfo);
    if (missing != 0)
        return missing;
    return trial_is_in(arm, sockinfo) ? 0 : NO_MATCH;
}

/* Matches the rule's criteria on the socket: returns 0, NO_MATCH, or the missing facts. */
static uint32_t rule_matches(const struct policy *policy, const struct policy_rule *rule,
                             const struct view *view)
{
    const struct sockinfo *sockinfo = view->sockinfo;
    uint32_t missing = role_matches(sockinfo, rule->roles) |
                       set_matches(sockinfo->families, rule->families, FACT_FAMILY) |
                       set_matches(sockinfo->protocols, rule->protocols, FACT_PROTOCOL);
    if (missing == NO_MATCH) /* NO_MATCH has all bits set */
        return NO_MATCH;
    missing |= end_matches(policy, view, &view->remote, rule->remote, rule->remote_port);
    if (missing == NO_MATCH)
        return NO_MATCH;
    missing |= end_matches(policy, view, &view->local, rule->local, rule->local_port);
    if (missing == NO_MATCH || rule->trial.count == 0)
        return missing;
    return missing | arm_matches(&policy->trials[rule->trial.first], sockinfo);
}

/* True if the option can exist for what the sockinfo may be. One statement may have several
 * actions, for families or protocols that need it at different phases. */
static bool action_concerns(const struct policy_action *action, const struct sockinfo *sockinfo)
{
    return (action->families & sockinfo->families) != 0 &&
           (action->protocols & sockinfo->protocols) != 0;
}

/*
 * Takes the actions of a matching rule into the decision. One statement may have an action for each
 * kind of socket that needs it at other phases. While the kind is ambiguous, the last action wins,
 * and the missing fact is returned if it matters at `phases`.
 */
static unsigned take_actions(const struct policy *policy, const struct policy_rule *rule,
                             const struct sockinfo *sockinfo, unsigned phases,
                             struct decision *decision)
{
    unsigned needed = 0;
    for (uint32_t a = rule->actions.first; a < rule->actions.first + rule->actions.count; a++) {
        const struct policy_action *action = &policy->actions[a];
        if (action->mode == MODE_IGNORE || !action_concerns(action, sockinfo))
            continue;
        uint32_t before = decision->action[action->option];
        if (before != NO_ACTION && before >= rule->actions.first) {
            const struct policy_action *other = &policy->actions[before];
            if (((action->phases ^ other->phases) & phases) != 0)
                needed |= action->families != other->families ? FACT_FAMILY : FACT_ROLE;
        }
        decision->action[action->option] = a;
    }
    return needed & ~(unsigned)(sockinfo->known | sockinfo->unavailable);
}

bool action_applies(const struct policy_action *action, const struct sockinfo *sockinfo,
                    enum phase phase)
{
    return (action->phases & PHASE_BIT(phase)) != 0 && action_concerns(action, sockinfo);
}

/* At socket() the role is unknown, but no later call can change the transport. So a rule on a role
 * that the socket may still get sets it. */
static void take_transport(const struct policy *policy, const struct policy_rule *rule,
                           const struct sockinfo *sockinfo, struct decision *decision)
{
    for (uint32_t a = rule->actions.first; a < rule->actions.first + rule->actions.count; a++) {
        const struct policy_action *action = &policy->actions[a];
        if (action->op == OP_TRANSPORT && action_applies(action, sockinfo, PHASE_SOCKET))
            decision->action[action->option] = a;
    }
}

unsigned match_rules(const struct policy *policy, const struct active *active,
                     const struct sockinfo *sockinfo, unsigned phases, struct decision *decision)
{
    struct view view = view_of(sockinfo);
    unsigned needed = 0, relevant = 0;
    for (uint32_t i = 0; i < policy->option_count; i++)
        decision->action[i] = NO_ACTION;
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        uint32_t missing = rule_matches(policy, rule, &view);
        if (missing == FACT_ROLE && (phases & PHASE_BIT(PHASE_SOCKET)) != 0)
            take_transport(policy, rule, sockinfo, decision);
        if (missing == NO_MATCH || (missing & sockinfo->unavailable) != 0)
            continue;
        relevant |= rule->phases & phases;
        needed |= missing;
        if (missing != 0)
            continue;
        needed |= take_actions(policy, rule, sockinfo, phases, decision);
        if ((rule->flags & RULE_FINAL) != 0)
            break;
    }
    return relevant != 0 ? needed : 0;
}

/* What one rule says about the program's own setsockopt() of an option. */
struct rule_guard {
    uint32_t gives; /* the action that sets the option, or NO_ACTION */
    bool ignores;   /* true: the program's call has no effect */
};

static struct rule_guard rule_guards(const struct policy *policy, const struct policy_rule *rule,
                                     const struct sockinfo *sockinfo, uint32_t option)
{
    struct rule_guard says = {NO_ACTION, false};
    for (uint32_t a = rule->actions.first; a < rule->actions.first + rule->actions.count; a++) {
        const struct policy_action *action = &policy->actions[a];
        if (action->option != option || !action_concerns(action, sockinfo))
            continue;
        if (action->mode == MODE_IGNORE)
            says.ignores = true;
        else
            says.gives = a;
    }
    return says;
}

unsigned match_guard(const struct policy *policy, const struct active *active,
                     const struct sockinfo *sockinfo, uint32_t option, struct guard *guard)
{
    struct view view = view_of(sockinfo);
    unsigned needed = 0;
    *guard = (struct guard){.held = NO_ACTION};
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        struct rule_guard says = rule_guards(policy, rule, sockinfo, option);
        bool final = (rule->flags & RULE_FINAL) != 0;
        if (says.gives == NO_ACTION && !says.ignores && !final)
            continue;
        uint32_t missing = rule_matches(policy, rule, &view);
        if (missing == NO_MATCH)
            continue;
        needed |= missing & ~(uint32_t)sockinfo->unavailable;
        guard->ignored = guard->ignored || says.ignores;
        if (missing != 0)
            continue;
        if (says.gives != NO_ACTION)
            guard->held = policy_is_guard(&policy->actions[says.gives]) ? says.gives : NO_ACTION;
        if (final)
            break;
    }
    return needed;
}

unsigned match_report(const struct policy *policy, const struct active *active,
                      const struct sockinfo *sockinfo, uint32_t *number)
{
    struct view view = view_of(sockinfo);
    uint32_t numbered = 0;
    unsigned needed = 0;
    *number = NO_REPORT;
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        bool reports = (rule->flags & RULE_REPORT) != 0, final = (rule->flags & RULE_FINAL) != 0;
        if (!reports && !final)
            continue;
        uint32_t missing = rule_matches(policy, rule, &view);
        if (missing != NO_MATCH && (missing & sockinfo->unavailable) == 0) {
            needed |= missing;
            if (missing == 0 && reports)
                *number = numbered;
            if (missing == 0 && final)
                break;
        }
        numbered += reports;
    }
    return needed;
}

uint32_t report_rule(const struct policy *policy, const struct active *active, uint32_t number)
{
    for (uint32_t i = 0; i < active->count; i++)
        if ((policy->rules[active->rules[i]].flags & RULE_REPORT) != 0 && number-- == 0)
            return active->rules[i];
    return NO_REPORT;
}
