/* SPDX-License-Identifier: MIT */
/*
 * The flags with which `stats` and `top` choose and order connections.
 */
#ifndef SOCKTUNE_FILTER_FLAGS_H
#define SOCKTUNE_FILTER_FLAGS_H

#include "connection_columns.h"
#include "flags.h"
#include "reported_fetch.h"

/* `filter`: the member of type struct reported_filter. */
#define FILTER_FLAGS(type, filter)                                                                 \
    {"closed",    0,                                                                               \
     FLAG_SWITCH, offsetof(type, filter.closed),                                                   \
     NULL,        "the most recently closed connections, with their final figures",                \
     NULL,        NULL},                                                                           \
        {"program",   'p',                                                                         \
         FLAG_VALUE,  offsetof(type, filter.choices[CHOICE_PROGRAM]),                              \
         "GLOB",      "of programs with that name",                                                \
         "<program>", NULL},                                                                       \
        {"rule",         'r',  FLAG_VALUE, offsetof(type, filter.choices[CHOICE_RULE]), "NAME",    \
         "of that rule", NULL, NULL},                                                              \
        {"role",     0,                                                                            \
         FLAG_VALUE, offsetof(type, filter.choices[CHOICE_ROLE]),                                  \
         "ROLE",     "in that role",                                                               \
         NULL,       filter_list_roles},                                                           \
        {"state",    0,                                                                            \
         FLAG_VALUE, offsetof(type, filter.choices[CHOICE_STATE]),                                 \
         "STATE",    "in that TCP state",                                                          \
         NULL,       filter_list_states},                                                          \
    {                                                                                              \
        "reason", 0, FLAG_VALUE, offsetof(type, filter.choices[CHOICE_REASON]), "WHY",             \
            "closed for that reason", NULL, filter_list_reasons                                    \
    }

/* `sort`: the member of type const char *. */
#define FILTER_SORT_FLAG(type, sort)                                                               \
    {                                                                                              \
        "sort", 's', FLAG_VALUE, offsetof(type, sort), "KEY",                                      \
            "sort by a column, numbers in descending and texts in ascending order; -KEY reverses " \
            "[newest first]. Keys",                                                                \
            NULL, connection_column_keys                                                           \
    }

void filter_list_roles(char *text, size_t size);
void filter_list_states(char *text, size_t size);
void filter_list_reasons(char *text, size_t size);

/* Check that the filters can be combined. Reports an error and returns false if not. */
bool filter_check(const struct reported_filter *filter);

/* Read the value of --sort, if given (not NULL). Reports a wrong value and returns false. */
bool filter_read_sort(const char *sort, struct column_order *order);

#endif
