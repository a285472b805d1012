/* SPDX-License-Identifier: MIT */
/*
 * Warnings: rules that never win or ask for what cannot be had; options that cannot reach the
 * sockets of their rule. Rules that never match are in check_never.c, harm in check_hazards.c.
 */
#include "check.h"

#include "compile.h"
#include "relate.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Helpers */

const struct setting *find_setting(const struct rule *rule, int level, int optname)
{
    struct setting_target targets[SETTING_TARGETS_MAX];
    for (size_t i = 0; i < rule->setting_count; i++) {
        size_t count = setting_targets(&rule->settings[i], targets);
        for (size_t t = 0; t < count && rule->settings[i].mode != MODE_IGNORE; t++)
            if (targets[t].level == level && targets[t].optname == optname)
                return &rule->settings[i];
    }
    return NULL;
}

void read_sysctl(const struct checker *checker, const char *name, char *text, size_t size)
{
    const char *root = checker->context->sysctl_root;
    char path[512];
    FILE *file;
    text[0] = '\0';
    snprintf(path, sizeof path, "%s/%s", root != NULL ? root : "/proc/sys", name);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(text, (int)size, file) == NULL)
        text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    fclose(file);
}

bool has_sysctl(const struct checker *checker, const char *directory, const char *name)
{
    const char *root = checker->context->sysctl_root;
    char path[512];
    snprintf(path, sizeof path, "%s/%s/%s", root != NULL ? root : "/proc/sys", directory, name);
    return access(path, F_OK) == 0;
}

/* "connecting and accepted sockets" */
static const char *role_text(unsigned roles, char *text, size_t size)
{
    static const struct {
        unsigned role;
        const char *name;
    } names[] = {{ROLE_CONNECT, "connecting"},
                 {ROLE_LISTEN, "listening"},
                 {ROLE_ACCEPT, "accepted"},
                 {ROLE_DATAGRAM, "datagram"}};
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((roles & names[i].role) == 0)
            continue;
        roles &= ~names[i].role;
        used += (size_t)snprintf(text + used, size - used, "%s%s%s",
                                 used == 0    ? ""
                                 : roles == 0 ? " and "
                                              : ", ",
                                 names[i].name, roles == 0 ? " sockets" : "");
    }
    return text;
}

bool has_remote(const struct rule *rule)
{
    return rule->remote.count != 0 || rule->remote_port.count != 0;
}

unsigned meant_roles(const struct rule *rule)
{
    return rule->roles != ROLE_ALL || rule_roles(rule) != ROLE_ALL ? rule_roles(rule) : 0;
}

/* Rules among others */

static bool check_shadow(const struct checker *checker, size_t index)
{
    const struct rule *rules = checker->ruleset->rules;
    for (size_t i = 0; i < index; i++) {
        if (!rules[i].final || !rule_covers(&rules[i], &rules[index]))
            continue;
        warn(checker, rules[index].at,
             "rule \"%s\" is never reached: rule \"%s\" (%s:%u) matches all its sockets and is "
             "final",
             rules[index].name, rules[i].name, rules[i].at.file, rules[i].at.line);
        return true;
    }
    return false;
}

/* Every option that the earlier rule gives, the later one gives, too. */
static bool gives_all(const struct rule *later, const struct rule *earlier)
{
    struct setting_target targets[SETTING_TARGETS_MAX];
    for (size_t s = 0; s < earlier->setting_count; s++) {
        size_t count = setting_targets(&earlier->settings[s], targets);
        if (earlier->settings[s].mode == MODE_IGNORE)
            return false;
        for (size_t t = 0; t < count; t++)
            if (find_setting(later, targets[t].level, targets[t].optname) == NULL)
                return false;
    }
    return true;
}

static void check_overridden(const struct checker *checker, size_t index)
{
    const struct rule *rules = checker->ruleset->rules;
    const struct rule *rule = &rules[index];
    if (rule->setting_count == 0 || rule->final || rule->report)
        return;
    for (size_t i = index + 1; i < checker->ruleset->rule_count; i++) {
        if (rule_covers(&rules[i], rule) && gives_all(&rules[i], rule)) {
            warn(checker, rule->at,
                 "rule \"%s\" has no effect: rule \"%s\" (%s:%u) comes later and gives its sockets "
                 "the same options",
                 rule->name, rules[i].name, rules[i].at.file, rules[i].at.line);
            return;
        }
        if (rules[i].final)
            return; /* may keep some sockets from the rules behind it */
    }
}

