/* SPDX-License-Identifier: MIT */
/* From libconfig's tree to rules: the file's own settings and the frame of each rule. */
#include "parse.h"
#include "left_out.h"

#include <string.h>
#include <strings.h>

/* A setting known at some place, and what reads it. */
struct keyword {
    const char *name;
    void (*read)(struct reader *reader, const config_setting_t *setting, struct rule *rule);
};

/* Rules */

static void read_name(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    const char *name = parse_string(reader, setting, "name");
    if (name != NULL)
        rule->name = name;
}

static void read_match(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_match(reader, setting, rule);
}

static void read_set(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_settings(reader, setting, MODE_SET, rule);
}

static void read_default(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_settings(reader, setting, MODE_DEFAULT, rule);
}

static void read_force(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_settings(reader, setting, MODE_FORCE, rule);
}

static void read_at_least(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_settings(reader, setting, MODE_AT_LEAST, rule);
}

static void read_at_most(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_settings(reader, setting, MODE_AT_MOST, rule);
}

static void read_final(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_bool(reader, setting, &rule->final);
}

static void read_require(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_bool(reader, setting, &rule->require);
}

static void read_inherited(struct reader *reader, const config_setting_t *setting,
                           struct rule *rule)
{
    parse_bool(reader, setting, &rule->inherited);
}

static void read_report(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    parse_bool(reader, setting, &rule->report);
}

static void read_handoff(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    static const struct {
        const char *name;
        uint8_t flag;
    } ways[] = {{"ring", 0}, {"socket", RULE_HANDOFF_SOCKET}, {"auto", RULE_HANDOFF_AUTO}};
    const char *way = parse_string(reader, setting, "handoff");

    rule->handoff_said = true;
    for (size_t i = 0; way != NULL && i < sizeof ways / sizeof *ways; i++) {
        rule->handoff = ways[i].flag;
        if (strcmp(way, ways[i].name) == 0)
            return;
    }
    if (way != NULL)
        parse_error(reader, setting,
                    "handoff: expected \"ring\", \"socket\" or \"auto\", not \"%s\"", way);
}

/* The name of an option, as the option table has it, or of a setting of a rule; NULL after an
 * error.
 */
static const char *read_risk(struct reader *reader, const config_setting_t *setting)
{
    const char *name = parse_string(reader, setting, "accept_risk");
    if (name == NULL || strcmp(name, "handoff") == 0)
        return name;
    if (left_out_find(name) != NULL)
        return left_out_find(name)->name;
    if (option_find(name) != NULL)
        return option_find(name)->name;
    parse_no_option(reader, setting, name);
    return NULL;
}

static void read_accept_risk(struct reader *reader, const config_setting_t *setting,
                             struct rule *rule)
{
    if (config_setting_is_group(setting)) {
        parse_error(reader, setting, "accept_risk: expected names [ \"IP_TTL\", ... ], not %s",
                    type_name(setting));
        return;
    }
    parse_want_names(reader, setting, "accept_risk");
    for (unsigned i = 0; i < value_count(setting); i++) {
        struct accepted_risk risk = {.at = setting_at(reader, value_at(setting, i))};
        risk.name = read_risk(reader, value_at(setting, i));
        if (risk.name == NULL)
            continue;
        rule->accepted =
            arena_grow(reader->arena, rule->accepted, rule->accepted_count, sizeof *rule->accepted);
        rule->accepted[rule->accepted_count++] = risk;
    }
}

/* Read after all else. */
static void pass_trial(struct reader *reader, const config_setting_t *setting, struct rule *rule)
{
    (void)reader;
    (void)setting;
    (void)rule;
}

static const struct keyword rule_keywords[] = {
    {"name", read_name},           {"match", read_match},       {"set", read_set},
    {"default", read_default},     {"force", read_force},       {"ignore", parse_ignore},
    {"final", read_final},         {"report", read_report},     {"handoff", read_handoff},
    {"inherited", read_inherited}, {"at_least", read_at_least}, {"at_most", read_at_most},
    {"require", read_require},     {"trial", pass_trial},       {"accept_risk", read_accept_risk},
};
enum { RULE_KEYWORDS = sizeof rule_keywords / sizeof rule_keywords[0] };

bool is_rule_keyword(const char *name)
{
    for (size_t i = 0; i < RULE_KEYWORDS; i++)
        if (strcmp(rule_keywords[i].name, name) == 0)
            return true;
    return false;
}

static void unknown_in_rule(struct reader *reader, const config_setting_t *setting)
{
    const char *words[RULE_KEYWORDS + 1];
    for (size_t i = 0; i < RULE_KEYWORDS; i++)
        words[i] = rule_keywords[i].name;
    words[RULE_KEYWORDS] = NULL;
    parse_unknown(reader, setting, "setting of a rule", config_setting_name(setting), words);
}

