/* SPDX-License-Identifier: MIT */
/*
 * socktune explain: which options a socket would be given, at which call, by which rule.
 */
#include "commands.h"
#include "compat.h"
#include "console.h"
#include "endpoint.h"
#include "executable.h"
#include "format_option.h"
#include "front_end_limits.h"
#include "kernel_socket.h"
#include "names.h"
#include "option.h"
#include "policy_file.h"
#include "print_diagnostic.h"
#include "process.h"
#include "simulate.h"
#include "wrap.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The command line. */
struct question {
    const char *rules;
    const char *program;
    const char *user;
    const char *group;
    const char *cgroup;
    const char *protocol;
    const char *family;
    const char *listen;
    const char *connect;
    const char *accept;
    const char *by;
    bool socket;
    bool json;
};

/* The program and the socket to explain. */
struct answer_for {
    enum front_end by; /* FRONT_END_COUNT: any way */
    struct identity identity;
    struct scenario scenario;
};

static const char *const calls[] = {
    [PHASE_SOCKET] = "socket",          [PHASE_BIND] = "before bind",
    [PHASE_CONNECT] = "before connect", [PHASE_CONNECTED] = "after connect",
    [PHASE_LISTEN] = "before listen",   [PHASE_LISTENING] = "after listen",
    [PHASE_ACCEPT] = "accept",          [PHASE_ACCEPT_WILDCARD] = "accept",
};

/* The question */

static const struct {
    const char *name;
    int domain;
} families[] = {{"inet", AF_INET}, {"inet6", AF_INET6}, {"unix", AF_UNIX}};

/* Names as in rules; the domain chooses among rows of one name. */
static const struct {
    const char *name;
    int domain; /* AF_UNSPEC: both IP families */
    int type;
    int protocol;
} protocols[] = {
    {"tcp", AF_UNSPEC, SOCK_STREAM, IPPROTO_TCP},
    {"mptcp", AF_UNSPEC, SOCK_STREAM, IPPROTO_MPTCP},
    {"sctp", AF_UNSPEC, SOCK_STREAM, IPPROTO_SCTP},
    {"dccp", AF_UNSPEC, SOCK_DCCP, IPPROTO_DCCP},
    {"udp", AF_UNSPEC, SOCK_DGRAM, IPPROTO_UDP},
    {"udplite", AF_UNSPEC, SOCK_DGRAM, IPPROTO_UDPLITE},
    {"icmp", AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
    {"icmp", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6},
    {"raw", AF_UNSPEC, SOCK_RAW, IPPROTO_RAW},
    {"unix-stream", AF_UNIX, SOCK_STREAM, 0},
    {"unix-dgram", AF_UNIX, SOCK_DGRAM, 0},
};

static bool is_ip(int domain)
{
    return domain == AF_INET || domain == AF_INET6;
}

static int set_type(const char *name, struct scenario *scenario)
{
    if (name == NULL)
        name = is_ip(scenario->domain) ? "tcp" : "unix-stream";
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
        bool fits = protocols[i].domain == AF_UNSPEC ? is_ip(scenario->domain)
                                                     : protocols[i].domain == scenario->domain;
        if (!fits || strcmp(protocols[i].name, name) != 0)
            continue;
        scenario->type = protocols[i].type;
        scenario->protocol = protocols[i].protocol;
        return 0;
    }
    return command_misuse("no protocol \"%s\" in this family; there are tcp, mptcp, sctp, dccp, "
                          "udp, udplite, icmp and raw, and unix-stream and unix-dgram",
                          name);
}

/* The family asked for, or the one that an address implies, or IPv4. */
static int set_family(const char *name, const char *const *addresses, struct scenario *scenario)
{
    scenario->domain = AF_UNSPEC;
    for (size_t i = 0; name != NULL && i < sizeof families / sizeof *families; i++)
        if (strcmp(families[i].name, name) == 0)
            scenario->domain = families[i].domain;
    if (name != NULL && scenario->domain == AF_UNSPEC)
        return command_misuse("no family \"%s\"; there are inet, inet6 and unix", name);
    for (; *addresses != NULL && scenario->domain == AF_UNSPEC; addresses++)
        scenario->domain = endpoint_family(*addresses);
    if (scenario->domain == AF_UNSPEC)
        scenario->domain = AF_INET;
    return 0;
}

static int read_address(const char *text, int domain, struct sockaddr_storage *to)
{
    const char *wrong = endpoint_read(text, domain, to);
    return wrong != NULL ? command_misuse("\"%s\": %s", text, wrong) : 0;
}