static void check_purpose(const struct checker *checker, const struct rule *rule)
{
    if (rule->setting_count == 0 && !rule->final && !rule->report)
        warn(checker, rule->at, "rule \"%s\" does nothing: it has no set, default, force or ignore",
             rule->name);
    if (rule->require && rule->setting_count == 0)
        warn(checker, rule->at, "rule \"%s\": require means nothing without options to give",
             rule->name);
    if (rule->require && (meant_roles(rule) & ROLE_DATAGRAM) != 0)
        warn(checker, rule->at,
             "rule \"%s\": require does not hold back a datagram socket that sends without bind() "
             "or connect()",
             rule->name);
    if (rule->handoff_said && !rule->report)
        warn(checker, rule->at, "rule \"%s\": handoff means nothing without report = true",
             rule->name);
    else if (rule->handoff != 0 && (rule_roles(rule) & (ROLE_CONNECT | ROLE_ACCEPT)) == 0)
        warn(checker, rule->at,
             "rule \"%s\": handoff means nothing for listeners, which are never passed",
             rule->name);
    else if (rule->handoff == RULE_HANDOFF_SOCKET)
        warn_risk(
            checker, rule, "handoff", rule->at,
            "rule \"%s\": handoff = \"socket\" can delay the end of a connection, as its peer "
            "sees it, while socktuned reads from it; \"auto\" does so only where sock_diag cannot "
            "be had",
            rule->name);
}

/* Options that cannot reach the sockets of their rule */

/* True if the option exists and means something for some of the rule's sockets. */
static bool check_meaning(const struct checker *checker, const struct rule *rule,
                          const struct setting *setting)
{
    const struct option *option = setting->option;
    char has[64], wants[64];
    if ((option->families & rule->families) == 0 || (option->protocols & rule->protocols) == 0) {
        warn(checker, setting->at, "%s: it does not exist for sockets of the rule's %s",
             option->name, (option->families & rule->families) == 0 ? "family" : "protocol");
        return false;
    }
    if ((option->roles & rule_roles(rule)) == 0) {
        warn(checker, setting->at, "%s: it means nothing for %s, only for %s", option->name,
             role_text(rule_roles(rule), has, sizeof has),
             role_text(option->roles, wants, sizeof wants));
        return false;
    }
    return true;
}

/* No socket has a role before it connects or listens. */
static void check_transport_role(const struct checker *checker, const struct rule *rule,
                                 const struct setting *setting)
{
    unsigned roles = rule->roles & (ROLE_CONNECT | ROLE_LISTEN);
    if (setting->option->kind == KIND_TRANSPORT && roles != (ROLE_CONNECT | ROLE_LISTEN))
        warn(checker, setting->at,
             "transport: it is not known yet, when a socket is made, whether it will connect or "
             "listen: %s. Only of Go programs under run --supervise is it known",
             roles == ROLE_CONNECT
                 ? "listeners of the program become MPTCP sockets, too, and go on to accept TCP "
                   "clients"
                 : "connections of the program become MPTCP sockets, too, and go on to reach TCP "
                   "servers");
}

/* With transport = "mptcp", the rule's own sockets are MPTCP sockets, which refuse some options of
 * TCP. */
static void check_transport(const struct checker *checker, const struct rule *rule,
                            const struct setting *setting)
{
    const struct setting *transport = find_setting(rule, LEVEL_SOCKTUNE, SOCKTUNE_TRANSPORT);
    if (transport != NULL && transport != setting && (setting->option->protocols & PROTOCOL_TCP) &&
        !(setting->option->protocols & PROTOCOL_MPTCP))
        warn(checker, setting->at,
             "%s: MPTCP sockets refuse it: with transport = \"mptcp\" (line %u), the sockets of "
             "this rule have it only where the kernel has no MPTCP, or where a listener accepts "
             "plain TCP; a program that sets it itself may fail",
             setting->option->name, transport->at.line);
}

/* Accepted sockets inherit what belongs to the handshake, but the listener knows no peer. */
static void check_reach(const struct checker *checker, const struct rule *rule, unsigned criteria,
                        const struct setting *setting)
{
    struct setting_target targets[SETTING_TARGETS_MAX];
    struct rule accepting = *rule;
    accepting.roles = rule->roles & ROLE_ACCEPT;
    setting_targets(setting, targets);
    if ((setting->option->roles & rule_roles(&accepting)) == 0 || setting->mode == MODE_IGNORE)
        return;
    if (target_phases(&accepting, criteria | CRITERIA_ROLE, setting, &targets[0]) == 0)
        warn(checker, setting->at,
             "%s: accepted sockets do not get it: it must be set on the listener, and the rule %s",
             setting->option->name,
             has_remote(rule) ? "asks for the peer's address"
                              : "stands behind a final one that asks for the peer's address");
}

/* bind(), connect() and listen() can fail; after them, and at socket() and accept(), it is too
 * late. */