static void read_rule_setting(struct reader *reader, const config_setting_t *setting,
                              struct rule *rule)
{
    for (size_t i = 0; i < RULE_KEYWORDS; i++) {
        if (strcmp(config_setting_name(setting), rule_keywords[i].name) == 0) {
            rule_keywords[i].read(reader, setting, rule);
            return;
        }
    }
    unknown_in_rule(reader, setting);
}

/* Which protocol a socket speaks is settled by socket(), when no address is known. */
static void refuse_late_transport(struct reader *reader, const struct rule *rule)
{
    bool late = rule->local.count != 0 || rule->remote.count != 0 || rule->local_port.count != 0 ||
                rule->remote_port.count != 0;
    bool never = (rule->roles & (ROLE_CONNECT | ROLE_LISTEN)) == 0;
    for (size_t i = 0; (late || never) && i < rule->setting_count; i++)
        if (rule->settings[i].option != NULL && rule->settings[i].option->kind == KIND_TRANSPORT)
            diagnose(reader->diagnostics, SEVERITY_ERROR, rule->settings[i].at,
                     late ? "transport: it is settled when the socket is made, so its rule cannot "
                            "ask for local, remote, local_port or remote_port"
                          : "transport: an accepted socket has that of its listener, and datagrams "
                            "have none: its rule can ask for the roles connect and listen");
}

static void read_rule(struct reader *reader, const config_setting_t *group)
{
    struct ruleset *ruleset = reader->ruleset;
    struct rule *rule;
    if (!config_setting_is_group(group)) {
        parse_error(reader, group, "rules: expected a rule { ... }, not %s", type_name(group));
        return;
    }
    ruleset->rules =
        arena_grow(reader->arena, ruleset->rules, ruleset->rule_count, sizeof *ruleset->rules);
    rule = &ruleset->rules[ruleset->rule_count++];
    *rule = (struct rule){.name = arena_print(reader->arena, "#%zu", ruleset->rule_count),
                          .at = setting_at(reader, group),
                          .protocols = PROTOCOL_ALL,
                          .roles = ROLE_ALL,
                          .families = FAMILY_IP};
    memcpy(rule->programs, reader->defaults.programs, sizeof rule->programs);
    for (int i = 0; i < config_setting_length(group); i++)
        read_rule_setting(reader, config_setting_get_elem(group, (unsigned)i), rule);
    refuse_late_transport(reader, rule);
    if (config_setting_get_member(group, "trial") != NULL)
        parse_trial(reader, config_setting_get_member(group, "trial"), rule);
}

static void read_rules(struct reader *reader, const config_setting_t *list)
{
    if (!config_setting_is_list(list)) {
        parse_error(reader, list, "rules: expected a list ( { ... }, { ... } ), not %s",
                    type_name(list));
        return;
    }
    for (int i = 0; i < config_setting_length(list); i++)
        read_rule(reader, config_setting_get_elem(list, (unsigned)i));
}

/* Files */

static const char *const file_words[] = {
#define PROGRAM_CRITERION(name, NAME, needs, summary) #name,
#include "criteria.def"
    "live", "rules", NULL};

/* In a directory of rules, one file that says so is enough: its programs have one policy. */
static void read_live(struct reader *reader, const config_setting_t *setting)
{
    bool live = false;
    parse_bool(reader, setting, &live);
    reader->ruleset->live |= live;
}

/* The defaults come first, wherever they stand in the file. */
static void read_defaults(struct reader *reader, const config_setting_t *root)
{
    reader->defaults = (struct file_defaults){.programs = {{NULL, 0}}};
    for (int i = 0; i < config_setting_length(root); i++) {
        const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(setting);
        if (parse_program_criterion(reader, setting, &reader->defaults) ||
            strcmp(name, "rules") == 0)
            continue;
        if (strcmp(name, "live") == 0)
            read_live(reader, setting);
        else
            parse_unknown(reader, setting, "setting", name, file_words);
    }
}

static void read_root(struct reader *reader, const config_setting_t *root)
{
    unsigned errors = reader->diagnostics->errors;
    const config_setting_t *rules = config_setting_get_member(root, "rules");
    int others = config_setting_length(root) - (config_setting_get_member(root, "live") != NULL);
    read_defaults(reader, root);
    if (rules != NULL)
        read_rules(reader, rules);
    else if (others > 0 && reader->diagnostics->errors == errors)
        parse_error(reader, config_setting_get_elem(root, 0),
                    "the file has no rules: expected rules = ( { ... } );");
}

void parse_source(struct reader *reader)
{
    config_t *config = &reader->config;
    config_init(config);
    reader->config_open = true;
    if (config_read_string(config, reader->source.text)) {
        source_attach(reader, config_root_setting(config));
        read_root(reader, config_root_setting(config));
    } else {
        parse_syntax_error(reader,
                           source_line(&reader->source, (unsigned)config_error_line(config)),
                           config_error_text(config));
    }
    config_destroy(config);
    reader->config_open = false;
}