static int set_accept(const struct question *question, struct scenario *scenario)
{
    char *local = strdup(question->accept);
    char *remote = local != NULL ? strchr(local, ',') : NULL;
    int status;
    if (remote == NULL) {
        free(local);
        return command_misuse("expected --accept LOCAL,REMOTE");
    }
    *remote++ = '\0';
    status = set_family(question->family, (const char *[]){local, remote, NULL}, scenario);
    if (!status)
        status = read_address(local, scenario->domain, &scenario->local);
    if (!status)
        status = read_address(remote, scenario->domain, &scenario->remote);
    free(local);
    return status;
}

static int set_scenario(const struct question *question, struct scenario *scenario)
{
    const char *address = question->listen != NULL ? question->listen : question->connect;
    int status = question->accept != NULL
                     ? set_accept(question, scenario)
                     : set_family(question->family, (const char *[]){address, NULL}, scenario);
    scenario->history = question->accept != NULL    ? HISTORY_ACCEPT
                        : question->listen != NULL  ? HISTORY_LISTEN
                        : question->connect != NULL ? HISTORY_CONNECT
                                                    : HISTORY_SOCKET;
    if (!status && address != NULL)
        status = read_address(address, scenario->domain,
                              question->listen != NULL ? &scenario->local : &scenario->remote);
    if (!status)
        status = set_type(question->protocol, scenario);
    if (!status && question->accept != NULL &&
        protocol_bit_of(scenario->domain, scenario->type, scenario->protocol) & PROTOCOL_DATAGRAM)
        status = command_misuse("%s sockets are not accepted", question->protocol);
    return status;
}

/* The number that digits alone stand for; false if it is none, or (uid_t)-1. */
static bool read_id(const char *word, uint32_t *id)
{
    char *end;
    unsigned long number;
    errno = 0;
    number = strtoul(word, &end, 10);
    if (*word < '0' || *word > '9' || *end != '\0' || errno != 0 || number >= UINT32_MAX)
        return false;
    *id = (uint32_t)number;
    return true;
}

static int set_user(const char *name, uint32_t *uid)
{
    const struct passwd *user = name != NULL ? getpwnam(name) : NULL;
    *uid = user != NULL ? user->pw_uid : geteuid();
    if (name == NULL || user != NULL || read_id(name, uid))
        return 0;
    return command_failure("no user \"%s\"", name);
}

static int set_group(const char *name, uint32_t *gid)
{
    const struct group *group = name != NULL ? getgrnam(name) : NULL;
    *gid = group != NULL ? group->gr_gid : getegid();
    if (name == NULL || group != NULL || read_id(name, gid))
        return 0;
    return command_failure("no group \"%s\"", name);
}

/* The answer */

/* Widths of the columns AT, OPTION, VALUE and HOW, without the space between them. */
enum { COLUMNS = 4, GAP = 2, RULE_LEAST = 24 };
static const unsigned wide[COLUMNS] = {14, 26, 20, 8};

struct effect_row {
    const char *cells[COLUMNS];
    char value[POLICY_VALUE_MAX];
    char *rule;
};

static void make_row(const struct policy *policy, const struct effect *effect,
                     struct effect_row *row)
{
    const struct policy_action *action = &policy->actions[effect->action];
    char *where = action_where(policy, effect->action);
    action_format(policy, action, row->value, sizeof row->value);
    row->cells[0] = calls[effect->phase];
    row->cells[1] = policy_string(policy, policy->options[action->option].name);
    row->cells[2] = row->value;
    row->cells[3] = mode_name(action->mode);
    if (asprintf(&row->rule, "%s%s", where != NULL ? where : "",
                 effect->inherited ? " (on the listener, inherited)" : "") < 0)
        row->rule = NULL;
    free(where);
}

/* Choose column widths for the terminal: by the cells' contents if the defaults do not fit. */
static void fit_columns(const struct policy *policy, const struct outcome *outcome,
                        unsigned terminal, unsigned widths[COLUMNS])
{
    static const unsigned heads[COLUMNS] = {2, 6, 5, 3};
    struct effect_row row;
    memcpy(widths, terminal == 0 ? wide : heads, sizeof wide);
    for (uint32_t i = 0; terminal != 0 && i < outcome->effect_count; i++) {
        make_row(policy, &outcome->effects[i], &row);
        for (unsigned column = 0; column < COLUMNS; column++)
            if (strlen(row.cells[column]) > widths[column])
                widths[column] = (unsigned)strlen(row.cells[column]);
        free(row.rule);
    }
}

