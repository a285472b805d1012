/* SPDX-License-Identifier: MIT */
/* Scalars of the tree: their place, their spelling and their value. */
#include "parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The scalar as it stands in the text, or NULL where the scanner lost it. */
static const struct token *token_of(const struct reader *reader, const config_setting_t *setting)
{
    return reader->source.token_count != 0 ? config_setting_get_hook(setting) : NULL;
}

struct location setting_at(const struct reader *reader, const config_setting_t *setting)
{
    const struct token *token = token_of(reader, setting);
    if (token != NULL && config_setting_name(setting) == NULL)
        return token->at;
    return source_line(&reader->source, config_setting_source_line(setting));
}

const char *type_name(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group { ... }";
    case CONFIG_TYPE_ARRAY:
        return "an array [ ... ]";
    case CONFIG_TYPE_LIST:
        return "a list ( ... )";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "a boolean";
    default:
        return "a number";
    }
}

/* libconfig cuts integers to their type in silence, so they are read from the text. */
static bool parse_integer(struct reader *reader, const config_setting_t *setting, const char *text,
                          int64_t *integer)
{
    int prefix = text[0] == '0' ? text[1] | 32 : 0;
    int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    const char *name = config_setting_name(setting);
    errno = 0;
    *integer = strtoll(base == 10 ? text : text + 2, NULL, base);
    if (errno == 0)
        return true;
    parse_error(reader, setting, "%s%s%s is too large for a number", name != NULL ? name : "",
                name != NULL ? ": " : "", text);
    return false;
}

static void scalar_number(const config_setting_t *setting, struct scalar *scalar)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_BOOL:
        scalar->type = SCALAR_BOOL;
        scalar->integer = config_setting_get_bool(setting);
        break;
    case CONFIG_TYPE_FLOAT:
        scalar->type = SCALAR_FLOAT;
        scalar->real = config_setting_get_float(setting);
        break;
    default:
        scalar->type = SCALAR_INT;
        scalar->integer = config_setting_type(setting) == CONFIG_TYPE_INT
                              ? config_setting_get_int(setting)
                              : config_setting_get_int64(setting);
        break;
    }
}

bool parse_scalar(struct reader *reader, const config_setting_t *setting, struct scalar *scalar,
                  const char **text)
{
    const struct token *token = token_of(reader, setting);
    *scalar = (struct scalar){.type = SCALAR_STRING};
    if (config_setting_is_aggregate(setting)) {
        parse_error(reader, setting, "expected one value, not %s", type_name(setting));
        return false;
    }
    if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
        const char *string = config_setting_get_string(setting);
        *text = arena_copy(reader->arena, string, strlen(string));
        scalar->string = *text;
        return true;
    }
    scalar_number(setting, scalar);
    if (token == NULL) {
        *text = scalar->type == SCALAR_FLOAT
                    ? arena_print(reader->arena, "%g", scalar->real)
                    : arena_print(reader->arena, "%" PRId64, scalar->integer);
        return true;
    }
    *text = arena_copy(reader->arena, reader->source.text + token->offset, token->length);
    return scalar->type != SCALAR_INT || parse_integer(reader, setting, *text, &scalar->integer);
}

void parse_bool(struct reader *reader, const config_setting_t *setting, bool *value)
{
    if (config_setting_type(setting) == CONFIG_TYPE_BOOL)
        *value = config_setting_get_bool(setting);
    else
        parse_error(reader, setting, "%s: expected true or false, not %s",
                    config_setting_name(setting), type_name(setting));
}

const char *parse_string(struct reader *reader, const config_setting_t *setting, const char *what)
{
    const char *string = config_setting_get_string(setting);
    if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
        parse_error(reader, setting, "%s: expected a string, not %s", what, type_name(setting));
        return NULL;
    }
    if (string[0] == '\0') {
        parse_error(reader, setting, "%s: expected a string that is not empty", what);
        return NULL;
    }
    return arena_copy(reader->arena, string, strlen(string));
}

unsigned value_count(const config_setting_t *setting)
{
    return config_setting_is_array(setting) || config_setting_is_list(setting)
               ? (unsigned)config_setting_length(setting)
               : 1;
}

const config_setting_t *value_at(const config_setting_t *setting, unsigned index)
{
    return config_setting_is_array(setting) || config_setting_is_list(setting)
               ? config_setting_get_elem(setting, index)
               : setting;
}
