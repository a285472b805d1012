/* SPDX-License-Identifier: MIT */
/*
 * Formats values and actions.
 */
#include "format_option.h"
#include "console.h"
#include "names.h"
#include "utf8.h"
#include "value.h"

#include <stdio.h>
#include <stdlib.h>

void bytes_hexadecimal(const void *bytes, size_t length, char *text, size_t size)
{
    const uint8_t *octets = bytes;
    *text = '\0';
    for (size_t i = 0; i < length && 2 * i + 3 <= size; i++)
        snprintf(text + 2 * i, 3, "%02x", octets[i]);
}

void bytes_format(const struct option *option, const void *bytes, size_t length, char *text,
                  size_t size)
{
    if (option != NULL) {
        value_format(option, bytes, length, text, size);
        return;
    }
    snprintf(text, size, "0x");
    bytes_hexadecimal(bytes, length, text + 2, size - 2);
}

json_t *bytes_json(const struct option *option, const void *bytes, size_t length)
{
    char text[2 * POLICY_VALUE_MAX + 3];
    int64_t number;
    if (option != NULL && value_number(option, bytes, length, &number))
        return json_integer(number);
    bytes_format(option, bytes, length, text, sizeof text);
    return json_text(text);
}

const struct option *action_option(const struct policy *policy, const struct policy_action *action)
{
    const struct policy_option *target = &policy->options[action->option];
    return option_find_number(target->level, target->optname);
}

/* Returns the option if the table can format its value, else NULL. */
static const struct option *printable_option(const struct policy *policy,
                                             const struct policy_action *action)
{
    return action->op == OP_SET && action->length ? action_option(policy, action) : NULL;
}

void action_format(const struct policy *policy, const struct policy_action *action, char *text,
                   size_t size)
{
    const struct option *option = printable_option(policy, action);
    if (option != NULL) {
        value_format(option, policy->data + action->value, action->length, text, size);
    } else {
        snprintf(text, size, "%s", policy_string(policy, action->text));
        utf8_replace_invisible(text);
    }
}

json_t *action_json_value(const struct policy *policy, const struct policy_action *action)
{
    const struct option *option = printable_option(policy, action);
    return option != NULL ? bytes_json(option, policy->data + action->value, action->length)
                          : json_text(policy_string(policy, action->text));
}

char *action_where(const struct policy *policy, uint32_t index)
{
    const struct policy_action *action = &policy->actions[index];
    char *text, *printable;
    if (asprintf(&text, "%s, %s:%u",
                 policy_string(policy, policy_rule_of_action(policy, index)->name),
                 policy_string(policy, action->file), action->line) < 0)
        return NULL;
    printable = utf8_printable(text);
    free(text);
    return printable;
}

void action_print_where(const struct policy *policy, uint32_t index)
{
    char *text = action_where(policy, index);
    fputs(text != NULL ? text : "", stdout);
    free(text);
}

json_t *action_json_where(const struct policy *policy, uint32_t index)
{
    const struct policy_action *action = &policy->actions[index];
    const struct policy_option *option = &policy->options[action->option];
    return json_pack(
        "{s:s, s:i, s:i, s:s, s:o, s:o, s:i}", "option", policy_string(policy, option->name),
        "level", option->level, "number", option->optname, "mode", mode_name(action->mode), "rule",
        json_text(policy_string(policy, policy_rule_of_action(policy, index)->name)), "file",
        json_text(policy_string(policy, action->file)), "line", (int)action->line);
}