/* The rule stands in the last column, or below where there is no room for one. */
static void print_row(const char *const cells[COLUMNS], const char *rule,
                      const unsigned widths[COLUMNS], unsigned terminal)
{
    unsigned column = 0;
    for (unsigned i = 0; i < COLUMNS; i++)
        column += widths[i] + GAP;
    if (terminal != 0 && column > terminal) { /* not even the columns fit */
        wrap_line("%s %s %s %s", cells[0], cells[1], cells[2], cells[3]);
        printf("%*s", 2 * GAP, "");
        wrap_print(rule, 2 * GAP, terminal);
        return;
    }
    for (unsigned i = 0; i < COLUMNS; i++)
        printf("%-*s%*s", (int)widths[i], cells[i], GAP, "");
    if (terminal != 0 && column + RULE_LEAST > terminal) {
        column = 2 * GAP;
        printf("\n%*s", (int)column, "");
    }
    wrap_print(rule, column, terminal);
}

static void print_effects(const struct policy *policy, const struct outcome *outcome)
{
    static const char *const heads[COLUMNS] = {"AT", "OPTION", "VALUE", "HOW"};
    unsigned widths[COLUMNS], terminal = wrap_terminal();
    fit_columns(policy, outcome, terminal, widths);
    fputs(colour(stdout, COLOUR_BOLD), stdout);
    print_row(heads, "RULE", widths, terminal);
    fputs(colour(stdout, COLOUR_NONE), stdout);
    for (uint32_t i = 0; i < outcome->effect_count; i++) {
        struct effect_row row;
        make_row(policy, &outcome->effects[i], &row);
        print_row(row.cells, row.rule != NULL ? row.rule : "", widths, terminal);
        free(row.rule);
    }
}

static void print_guards(const struct policy *policy, const struct outcome *outcome)
{
    for (uint32_t i = 0; i < outcome->guard_count; i++) {
        const struct guarded_option *guard = &outcome->guards[i];
        const struct policy_action *action = &policy->actions[guard->action];
        const char *option = policy_string(policy, policy->options[guard->option].name);
        char *where = action_where(policy, guard->action);
        if (policy_is_bound(action))
            wrap_line("The program's own setting of %s is %s to %s: %s by %s", option,
                      action->mode == MODE_AT_LEAST ? "raised" : "lowered",
                      policy_string(policy, action->text), mode_name(action->mode),
                      where != NULL ? where : "");
        else
            wrap_line("The program's own setting of %s has no effect: %s by %s", option,
                      mode_name(action->mode), where != NULL ? where : "");
        free(where);
    }
}

static const char *handoff_name(const struct policy_rule *rule)
{
    return rule->flags & RULE_HANDOFF_SOCKET ? "socket"
           : rule->flags & RULE_HANDOFF_AUTO ? "auto"
                                             : "ring";
}

/* `connection`: it may be passed; listeners and UDP sockets never are. */
static void print_report(const struct policy *policy, const struct outcome *outcome,
                         bool connection)
{
    const struct policy_rule *rule;
    if (outcome->report == NO_REPORT)
        return;
    rule = &policy->rules[outcome->report];
    wrap_line("It is reported by %s, %s:%u%s.", policy_string(policy, rule->name),
              policy_string(policy, rule->file), rule->line,
              !connection                         ? ""
              : rule->flags & RULE_HANDOFF_SOCKET ? ", and passed to the helper"
              : rule->flags & RULE_HANDOFF_AUTO
                  ? ", and passed to the helper where sock_diag cannot be had"
                  : "");
}

static void print_inherited(const struct policy *policy, const struct active *active)
{
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        if (rule->flags & RULE_INHERITED)
            wrap_line("%s, %s:%u, is also for sockets that the program has from its parent.",
                      policy_string(policy, rule->name), policy_string(policy, rule->file),
                      rule->line);
    }
}

/* Can what connect() gives a socket be taken back, when it is connected again to another peer? */
enum lasting { LASTING_NOT, LASTING_WITHOUT_PRIVILEGE, LASTING_ALWAYS };

static const char *const lasting_names[] = {[LASTING_NOT] = "no",
                                            [LASTING_WITHOUT_PRIVILEGE] = "without privilege",
                                            [LASTING_ALWAYS] = "always"};

