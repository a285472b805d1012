/* SPDX-License-Identifier: MIT */
#include "query_filter.h"
#include "names.h"

#include <stdlib.h>
#include <string.h>

/* Parses a decimal number without sign or space, at most `most`. */
static bool read_parameter_number(const char *text, uint64_t most, uint64_t *number)
{
    *number = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)(*text - '0');
        if (digit > 9 || digit > most || *number > (most - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

static const char *set_program(struct query_filter *filter, const char *value)
{
    filter->connections.program = value;
    return NULL;
}

static const char *set_rule(struct query_filter *filter, const char *value)
{
    filter->connections.rule = value;
    return NULL;
}

static const char *set_state(struct query_filter *filter, const char *value)
{
    for (unsigned state = 1; state < TCP_STATES_END; state++)
        if (strcmp(tcp_state_name(state), value) == 0) {
            filter->connections.state = value;
            return NULL;
        }
    return "state is one of established, syn-sent, syn-recv, fin-wait-1, fin-wait-2, time-wait, "
           "close, close-wait, last-ack, listen, closing";
}

static const char *set_role(struct query_filter *filter, const char *value)
{
    for (const struct bit_name *role = role_names; role->name != NULL; role++)
        if (strcmp(role->name, value) == 0) {
            filter->connections.roles = role->bit;
            return NULL;
        }
    return "role is connect, accept, listen or datagram";
}

static const char *set_reason(struct query_filter *filter, const char *value)
{
    for (unsigned reason = CLOSE_NONE + 1; reason < CLOSE_REJECTED; reason++)
        if (strcmp(close_reason_name((enum close_reason)reason), value) == 0) {
            filter->connections.close_reasons = 1u << reason;
            return NULL;
        }
#define CLOSE_REASON(id, name, explanation) " " name
    return "reason is one of:"
#include "close_reasons.def"
        ;
}

static const char *set_closed(struct query_filter *filter, const char *value)
{
    uint64_t number;
    if (!read_parameter_number(value, 1, &number))
        return "closed is 1, for the connections that closed last, or 0, for open ones";
    filter->closed = number;
    return NULL;
}

static const char *set_uid(struct query_filter *filter, const char *value)
{
    uint64_t number;
    if (!read_parameter_number(value, (uid_t)-2, &number))
        return "uid is a user's number";
    filter->connections.one_user = true;
    filter->connections.uid = (uid_t)number;
    return NULL;
}

static const char *set_limit(struct query_filter *filter, const char *value)
{
    if (!read_parameter_number(value, UINT64_MAX, &filter->limit) || filter->limit == 0)
        return "limit is how many are wanted at most, 1 or more";
    return NULL;
}

static const char *set_after(struct query_filter *filter, const char *value)
{
    if (!read_parameter_number(value, UINT64_MAX, &filter->after))
        return "after is the \"next\" of the answer before";
    return NULL;
}

const char *query_filter_check(const struct query_filter *filter)
{
    return filter->connections.close_reasons && !filter->closed
               ? "reason goes with closed=1: open connections have none"
               : NULL;
}

const char *query_filter_set(struct query_filter *filter, const char *name, const char *value)
{
    static const struct {
        const char *name;
        const char *(*set)(struct query_filter *filter, const char *value);
    } parameters[] = {
        {"program", set_program}, {"rule", set_rule},     {"state", set_state},
        {"role", set_role},       {"reason", set_reason}, {"closed", set_closed},
        {"uid", set_uid},         {"limit", set_limit},   {"after", set_after},
    };

    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        if (strcmp(name, parameters[i].name) == 0)
            return parameters[i].set(filter, value != NULL ? value : "");
    return "parameters are program, rule, state, role, reason, closed, uid, limit and after";
}
