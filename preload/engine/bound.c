/* SPDX-License-Identifier: MIT */
/*
 * Compares a value with a bound. An option that can be compared is an int, or an unsigned 64-bit
 * number (SO_MAX_PACING_RATE).
 */
#include "bound.h"

#include "defaults.h"

/* Converts a value as passed to setsockopt(). False if it is no number. */
static bool value_as_number(const struct policy_option *option, const void *bytes, uint32_t length,
                            uint64_t *number)
{
    int32_t word;
    if (length >= sizeof *number) {
        __builtin_memcpy(number, bytes, sizeof *number);
        return true;
    }
    if (length < sizeof word) { /* ip(7): one byte is enough */
        *number = length != 0 ? *(const uint8_t *)bytes : 0;
        return length != 0;
    }
    __builtin_memcpy(&word, bytes, sizeof word);
    *number = (uint32_t)word;
    return word >= 0 || defaults_is_buffer(option); /* net/core/sock.c: a buffer size is unsigned */
}

static bool is_within_bound(const struct policy *policy, const struct policy_action *action,
                            uint64_t number, unsigned times)
{
    const struct policy_option *option = &policy->options[action->option];
    uint64_t bound;
    if (!value_as_number(option, policy_string(policy, action->value), action->length, &bound))
        return false;
    return action->mode == MODE_AT_LEAST ? number >= bound * times : number <= bound * times;
}

/* For a 64-bit option the kernel also takes 32 bits; all ones mean no limit. */
bool bound_admits_own(const struct policy *policy, const struct policy_action *action,
                      const void *bytes, uint32_t length)
{
    uint64_t number;
    bool half = length < sizeof number && action->length == sizeof number;
    bool is_number = value_as_number(&policy->options[action->option], bytes, length, &number);
    if (half && number == UINT32_MAX)
        number = UINT64_MAX;
    return (is_number || half) && is_within_bound(policy, action, number, 1);
}

bool bound_admits_read_value(const struct policy *policy, const struct policy_action *action,
                             const void *bytes, uint32_t length)
{
    const struct policy_option *option = &policy->options[action->option];
    uint64_t number;
    return length == action->length && value_as_number(option, bytes, length, &number) &&
           is_within_bound(policy, action, number, defaults_is_buffer(option) ? 2 : 1);
}

/* The kernel treats a negative backlog as the maximum (net/socket.c). */
bool bound_admits_backlog(const struct policy *policy, const struct policy_action *action,
                          int backlog)
{
    return policy_is_bound(action) && is_within_bound(policy, action, (uint32_t)backlog, 1);
}