static void check_require(const struct checker *checker, const struct rule *rule, unsigned criteria,
                          const struct setting *setting)
{
    const unsigned failing =
        PHASE_BIT(PHASE_BIND) | PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_LISTEN);
    struct setting_target targets[SETTING_TARGETS_MAX];
    setting_targets(setting, targets);
    if (rule->require && setting->mode != MODE_IGNORE &&
        (target_phases(rule, criteria, setting, &targets[0]) & failing) == 0)
        warn(checker, setting->at,
             "%s: require does not hold for it: it is not given at bind(), connect() or listen(), "
             "the calls that can fail",
             setting->option->name);
}

static void check_ignore(const struct checker *checker, const struct rule *rule,
                         const struct setting *setting)
{
    if (setting->mode == MODE_IGNORE && has_remote(rule) && (rule_roles(rule) & ROLE_CONNECT) != 0)
        warn(checker, setting->at,
             "%s: programs set options before they connect, so it is ignored on every socket that "
             "may still connect to the rule's remote address",
             setting->option->name);
}

/* What is lacking here */

/* The capability without which the kernel refuses this value, or NULL. */
static const char *needed_capability(const struct setting *setting)
{
    int64_t number;
    switch (setting->option->privilege) {
    case PRIVILEGE_NET_ADMIN:
        return "CAP_NET_ADMIN";
    case PRIVILEGE_NET_RAW:
        return "CAP_NET_RAW or CAP_NET_ADMIN";
    case PRIVILEGE_ABOVE:
        if (value_number(setting->option, setting->value.bytes, setting->value.length, &number) &&
            number > setting->option->free_max)
            return "CAP_NET_ADMIN";
        return NULL;
    case PRIVILEGE_NONE:
    case PRIVILEGE_CHANGE:
        break;
    }
    return NULL;
}

static void check_privilege(const struct checker *checker, const struct setting *setting)
{
    const char *capability = needed_capability(setting);
    if (setting->mode != MODE_IGNORE && !checker->context->privileged && capability != NULL)
        warn(checker, setting->at, "%s = %s needs %s: programs without it go without the option",
             setting->option->name, setting->text, capability);
}

static bool read_version(const char *text, unsigned *version)
{
    unsigned major, minor;
    if (sscanf(text, "%u.%u", &major, &minor) != 2)
        return false;
    *version = major * 1000 + minor;
    return true;
}

static void check_kernel(const struct checker *checker, const struct setting *setting)
{
    const char *release = checker->context->kernel;
    struct utsname system;
    unsigned here, since;
    if (release == NULL)
        release = uname(&system) == 0 ? system.release : "";
    if (read_version(release, &here) && read_version(setting->option->since, &since) &&
        here < since)
        warn(checker, setting->at, "%s: it came with Linux %s, and this is %s",
             setting->option->name, setting->option->since, release);
}

/* The whole */

static void check_setting(const struct checker *checker, const struct rule *rule, unsigned criteria,
                          const struct setting *setting)
{
    if (setting->option == NULL)
        return;
    check_kernel(checker, setting);
    check_ignore(checker, rule, setting);
    check_read_back(checker, rule, setting);
    check_ignored(checker, rule, setting);
    if (!check_meaning(checker, rule, setting) || setting->mode == MODE_IGNORE)
        return;
    check_reach(checker, rule, criteria, setting);
    check_require(checker, rule, criteria, setting);
    check_transport(checker, rule, setting);
    check_transport_role(checker, rule, setting);
    check_privilege(checker, setting);
    check_hazards(checker, rule, setting);
    check_option(checker, rule, setting);
}

static void check_rule(const struct checker *checker, size_t index)
{
    const struct rule *rule = &checker->ruleset->rules[index];
    unsigned criteria = rule_criteria(checker->ruleset, index);
    check_purpose(checker, rule);
    check_every_program(checker, rule);
    check_never(checker, rule);
    if (!check_shadow(checker, index))
        check_overridden(checker, index);
    if (rule->trial != NULL && rule->trial_arm == 0)
        check_trial(checker, rule->trial);
    for (size_t s = 0; s < rule->setting_count && rule_roles(rule) != 0; s++) {
        check_raw(checker, rule, &rule->settings[s]);
        check_setting(checker, rule, criteria, &rule->settings[s]);
    }
    check_accepted(checker, rule);
}

void ruleset_check(const struct ruleset *ruleset, const struct check_context *context,
                   struct diagnostics *diagnostics)
{
    struct ruleset *named = check_name_raw(ruleset);
    const struct checker checker = {named != NULL ? named : ruleset, context, diagnostics};
    check_files(&checker);
    for (size_t i = 0; i < ruleset->rule_count; i++)
        check_rule(&checker, i);
    free(named);
}
