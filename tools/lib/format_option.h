/* SPDX-License-Identifier: MIT */
/*
 * Values of options, and actions of a policy, as people and programs read them.
 */
#ifndef SOCKTUNE_FORMAT_OPTION_H
#define SOCKTUNE_FORMAT_OPTION_H

#include "option.h"
#include "policy.h"

#include <jansson.h>

/* Bytes of an option as getsockopt() returns them, for people; in hex where there is no row of the
 * option table (NULL). */
void bytes_format(const struct option *option, const void *bytes, size_t length, char *text,
                  size_t size);

/* The bytes as hexadecimal digits, two a byte; as many as fit. */
void bytes_hexadecimal(const void *bytes, size_t length, char *text, size_t size);

/* As bytes_format(), for JSON: a number in the option's own unit where it is one. */
json_t *bytes_json(const struct option *option, const void *bytes, size_t length);

/* The row of the option table that the action is about, or NULL for a raw one without a row. */
const struct option *action_option(const struct policy *policy, const struct policy_action *action);

/* The value as the kernel gets it, for people; what was written where the table knows nothing. */
void action_format(const struct policy *policy, const struct policy_action *action, char *text,
                   size_t size);

/* The same for JSON. */
json_t *action_json_value(const struct policy *policy, const struct policy_action *action);

/* "RULE, FILE:LINE", malloc()ed; NULL without memory. Or on standard output. */
char *action_where(const struct policy *policy, uint32_t index);
void action_print_where(const struct policy *policy, uint32_t index);

/* An object of option, level, number, mode, rule, file and line. */
json_t *action_json_where(const struct policy *policy, uint32_t index);

#endif
