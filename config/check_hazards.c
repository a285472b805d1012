/* SPDX-License-Identifier: MIT */
/* Warnings about what can do harm: settings (hazards.def), rules for every program, and programs
 * that read a setting back and give up. */
#include "check.h"

#include "compat.h"
#include "left_out.h"
#include "text.h"

#include <asm/socket.h>
#include <fnmatch.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>

/* Why a value does no harm in a rule. */
enum excuse { NOTHING, PROGRAM_NAMED, CLIENTS_SPEAK_FIRST, ECN_BITS_ZERO };

enum { ON = 1 };
#define MOST  INT64_MAX
#define KB(n) ((n)*INT64_C(1024))
#define MB(n) ((n)*INT64_C(1048576))

static const struct hazard {
    int level;
    int optname;
    unsigned roles; /* enum role_bit */
    enum excuse unless;
    int64_t low;
    int64_t high;
    const char *text;
} hazards[] = {
#define HAZARD(level, name, roles, low, high, unless, text)                                        \
    {level, name, roles, unless, low, high, text},
#define IGNORED(level, name, roles, text)
#include "hazards.def"
};

static const struct needed_option {
    int level;
    int optname;
    unsigned roles;
    const char *text;
} needed_options[] = {
#define HAZARD(level, name, roles, low, high, unless, text)
#define IGNORED(level, name, roles, text) {level, name, roles, text},
#include "hazards.def"
};

/* Settings */

/* Ports of protocols in which the client speaks first. */
static const uint16_t client_first_ports[] = {53,   80,   389,  443,  636,   853,
                                              3128, 5432, 6379, 8000, 8008,  8080,
                                              8081, 8443, 8888, 9090, 11211, 27017};

static bool is_client_first(unsigned port)
{
    for (size_t i = 0; i < sizeof client_first_ports / sizeof client_first_ports[0]; i++)
        if (client_first_ports[i] == port)
            return true;
    return false;
}

/* True if the list allows such ports only. */
static bool only_client_first(const struct port_list *list)
{
    bool includes = false;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].negate)
            continue;
        includes = true;
        for (unsigned port = list->items[i].low; port <= list->items[i].high; port++)
            if (!is_client_first(port))
                return false;
    }
    return includes;
}

/* `program = "*"`. */
static bool names_all(const struct pattern_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].negate && strcmp(list->items[i].text, "*") == 0)
            return true;
    return false;
}

static bool is_excused(const struct rule *rule, enum excuse excuse, int64_t number)
{
    switch (excuse) {
    case PROGRAM_NAMED:
        return names_program(rule) && !names_all(&rule->programs[MATCHER_PROGRAM]);
    case CLIENTS_SPEAK_FIRST:
        return only_client_first(&rule->local_port) || only_client_first(&rule->remote_port);
    case ECN_BITS_ZERO:
        return (number & 3) == 0;
    case NOTHING:
        break;
    }
    return false;
}

/* True if the value that the rule gives does harm, or if values that its bound allows do. */
static bool does_harm(const struct hazard *hazard, enum action_mode mode, int64_t number)
{
    if (number < hazard->low || number > hazard->high)
        return false;
    return mode == MODE_AT_LEAST  ? hazard->high == MOST
           : mode == MODE_AT_MOST ? hazard->high != MOST
                                  : true;
}

/* The next row of the table, beginning with `from`, that the setting matches; NULL if none does. */
static const struct hazard *find_hazard(const struct rule *rule, const struct setting *setting,
                                        const struct hazard *from)
{
    const struct option *option = setting->option;
    int64_t number;
    if (!value_number(option, setting->value.bytes, setting->value.length, &number))
        return NULL;
    for (; from < hazards + sizeof hazards / sizeof hazards[0]; from++)
        if (from->level == option->level && from->optname == option->optname &&
            (from->roles & rule_roles(rule)) != 0 && does_harm(from, setting->mode, number) &&
            !is_excused(rule, from->unless, number))
            return from;
    return NULL;
}

bool is_harmful(const struct rule *rule, const struct setting *setting)
{
    return find_hazard(rule, setting, hazards) != NULL;
}

void check_hazards(const struct checker *checker, const struct rule *rule,
                   const struct setting *setting)
{
    const struct hazard *hazard = find_hazard(rule, setting, hazards);
    for (; hazard != NULL; hazard = find_hazard(rule, setting, hazard + 1))
        warn_risk(checker, rule, setting->option->name, setting->at, "%s = %s: %s",
                  setting->option->name, setting->text, hazard->text);
}

/* Programs that read back */

static const struct read_back {
    const char *program;
    int level;
    int optname;
    const char *text;
} read_backs[] = {
    {"iperf3", SOL_SOCKET, SO_RCVBUF, "iperf3 -w reads its buffers back and gives up"},
    {"iperf3", SOL_SOCKET, SO_SNDBUF, "iperf3 -w reads its buffers back and gives up"},
};

