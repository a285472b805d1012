/* SPDX-License-Identifier: MIT */
/* Statements about options: set, default, force, ignore, and raw within them. */
#include "parse.h"

#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

static const char *const mode_names[MODE_COUNT] = {"set",    "default",  "force",
                                                   "ignore", "at_least", "at_most"};
static const char raw_word[] = "raw";

/* Keeping statements */

static const char *name_of(struct reader *reader, const struct setting *setting)
{
    if (setting->option != NULL)
        return setting->option->name;
    return arena_print(reader->arena, "raw option %d:%d", setting->raw_level, setting->raw_optname);
}

/* The earlier statement of the rule about an option that this one is about, too. */
static const struct setting *find_rival(const struct rule *rule, const struct setting *setting)
{
    struct setting_target mine[SETTING_TARGETS_MAX], theirs[SETTING_TARGETS_MAX];
    size_t count = setting_targets(setting, mine);
    for (size_t i = 0; i < rule->setting_count; i++) {
        size_t others = setting_targets(&rule->settings[i], theirs);
        for (size_t m = 0; m < count; m++)
            for (size_t t = 0; t < others; t++)
                if (mine[m].level == theirs[t].level && mine[m].optname == theirs[t].optname)
                    return &rule->settings[i];
    }
    return NULL;
}

static void add_setting(struct reader *reader, const config_setting_t *at, struct rule *rule,
                        const struct setting *setting)
{
    const struct setting *rival = find_rival(rule, setting);
    if (rival != NULL) {
        parse_error(reader, at, "%s: the rule has it already, by %s in %s on line %u: keep one",
                    name_of(reader, setting), name_of(reader, rival), mode_names[rival->mode],
                    rival->at.line);
        return;
    }
    rule->settings =
        arena_grow(reader->arena, rule->settings, rule->setting_count, sizeof *rule->settings);
    rule->settings[rule->setting_count] = *setting;
    rule->settings[rule->setting_count++].at = setting_at(reader, at);
}

/* Options by name */

void parse_no_option(struct reader *reader, const config_setting_t *at, const char *name)
{
    const char *right;
    if (parse_misplaced(reader, at, name))
        return;
    if (parse_familiar(reader, at, "option", name, NULL))
        return;
    right = option_nearest(name);
    if (right != NULL)
        parse_error(reader, at, "there is no option \"%s\": did you mean \"%s\"?", name, right);
    else
        parse_error(reader, at,
                    "there is no option \"%s\"; `socktune options` lists them, and raw = ( ... ) "
                    "gives one by its number",
                    name);
}

static const struct option *find_option(struct reader *reader, const config_setting_t *at,
                                        const char *name)
{
    const struct option *option = option_find(name);
    if (option == NULL)
        parse_no_option(reader, at, name);
    return option;
}

static bool is_bound(enum action_mode mode)
{
    return mode == MODE_AT_LEAST || mode == MODE_AT_MOST;
}

/* Can values of the option be compared? */
static bool has_order(struct reader *reader, const config_setting_t *at,
                      const struct option *option, enum action_mode mode)
{
    if (option_has_order(option))
        return true;
    if (option->unordered)
        parse_error(reader, at,
                    "%s: it cannot be in %s, since 0 stands for the system's default or for none; "
                    "use set or force",
                    option->name, mode_names[mode]);
    else if (!option->readable && option->kind == KIND_SIZE)
        parse_error(reader, at,
                    "%s: it cannot be in %s, since a socket does not tell its value; use set or "
                    "force",
                    option->name, mode_names[mode]);
    else
        parse_error(reader, at,
                    "%s: it cannot be in %s, since its values have no order; use set or force",
                    option->name, mode_names[mode]);
    return false;
}

/* Socktune's own options that are no setsockopt: a program cannot set them, so there is nothing to
 * swallow, and nothing that it might have changed. */
static bool fits_mode(struct reader *reader, const config_setting_t *at,
                      const struct option *option, enum action_mode mode)
{
    if (is_bound(mode))
        return has_order(reader, at, option, mode);
    if (mode == MODE_SET || option->level != LEVEL_SOCKTUNE || option->kind == KIND_DSCP)
        return true;
    parse_error(reader, at, "%s: it belongs in set%s = { ... }, it cannot be in %s", option->name,
                option_has_order(option) ? ", at_least or at_most" : "", mode_names[mode]);
    return false;
}