static enum lasting effect_lasts(const struct policy *policy, const struct effect *effect)
{
    const struct policy_option *option = &policy->options[policy->actions[effect->action].option];
    const struct option *row = option_find_number(option->level, option->optname);
    if (effect->phase != PHASE_CONNECT && effect->phase != PHASE_CONNECTED)
        return LASTING_NOT;
    if (option->flags & OPTION_NOT_READ_BACK) /* TCP begins anew (tcp_disconnect()) */
        return option->level == IPPROTO_TCP ? LASTING_NOT : LASTING_ALWAYS;
    return row != NULL &&
                   (row->privilege == PRIVILEGE_NET_ADMIN || row->privilege == PRIVILEGE_NET_RAW ||
                    row->privilege == PRIVILEGE_CHANGE)
               ? LASTING_WITHOUT_PRIVILEGE
               : LASTING_NOT;
}

static void print_lasting(const struct policy *policy, const struct outcome *outcome)
{
    static const char *const texts[] = {
        [LASTING_WITHOUT_PRIVILEGE] = ", unless the program may still set it",
        [LASTING_ALWAYS] = "",
    };
    for (uint32_t i = 0; i < outcome->effect_count; i++) {
        const struct policy_action *action = &policy->actions[outcome->effects[i].action];
        enum lasting lasts = effect_lasts(policy, &outcome->effects[i]);
        if (lasts != LASTING_NOT)
            printf("%s stays when the socket is connected again, to another peer%s.\n",
                   policy_string(policy, policy->options[action->option].name), texts[lasts]);
    }
}

/* What a way of applying the rules does not give, or not in every case. */
struct missed {
    uint32_t action;
    const struct front_end_limit *limit;
};

static void add_missed(struct missed *missed, uint32_t *count, uint32_t action,
                       const struct front_end_limit *limit)
{
    for (uint32_t i = 0; i < *count; i++)
        if (missed[i].action == action)
            return;
    missed[(*count)++] = (struct missed){action, limit};
}

/* Why the way of applying the rules does not guard an option; NULL: it does. */
static const struct front_end_limit *guard_limit(const struct policy_limits *limits,
                                                 uint32_t action)
{
    bool guards = limits->front_end != FRONT_END_APPLY && limits->front_end != FRONT_END_ATTACH;
    return guards ? NULL : limits_of(limits, action, 0);
}

/* Remove the actions that this front end cannot apply from the outcome. Returns their number in
 * `missed` (2 * POLICY_OPTIONS_MAX). */
static uint32_t apply_limits(const struct policy_limits *limits, struct outcome *outcome,
                             struct missed *missed)
{
    uint32_t count = 0, kept = 0;
    for (uint32_t i = 0; i < outcome->effect_count; i++) {
        const struct effect *effect = &outcome->effects[i];
        const struct front_end_limit *limit =
            limits_of(limits, effect->action, PHASE_BIT(effect->phase));
        if (limit != NULL)
            add_missed(missed, &count, effect->action, limit);
        if (limit == NULL || limit->certainty != LIMIT_MISSES)
            outcome->effects[kept++] = *effect;
    }
    outcome->effect_count = kept;
    kept = 0;
    for (uint32_t i = 0; i < outcome->guard_count; i++) {
        const struct policy_action *action = &limits->policy->actions[outcome->guards[i].action];
        const struct front_end_limit *limit = guard_limit(limits, outcome->guards[i].action);
        if (limit != NULL && (action->mode == MODE_IGNORE || limit->certainty == LIMIT_MISSES))
            add_missed(missed, &count, outcome->guards[i].action, limit);
        if (limit == NULL)
            outcome->guards[kept++] = outcome->guards[i];
    }
    outcome->guard_count = kept;
    return count;
}

/* For limits_of_rule(). */
struct missed_list {
    const struct policy *policy;
    const struct missed *items;
    uint32_t count;
};

static const struct missed *find_missed(const struct missed_list *list, uint32_t action)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->items[i].action == action)
            return &list->items[i];
    return NULL;
}

static const char *missed_reason(void *context, uint32_t action)
{
    const struct missed *missed = find_missed(context, action);
    return missed != NULL ? missed->limit->reason : NULL;
}

static void print_reason(void *context, uint32_t first, const char *subject, const char *reason)
{
    const struct missed_list *list = context;
    const struct missed *missed = find_missed(list, first);
    char *where = action_where(list->policy, first);
    wrap_line("By %s, %s %s: %s", front_end_name(missed->limit->front_end), subject, reason,
              where != NULL ? where : "");
    free(where);
}

static void print_missed(const struct policy *policy, const struct missed *missed, uint32_t count)
{
    struct missed_list list = {policy, missed, count};
    const struct limit_report to = {missed_reason, print_reason, &list};
    for (uint32_t i = 0; i < policy->rule_count; i++)
        limits_of_rule(policy, &policy->rules[i], &to);
}

