/* SPDX-License-Identifier: MIT */
/*
 * Values of options, and actions of a policy, for people and programs.
 */
#ifndef SOCKTUNE_FORMAT_OPTION_H
#define SOCKTUNE_FORMAT_OPTION_H

#include "option.h"
#include "policy.h"

#include <jansson.h>

/* Format the bytes that getsockopt() returned, for people; in hexadecimal if `option` is NULL (no
 * row of the option table). */
void bytes_format(const struct option *option, const void *bytes, size_t length, char *text,
                  size_t size);

/* Write the bytes as hexadecimal digits, two per byte; as many as fit. */
void bytes_hexadecimal(const void *bytes, size_t length, char *text, size_t size);

/* Like bytes_format(), for JSON: a number in the option's own unit if it is a number. */
json_t *bytes_json(const struct option *option, const void *bytes, size_t length);

/* Returns the row of the option table for the action, or NULL for a raw option without a row. */
const struct option *action_option(const struct policy *policy, const struct policy_action *action);

/* Format the value that the kernel gets, for people; the text of the rule if the table has no
 * format. */
void action_format(const struct policy *policy, const struct policy_action *action, char *text,
                   size_t size);

/* The same for JSON. */
json_t *action_json_value(const struct policy *policy, const struct policy_action *action);

/* Return "RULE, FILE:LINE", malloc()ed, NULL if there is no memory; or print it on standard
 * output. */
char *action_where(const struct policy *policy, uint32_t index);
void action_print_where(const struct policy *policy, uint32_t index);

/* An object of option, level, number, mode, rule, file and line. */
json_t *action_json_where(const struct policy *policy, uint32_t index);

#endif