/* True if the rule is for the program by its name, or for programs of any name. */
static bool is_for(const struct rule *rule, const char *program)
{
    const struct pattern_list *list = &rule->programs[MATCHER_PROGRAM];
    bool included = !includes_pattern(list);
    for (size_t i = 0; i < list->count; i++) {
        bool matches = fnmatch(text_basename(list->items[i].text), program, 0) == 0;
        if (matches && list->items[i].negate)
            return false;
        included = included || matches;
    }
    return included;
}

/* The program that reads the option back and finds another value than it has set; NULL if no such
 * program is known. */
static const struct read_back *find_read_back(const struct rule *rule,
                                              const struct setting *setting)
{
    if (setting->mode != MODE_IGNORE && setting->mode != MODE_FORCE &&
        setting->mode != MODE_AT_MOST)
        return NULL;
    for (size_t i = 0; i < sizeof read_backs / sizeof read_backs[0]; i++)
        if (read_backs[i].level == setting->option->level &&
            read_backs[i].optname == setting->option->optname &&
            is_for(rule, read_backs[i].program))
            return &read_backs[i];
    return NULL;
}

void check_ignored(const struct checker *checker, const struct rule *rule,
                   const struct setting *setting)
{
    const struct option *option = setting->option;
    for (size_t i = 0; i < sizeof needed_options / sizeof needed_options[0]; i++)
        if (setting->mode == MODE_IGNORE && needed_options[i].level == option->level &&
            needed_options[i].optname == option->optname &&
            (needed_options[i].roles & rule_roles(rule)) != 0)
            warn_risk(checker, rule, option->name, setting->at, "%s is ignored: %s", option->name,
                      needed_options[i].text);
}

void check_read_back(const struct checker *checker, const struct rule *rule,
                     const struct setting *setting)
{
    const struct read_back *read_back = find_read_back(rule, setting);
    if (read_back != NULL)
        warn_risk(checker, rule, setting->option->name, setting->at,
                  "%s: %s where they are not as it asked", setting->option->name, read_back->text);
}

/* Rules for every program */

bool includes_pattern(const struct pattern_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].negate)
            return true;
    return false;
}

bool names_program(const struct rule *rule)
{
    for (unsigned i = 0; i < PROGRAM_CRITERIA; i++)
        if (includes_pattern(&rule->programs[i]))
            return true;
    return false;
}

/* With `program = "*"` the user says that every program is meant. */
void check_every_program(const struct checker *checker, const struct rule *rule)
{
    if (rule->setting_count != 0 && !names_program(rule) && rule->local.count == 0 &&
        rule->remote.count == 0 && rule->local_port.count == 0 && rule->remote_port.count == 0)
        warn(checker, rule->at,
             "rule \"%s\" is for every program: name those that are meant (program, script, unit, "
             "user ...), or write program = \"*\"",
             rule->name);
}

/* Dangers that the rule accepts */

bool accepts_risk(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->accepted_count; i++)
        if (strcmp(rule->accepted[i].name, name) == 0)
            return true;
    return false;
}

/* The rule's setting of the option with this name; NULL if there is none. */
static const struct setting *setting_of_name(const struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rule->setting_count; i++) {
        const struct setting *setting = &rule->settings[i];
        const struct left_out *left_out =
            left_out_find_number(setting->raw_level, setting->raw_optname);
        if (setting->option != NULL ? strcmp(setting->option->name, name) == 0
                                    : left_out != NULL && strcmp(left_out->name, name) == 0)
            return setting;
    }
    return NULL;
}

/* True if another arm of the rule's trial has the option. */
static bool is_in_trial(const struct checker *checker, const struct rule *rule, const char *name)
{
    for (size_t i = 0; rule->trial != NULL && i < checker->ruleset->rule_count; i++)
        if (checker->ruleset->rules[i].trial == rule->trial &&
            setting_of_name(&checker->ruleset->rules[i], name) != NULL)
            return true;
    return false;
}

/* Warns of entries in accept_risk that have no effect, except for options whose danger depends on
 * the machine. */
void check_accepted(const struct checker *checker, const struct rule *rule)
{
    for (size_t i = 0; i < rule->accepted_count && rule->trial_arm == 0; i++) {
        const char *name = rule->accepted[i].name;
        const struct setting *setting = setting_of_name(rule, name);
        if (strcmp(name, "handoff") == 0 ? rule->handoff != RULE_HANDOFF_SOCKET
                                         : setting == NULL && !is_in_trial(checker, rule, name))
            warn(checker, rule->accepted[i].at, "accept_risk: the rule has no %s%s", name,
                 strcmp(name, "handoff") == 0 ? " = \"socket\"" : "");
        else if (setting != NULL && rule->trial == NULL && setting->option != NULL &&
                 setting->mode != MODE_IGNORE && !is_harmful(rule, setting) &&
                 !has_option_check(setting->option) && find_read_back(rule, setting) == NULL)
            warn(checker, rule->accepted[i].at,
                 "accept_risk: %s = %s is not known to be dangerous: remove %s from accept_risk",
                 name, setting->text, name);
    }
}