static json_t *json_missed(const struct policy *policy, const struct missed *missed, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, limit_json(policy, missed[i].action, missed[i].limit));
    return list;
}

/* Rules that rather have a call fail; each is named once. */
static void print_requirements(const struct policy *policy, const struct outcome *outcome)
{
    const unsigned failing =
        PHASE_BIT(PHASE_BIND) | PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_LISTEN);
    const struct policy_rule *last = NULL;
    for (uint32_t i = 0; i < outcome->effect_count; i++) {
        const struct policy_rule *rule = policy_rule_of_action(policy, outcome->effects[i].action);
        if (!(rule->flags & RULE_REQUIRE) || rule == last ||
            !(failing & PHASE_BIT(outcome->effects[i].phase)))
            continue;
        wrap_line("Where an option of %s cannot be given, the call fails: require, %s:%u",
                  policy_string(policy, rule->name), policy_string(policy, rule->file), rule->line);
        last = rule;
    }
}

static void print_answer(const struct policy *policy, const struct active *active,
                         const struct outcome *outcome, bool connection)
{
    printf("%u of %u rule%s %s for this program.\n", active->count, policy->rule_count,
           plural(policy->rule_count), active->count == 1 ? "is" : "are");
    if (outcome->effect_count)
        print_effects(policy, outcome);
    else
        puts("They give such a socket nothing.");
    print_guards(policy, outcome);
    print_requirements(policy, outcome);
    print_report(policy, outcome, connection);
    print_inherited(policy, active);
}

static json_t *json_report(const struct policy *policy, uint32_t index)
{
    const struct policy_rule *rule;
    if (index == NO_REPORT)
        return json_null();
    rule = &policy->rules[index];
    return json_pack("{s:o, s:o, s:i, s:s}", "rule", json_text(policy_string(policy, rule->name)),
                     "file", json_text(policy_string(policy, rule->file)), "line", (int)rule->line,
                     "handoff", handoff_name(rule));
}

static json_t *json_bytes(const struct policy *policy, const struct policy_action *action)
{
    char hex[2 * POLICY_VALUE_MAX + 1];
    bytes_hexadecimal(policy->data + action->value, action->length, hex, sizeof hex);
    return json_string(hex);
}

static json_t *json_effect(const struct policy *policy, const struct effect *effect)
{
    const struct policy_action *action = &policy->actions[effect->action];
    json_t *object = action_json_where(policy, effect->action);
    json_object_set_new(object, "at", json_string(calls[effect->phase]));
    json_object_set_new(object, "inherited", json_boolean(effect->inherited));
    json_object_set_new(object, "stays", json_string(lasting_names[effect_lasts(policy, effect)]));
    json_object_set_new(object, "value", action_json_value(policy, action));
    json_object_set_new(object, "written", json_text(policy_string(policy, action->text)));
    json_object_set_new(object, "bytes", json_bytes(policy, action));
    if (action->op == OP_MERGE)
        json_object_set_new(object, "mask", json_integer(action->mask));
    return object;
}

/* What a bound raises or lowers to is said, too. */
static json_t *json_guard(const struct policy *policy, uint32_t index)
{
    const struct policy_action *action = &policy->actions[index];
    json_t *object = action_json_where(policy, index);
    if (policy_is_bound(action)) {
        json_object_set_new(object, "value", action_json_value(policy, action));
        json_object_set_new(object, "bytes", json_bytes(policy, action));
    }
    return object;
}

static json_t *json_effects(const struct policy *policy, const struct outcome *outcome)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < outcome->effect_count; i++)
        json_array_append_new(list, json_effect(policy, &outcome->effects[i]));
    return list;
}

/* The arms of trials */

/* The options that an arm sets on the socket, and those of them that the front end cannot set. */
struct arm_answer {
    uint32_t rule; /* index into policy->rules */
    struct outcome outcome;
    struct missed missed[2 * POLICY_OPTIONS_MAX];
    uint32_t missed_count;
};

typedef void arm_visitor(void *context, const struct policy *policy, const struct arm_answer *arm);

/* Visit the arms that such a socket can be in. Only connections are. */
static void each_arm(const struct policy_limits *limits, const struct active *active,
                     const struct scenario *scenario, arm_visitor *visit, void *context)
{
    const struct policy *policy = limits->policy;
    struct arm_answer *arm = malloc(sizeof *arm);
    for (uint32_t i = 0; arm != NULL && i < active->count; i++) {
        arm->rule = active->rules[i];
        if (!simulate_arm(policy, active, arm->rule, scenario, &arm->outcome))
            continue;
        arm->missed_count = apply_limits(limits, &arm->outcome, arm->missed);
        visit(context, policy, arm);
    }
    free(arm);
}

