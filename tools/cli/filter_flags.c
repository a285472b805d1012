/* SPDX-License-Identifier: MIT */
/*
 * Checks the values of the filter flags.
 */
#include "filter_flags.h"
#include "close_reasons.h"
#include "commands.h"
#include "names.h"
#include "tcp_info.h"

#include <stdio.h>

#define KEYS_SIZE 256

void filter_list_roles(char *text, size_t size)
{
    names_list(role_names, ROLE_ALL, text, size);
}

void filter_list_states(char *text, size_t size)
{
    size_t length = 0;
    for (unsigned state = 1; state < TCP_STATES_END && length < size; state++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", state > 1 ? ", " : "",
                                   tcp_state_name(state));
}

void filter_list_reasons(char *text, size_t size)
{
    close_reasons_list(text, size);
}

bool filter_check(const struct reported_filter *filter)
{
    if (filter->choices[CHOICE_REASON] == NULL || filter->closed)
        return true;
    command_misuse("--reason goes with --closed: open connections have none");
    return false;
}

bool filter_read_sort(const char *sort, struct column_order *order)
{
    char keys[KEYS_SIZE];
    if (sort == NULL || column_order_read(order, connection_columns(), sort))
        return true;
    connection_column_keys(keys, sizeof keys);
    command_misuse("no sort key \"%s\"; expected one of %s, or -KEY for the reverse", sort, keys);
    return false;
}
