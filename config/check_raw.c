/* SPDX-License-Identifier: MIT */
/* Raw options whose number has a name: the checker treats them as if the rule named them. */
#include "check.h"

#include "left_out.h"

#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_SIZE = 64 };

static bool is_raw(const struct setting *setting)
{
    return setting->option == NULL || setting->raw_level != 0 || setting->raw_optname != 0;
}

/* From bytes to a value */

/* How many of the `length` bytes of a raw value the kernel reads; 0 if it refuses so few, or if
 * they are the layout of another word size. */
static uint32_t used_length(const struct option *option, uint32_t length)
{
    switch (option->kind) {
    case KIND_STRING:
        return length;
    case KIND_TIMEVAL:
        return length >= 16 ? 16 : 0;
    case KIND_LINGER:
    case KIND_RATE:
        return length >= 8 ? 8 : option->kind == KIND_RATE && length >= 4 ? 4 : 0;
    default:
        return length >= 4 ? 4 : length >= option_least_length(option) ? 1 : 0;
    }
}

/* The value that the kernel reads from raw bytes. False if it refuses them. */
static bool value_of_bytes(const struct option *option, const struct value *raw,
                           struct value *value)
{
    uint32_t used = used_length(option, raw->length);
    *value = (struct value){.length = used};
    memcpy(value->bytes, raw->bytes, used);
    if (used == 1 && option->kind != KIND_STRING)
        value->length = 4; /* a byte counts as an int at level IPPROTO_IP */
    return used != 0;
}

/* The value as a rule writes it, without quotes. */
static void spell_value(const struct option *option, const struct value *value,
                        char text[TEXT_SIZE])
{
    int64_t number;
    if (option->kind == KIND_BOOL && value_number(option, value->bytes, value->length, &number))
        snprintf(text, TEXT_SIZE, "%s", number != 0 ? "true" : "false");
    else
        value_format(option, value->bytes, value->length, text, TEXT_SIZE);
    text[strcspn(text, " ")] = '\0'; /* "lowdelay (0x10)" */
}

/* True for a number, true and false, which need no quotes. */
static bool is_plain(const char *text)
{
    size_t digits = strspn(text + (text[0] == '-'), "0123456789");
    return (digits != 0 && text[(text[0] == '-') + digits] == '\0') || strcmp(text, "true") == 0 ||
           strcmp(text, "false") == 0;
}

/* The copy of the rules */

/* Gives a raw setting its name if its bytes are a value of that option. */
static void name_setting(struct setting *setting, char text[TEXT_SIZE])
{
    const struct option *option = option_find_number(setting->raw_level, setting->raw_optname);
    struct value value;
    if (option == NULL)
        return;
    if (setting->mode == MODE_IGNORE) {
        setting->option = option;
    } else if (value_of_bytes(option, &setting->value, &value)) {
        spell_value(option, &value, text);
        setting->option = option;
        setting->value = value;
        setting->text = text;
    }
}

struct ruleset *check_name_raw(const struct ruleset *ruleset)
{
    size_t count = 0;
    struct ruleset *copy;
    struct rule *rules;
    struct setting *settings;
    char(*texts)[TEXT_SIZE];

    for (size_t i = 0; i < ruleset->rule_count; i++)
        count += ruleset->rules[i].setting_count;
    copy = calloc(1, sizeof *copy + ruleset->rule_count * sizeof *rules +
                         count * (sizeof *settings + sizeof *texts));
    if (copy == NULL)
        return NULL;
    *copy = *ruleset;
    copy->rules = rules = (struct rule *)(copy + 1);
    settings = (struct setting *)(rules + ruleset->rule_count);
    texts = (char(*)[TEXT_SIZE])(settings + count);
    for (size_t i = 0; i < ruleset->rule_count; i++) {
        rules[i] = ruleset->rules[i];
        rules[i].settings = settings;
        for (size_t s = 0; s < rules[i].setting_count; s++, settings++, texts++) {
            *settings = ruleset->rules[i].settings[s];
            if (settings->option == NULL)
                name_setting(settings, *texts);
        }
    }
    return copy;
}

/* Warnings */

/* A raw option that has a name. */
static void advise_name(const struct checker *checker, const struct setting *setting)
{
    const struct option *option = setting->option;
    const char *quote = is_plain(setting->text) ? "" : "\"";
    struct scalar scalar = {.type = SCALAR_STRING, .string = setting->text};
    struct value value;
    char error[256];
    if (setting->mode == MODE_IGNORE) {
        warn(checker, setting->at,
             "raw option %d:%d is %s: write \"%s\" in place of level and option",
             setting->raw_level, setting->raw_optname, option->name, option->name);
        return;
    }
    if (option->kind == KIND_BOOL)
        scalar = (struct scalar){.type = SCALAR_BOOL, .integer = setting->text[0] == 't'};
    if (value_parse(option, &scalar, &value, error, sizeof error) == 0)
        warn(checker, setting->at, "raw option %d:%d is %s: write %s = %s%s%s in place of raw",
             setting->raw_level, setting->raw_optname, option->name, option->name, quote,
             setting->text, quote);
    else
        warn(checker, setting->at, "raw option %d:%d is %s: %s", setting->raw_level,
             setting->raw_optname, option->name, error);
}

void check_raw(const struct checker *checker, const struct rule *rule,
               const struct setting *setting)
{
    const struct option *option;
    const struct left_out *left_out;
    if (!is_raw(setting))
        return;
    if (setting->option != NULL) {
        advise_name(checker, setting);
        return;
    }
    option = option_find_number(setting->raw_level, setting->raw_optname);
    left_out = left_out_find_number(setting->raw_level, setting->raw_optname);
    if (option != NULL)
        warn(checker, setting->at,
             "raw option %d:%d is %s: the kernel refuses a value of %u byte%s: write %s = VALUE in "
             "place of raw",
             setting->raw_level, setting->raw_optname, option->name, setting->value.length,
             setting->value.length == 1 ? "" : "s", option->name);
    else if (left_out != NULL && setting->mode != MODE_IGNORE)
        warn_risk(checker, rule, left_out->name, setting->at, "raw option %d:%d is %s: %s",
                  setting->raw_level, setting->raw_optname, left_out->name, left_out->why);
}