static void print_arm(void *unused, const struct policy *policy, const struct arm_answer *arm)
{
    const struct policy_rule *rule = &policy->rules[arm->rule];
    (void)unused;
    putchar('\n');
    wrap_line("In the arm %s of a trial, %s:%u, it also gets:", policy_string(policy, rule->name),
              policy_string(policy, rule->file), rule->line);
    if (arm->outcome.effect_count != 0)
        print_effects(policy, &arm->outcome);
    else
        puts("Nothing.");
    print_missed(policy, arm->missed, arm->missed_count);
}

/* The part of the connections, or of the intervals, that has the arm. */
static double share_of(const struct policy_trial *trial)
{
    return trial->unit_ns != 0 ? 1.0 / trial->arms : (trial->high - trial->low) / 65536.0;
}

/* A rule that is an arm is called TRIAL/ARM. */
static json_t *json_trial_name(const char *rule)
{
    char *name = strndup(rule, strcspn(rule, "/"));
    json_t *text = name != NULL ? json_text(name) : NULL;
    free(name);
    return text;
}

static void json_arm(void *context, const struct policy *policy, const struct arm_answer *arm)
{
    const struct policy_rule *rule = &policy->rules[arm->rule];
    const struct policy_trial *trial = &policy->trials[rule->trial.first];
    const char *name = policy_string(policy, rule->name), *slash = strchr(name, '/');
    json_array_append_new(
        context,
        json_pack("{s:o, s:o, s:o, s:o, s:i, s:b, s:f, s:o, s:o, s:o}", "trial",
                  json_trial_name(name), "arm", json_text(slash != NULL ? slash + 1 : name), "rule",
                  json_text(name), "file", json_text(policy_string(policy, rule->file)), "line",
                  (int)rule->line, "control", trial->arm == 0, "share", share_of(trial), "unit",
                  trial->unit_ns != 0 ? json_real((double)trial->unit_ns / 1e9) : json_null(),
                  "options", json_effects(policy, &arm->outcome), "missed",
                  json_missed(policy, arm->missed, arm->missed_count)));
}

/* Peers without MPTCP */

/* The same effects, or not? */
static bool is_same_outcome(const struct outcome *one, const struct outcome *other)
{
    bool same = one->effect_count == other->effect_count;
    for (uint32_t i = 0; same && i < one->effect_count; i++)
        same = one->effects[i].action == other->effects[i].action;
    return same;
}

/* What accept() gives a plain TCP socket that a listener of MPTCP has accepted, if it is not what
 * an MPTCP socket has; else NULL. malloc()ed. */
static struct outcome *outcome_without_mptcp(const struct policy *policy,
                                             const struct active *active,
                                             const struct scenario *scenario,
                                             const struct outcome *outcome)
{
    struct scenario fallen = *scenario;
    struct outcome *plain = scenario->history == HISTORY_ACCEPT ? malloc(sizeof *plain) : NULL;
    fallen.falls_back = true;
    if (plain != NULL)
        simulate_socket(policy, active, &fallen, plain);
    if (plain != NULL && is_same_outcome(outcome, plain)) {
        free(plain);
        plain = NULL;
    }
    return plain;
}

static void print_without_mptcp(const struct policy *policy, const struct outcome *plain)
{
    puts("\nFrom a peer without MPTCP, accept() returns a TCP socket. It gets:");
    if (plain->effect_count != 0)
        print_effects(policy, plain);
    else
        puts("Nothing.");
}

/* The whole */

static json_t *json_rules(const struct policy *policy, const struct active *active)
{
    json_t *rules = json_array();
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        json_array_append_new(rules, json_pack("{s:o, s:o, s:i, s:b, s:b}", "rule",
                                               json_text(policy_string(policy, rule->name)), "file",
                                               json_text(policy_string(policy, rule->file)), "line",
                                               (int)rule->line, "inherited",
                                               (rule->flags & RULE_INHERITED) != 0, "require",
                                               (rule->flags & RULE_REQUIRE) != 0));
    }
    return rules;
}