static void read_option(struct reader *reader, const config_setting_t *at, enum action_mode mode,
                        struct rule *rule)
{
    struct setting setting = {.mode = mode};
    const char *name = config_setting_name(at);
    struct scalar scalar;
    char error[512];
    setting.option = find_option(reader, at, name);
    if (setting.option == NULL || !fits_mode(reader, at, setting.option, mode))
        return;
    if (config_setting_is_aggregate(at)) {
        parse_error(reader, at, "%s: expected one value, not %s", setting.option->name,
                    type_name(at));
        return;
    }
    if (!parse_scalar(reader, at, &scalar, &setting.text))
        return;
    if (value_parse(setting.option, &scalar, &setting.value, error, sizeof error) != 0) {
        parse_error(reader, at, "%s: %s", setting.option->name, error);
        return;
    }
    add_setting(reader, at, rule, &setting);
}

/* Raw options */

static const char *const raw_words[] = {"level", "option", "value", NULL};

/* A member of a raw option that is a number. False after an error. */
static bool raw_number(struct reader *reader, const config_setting_t *group, const char *name,
                       int *number)
{
    const config_setting_t *member = config_setting_get_member(group, name);
    struct scalar scalar;
    const char *text;
    if (member == NULL) {
        parse_error(reader, group, "raw: %s is missing: expected { level = 6; option = 47; ... }",
                    name);
        return false;
    }
    if (!parse_scalar(reader, member, &scalar, &text))
        return false;
    if (scalar.type != SCALAR_INT || scalar.integer < 0 || scalar.integer > INT_MAX) {
        parse_error(reader, member, "raw: %s: expected a number from 0 to %d", name, INT_MAX);
        return false;
    }
    *number = (int)scalar.integer;
    return true;
}

/* An array or list of bytes, "[1, 2, 255]". */
static bool raw_bytes(struct reader *reader, const config_setting_t *list, struct setting *setting)
{
    unsigned count = value_count(list);
    if (count > POLICY_VALUE_MAX) {
        parse_error(reader, list, "raw: value: %u bytes are too many: at most %u", count,
                    POLICY_VALUE_MAX);
        return false;
    }
    setting->text = "[";
    for (unsigned i = 0; i < count; i++) {
        const config_setting_t *element = value_at(list, i);
        struct scalar scalar;
        const char *text;
        if (!parse_scalar(reader, element, &scalar, &text))
            return false;
        if (scalar.type != SCALAR_INT || scalar.integer < 0 || scalar.integer > UINT8_MAX) {
            parse_error(reader, element, "raw: value: expected bytes, numbers from 0 to 255");
            return false;
        }
        setting->value.bytes[i] = (uint8_t)scalar.integer;
        setting->text =
            arena_print(reader->arena, "%s%s%s", setting->text, i == 0 ? "" : ", ", text);
    }
    setting->value.length = count;
    setting->text = arena_print(reader->arena, "%s]", setting->text);
    return true;
}

static bool raw_string(struct reader *reader, const config_setting_t *at, const char *string,
                       struct value *value)
{
    size_t length = strlen(string);
    if (length > POLICY_VALUE_MAX) {
        parse_error(reader, at, "raw: value: %zu bytes are too many: at most %u", length,
                    POLICY_VALUE_MAX);
        return false;
    }
    memcpy(value->bytes, string, length);
    value->length = (uint32_t)length;
    return true;
}

static bool raw_int(struct reader *reader, const config_setting_t *at, const struct scalar *scalar,
                    struct value *value)
{
    bool number = scalar->type == SCALAR_INT || scalar->type == SCALAR_BOOL;
    uint32_t bits;
    if (!number || scalar->integer < INT32_MIN || scalar->integer > UINT32_MAX) {
        parse_error(reader, at,
                    "raw: value: expected a 32-bit number, a string or an array of bytes");
        return false;
    }
    bits = (uint32_t)scalar->integer;
    memcpy(value->bytes, &bits, sizeof bits);
    value->length = sizeof bits;
    return true;
}