/* `plain`: outcome_without_mptcp(). */
static int print_json_answer(const struct policy_limits *limits, const struct active *active,
                             const struct scenario *scenario, const struct outcome *outcome,
                             const struct outcome *plain, json_t *missed)
{
    const struct policy *policy = limits->policy;
    json_t *guards = json_array(), *arms = json_array();
    each_arm(limits, active, scenario, json_arm, arms);
    for (uint32_t i = 0; i < outcome->guard_count; i++)
        json_array_append_new(guards, json_guard(policy, outcome->guards[i].action));
    return print_json(
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rules", json_rules(policy, active),
                  "options", json_effects(policy, outcome), "without_mptcp",
                  plain != NULL ? json_effects(policy, plain) : json_null(), "guarded", guards,
                  "report", json_report(policy, outcome->report), "missed", missed, "arms", arms));
}

static bool has_bounds(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->action_count; i++)
        if (policy_is_bound(&policy->actions[i]))
            return true;
    return false;
}

/* What this kernel gives such a socket, as far as one can be made. */
static void take_initial(const struct policy *policy, const struct scenario *scenario,
                         struct default_value *initial)
{
    int fd = has_bounds(policy)
                 ? socket(scenario->domain, scenario->type | SOCK_CLOEXEC, scenario->protocol)
                 : -1;
    if (fd < 0)
        return;
    defaults_note(KERNEL_SOCKET(fd), policy, initial);
    close(fd);
}

static int explain_policy(const struct policy *policy, struct answer_for *whom, bool json)
{
    uint32_t *rules = calloc(policy->rule_count + 1, sizeof *rules);
    struct outcome *outcome = malloc(sizeof *outcome), *plain = NULL;
    struct default_value initial[POLICY_OPTIONS_MAX] = {{0}};
    struct active active = {rules, 0};
    struct missed missed[2 * POLICY_OPTIONS_MAX];
    struct policy_limits limits;
    uint32_t count;
    int status = 0;
    if (limits_read(&limits, policy, whom->by, true) != 0 || rules == NULL || outcome == NULL) {
        status = command_failure("%s", strerror(errno));
        goto out;
    }
    active.count = active_rules(policy, &whom->identity, rules);
    take_initial(policy, &whom->scenario, initial);
    whom->scenario.initial = initial;
    simulate_socket(policy, &active, &whom->scenario, outcome);
    plain = outcome_without_mptcp(policy, &active, &whom->scenario, outcome);
    count = apply_limits(&limits, outcome, missed);
    bool reported = limits_report(&limits, whom->scenario.type, whom->scenario.protocol);
    bool unreported = outcome->report != NO_REPORT && !reported;
    if (unreported)
        outcome->report = NO_REPORT;
    if (json) {
        status = print_json_answer(&limits, &active, &whom->scenario, outcome, plain,
                                   json_missed(policy, missed, count));
    } else {
        print_answer(policy, &active, outcome,
                     whom->scenario.history != HISTORY_LISTEN &&
                         whom->scenario.type == SOCK_STREAM);
        if (unreported)
            wrap_line("By %s, it is not reported.", front_end_name(limits.front_end));
        print_missed(policy, missed, count);
        if (whom->scenario.history == HISTORY_CONNECT)
            print_lasting(policy, outcome);
        if (plain != NULL)
            print_without_mptcp(policy, plain);
        each_arm(&limits, &active, &whom->scenario, print_arm, NULL);
    }
    whom->scenario.initial = NULL;
out:
    limits_free(&limits);
    free(plain);
    free(outcome);
    free(rules);
    return status;
}

static int explain_rules(const char *rules, struct answer_for *whom, bool json)
{
    struct diagnostics diagnostics = {
        .report = print_error, .show = print_place, .context = stderr};
    struct loaded loaded;
    int status;
    if (load_rules(rules, NULL, &diagnostics, &loaded) != 0)
        return EXIT_FAILURE;
    status = explain_policy(&loaded.policy, whom, json);
    loaded_free(&loaded);
    return status;
}

/* Explain the socket for the program that `socktune run` would find, if it is installed. command[0]
 * is its name. For the path of a script, the program is its interpreter, as in doctor. */
static int explain_program(const struct question *question, struct answer_for *whom,
                           char *const *command)
{
    struct executable executable = {.path = NULL};
    char *path = executable_find(question->program), *file;
    int failed = strchr(question->program, '/') != NULL ? executable_read(path, &executable) : -1;
    bool script = failed == 0 && executable.hops != 0;
    const char **line = script ? executable_command_line(&executable, command) : NULL;
    int status;
    if (executable.path != NULL && failed != 0 && errno == ENOEXEC) {
        status = command_failure("%s: " EXECUTABLE_DAMAGED, executable.file);
        executable_free(&executable);
        free(path);
        return status;
    }
    file = path != NULL ? realpath(line != NULL ? executable.file : path, NULL) : NULL;
    whom->identity.executable = file;
    whom->identity.argv = line != NULL ? line : (const char *const *)command;
    status = explain_rules(question->rules, whom, question->json);
    free(line);
    free(file);
    if (executable.path != NULL)
        executable_free(&executable);
    free(path);
    return status;
}

static int cmd_explain(int argc, char **argv)
{
    struct question question = {.rules = NULL};
    struct answer_for whom = {.scenario = {.history = HISTORY_SOCKET}};
    char *own_cgroup;
    int status;
    int first = parse_flags(argc, argv, &question, &status);
    if (first < 0)
        return status;
    if (question.rules == NULL)
        question.rules = default_rules();
    if (question.rules == NULL)
        return command_misuse("which rules? Name them with -c");
    if (question.program == NULL)
        return command_misuse("which program? Name it with --program");
    if (question.socket + (question.listen != NULL) + (question.connect != NULL) +
            (question.accept != NULL) !=
        1)
        return command_misuse("expected one of --socket, --listen, --connect and --accept");
    status = read_front_end(question.by, &whom.by);
    if (!status)
        status = set_scenario(&question, &whom.scenario);
    if (!status)
        status = set_user(question.user, &whom.identity.uid);
    if (!status)
        status = set_group(question.group, &whom.identity.gid);
    if (status)
        return status;
    own_cgroup = process_cgroup(0);
    whom.identity.cgroup = question.cgroup != NULL ? question.cgroup : own_cgroup;
    /* The remaining words are the program's arguments; put its name before them. */
    argv[--first] = (char *)question.program;
    status = explain_program(&question, &whom, argv + first);
    free(own_cgroup);
    return status;
}

static void list_protocols(char *text, size_t size)
{
    names_list(protocol_names, ~0U, text, size);
}

static void list_families(char *text, size_t size)
{
    names_list(family_names, ~0U, text, size);
}

static const struct flag flags[] = {
    FLAG_RULES(struct question, rules),
    {"program", 'p', FLAG_VALUE, offsetof(struct question, program), "NAME",
     "the program that makes the socket", "<program>", NULL},
    {"user", 'u', FLAG_VALUE, offsetof(struct question, user), "USER",
     "the user that runs it, a name or a number [you]", "<user>", NULL},
    {"group", 'g', FLAG_VALUE, offsetof(struct question, group), "GROUP",
     "the group that it runs as, a name or a number [yours]", NULL, NULL},
    {"cgroup", 0, FLAG_VALUE, offsetof(struct question, cgroup), "PATH",
     "the cgroup that it runs in, as /proc/PID/cgroup shows it [yours]", NULL, NULL},
    {"socket", 0, FLAG_SWITCH, offsetof(struct question, socket), NULL,
     "a new socket of which nothing else is known", NULL, NULL},
    {"listen", 0, FLAG_VALUE, offsetof(struct question, listen), "ADDR",
     "a listener at ADDR; of datagrams, a socket bound to ADDR", NULL, NULL},
    {"connect", 0, FLAG_VALUE, offsetof(struct question, connect), "ADDR",
     "a socket that connects to ADDR", NULL, NULL},
    {"accept", 0, FLAG_VALUE, offsetof(struct question, accept), "LOCAL,REMOTE",
     "a socket accepted at LOCAL from REMOTE; its listener has that port and every address", NULL,
     NULL},
    {"protocol", 0, FLAG_VALUE, offsetof(struct question, protocol), "NAME", "its protocol [tcp]",
     NULL, list_protocols},
    {"family", 0, FLAG_VALUE, offsetof(struct question, family), "NAME",
     "its address family [that of the address]", NULL, list_families},
    FLAG_BY(struct question, by),
    FLAG_JSON(struct question, json),
    FLAGS_END,
};

const struct command explain_command = {
    .name = "explain",
    .summary = "show which options a socket would get, and why",
    .synopsis =
        "[-c RULES] --program NAME [--user USER] (--socket | --listen ADDR | --connect ADDR "
        "| --accept LOCAL,REMOTE) [--protocol NAME] [--family NAME] [--by WAY] [--json] [-- "
        "ARGUMENT...]",
    .details = "An address is IP:PORT, [IPv6]:PORT or :PORT. The program is looked up as `socktune "
               "run` does; it need not be there. The arguments are the program's, for rules on its "
               "command line.",
    .flags = flags,
    .operand = "<file>",
    .run = cmd_explain,
};