static bool raw_value(struct reader *reader, const config_setting_t *group, struct setting *setting)
{
    const config_setting_t *value = config_setting_get_member(group, "value");
    struct scalar scalar;
    if (value == NULL) {
        parse_error(reader, group,
                    "raw: value is missing: expected { level = 6; option = 47; value = 1; }");
        return false;
    }
    if (config_setting_is_array(value) || config_setting_is_list(value))
        return raw_bytes(reader, value, setting);
    if (!parse_scalar(reader, value, &scalar, &setting->text))
        return false;
    return scalar.type == SCALAR_STRING ? raw_string(reader, value, scalar.string, &setting->value)
                                        : raw_int(reader, value, &scalar, &setting->value);
}

static void read_raw_option(struct reader *reader, const config_setting_t *group,
                            enum action_mode mode, struct rule *rule)
{
    struct setting setting = {.mode = mode, .text = ""};
    bool ignore = mode == MODE_IGNORE;
    bool valid = true;
    if (!config_setting_is_group(group)) {
        parse_error(reader, group, "raw: expected { level = 6; option = 47; value = 1; }, not %s",
                    type_name(group));
        return;
    }
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(member);
        if (strcmp(name, "level") == 0 || strcmp(name, "option") == 0 ||
            (strcmp(name, "value") == 0 && !ignore))
            continue;
        if (strcmp(name, "value") == 0)
            parse_error(reader, member, "raw: what is ignored has no value");
        else
            parse_unknown(reader, member, "setting of a raw option", name, raw_words);
        valid = false;
    }
    if (!raw_number(reader, group, "level", &setting.raw_level) ||
        !raw_number(reader, group, "option", &setting.raw_optname) ||
        (!ignore && !raw_value(reader, group, &setting)) || !valid)
        return;
    add_setting(reader, group, rule, &setting);
}

static void read_raw(struct reader *reader, const config_setting_t *list, enum action_mode mode,
                     struct rule *rule)
{
    if (is_bound(mode)) {
        parse_error(
            reader, list,
            "raw: it cannot be in %s, since nothing is known of its values; use set or force",
            mode_names[mode]);
        return;
    }
    if (!config_setting_is_list(list)) {
        parse_error(reader, list,
                    "raw: expected a list ( { level = 6; option = 47; value = 1; } ), not %s",
                    type_name(list));
        return;
    }
    for (int i = 0; i < config_setting_length(list); i++)
        read_raw_option(reader, config_setting_get_elem(list, (unsigned)i), mode, rule);
}

/* Groups */

void parse_settings(struct reader *reader, const config_setting_t *group, enum action_mode mode,
                    struct rule *rule)
{
    if (!config_setting_is_group(group)) {
        parse_error(reader, group, "%s: expected a group { OPTION = value; ... }, not %s",
                    mode_names[mode], type_name(group));
        return;
    }
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        if (strcasecmp(config_setting_name(setting), raw_word) == 0)
            read_raw(reader, setting, mode, rule);
        else
            read_option(reader, setting, mode, rule);
    }
}

void parse_want_names(struct reader *reader, const config_setting_t *names, const char *what)
{
    if (value_count(names) == 0)
        parse_error(reader, names, "%s: expected at least one name, [ \"SO_RCVBUF\", ... ]", what);
}

void parse_ignore(struct reader *reader, const config_setting_t *names, struct rule *rule)
{
    if (config_setting_is_group(names)) {
        parse_error(reader, names, "ignore: expected names [ \"SO_RCVBUF\", ... ], not %s",
                    type_name(names));
        return;
    }
    parse_want_names(reader, names, "ignore");
    for (unsigned i = 0; i < value_count(names); i++) {
        const config_setting_t *element = value_at(names, i);
        struct setting setting = {.mode = MODE_IGNORE, .text = ""};
        const char *name;
        if (config_setting_is_group(element)) {
            read_raw_option(reader, element, MODE_IGNORE, rule);
            continue;
        }
        name = parse_string(reader, element, "ignore");
        if (name == NULL)
            continue;
        setting.option = find_option(reader, element, name);
        if (setting.option != NULL && fits_mode(reader, element, setting.option, MODE_IGNORE))
            add_setting(reader, element, rule, &setting);
    }
}
