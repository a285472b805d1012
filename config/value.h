/* SPDX-License-Identifier: MIT */
/*
 * Values of options: from what a rule says to the bytes for setsockopt, from the bytes of
 * getsockopt to text for people. Pure but for name lookups; no socket is touched here.
 */
#ifndef SOCKTUNE_VALUE_H
#define SOCKTUNE_VALUE_H

#include "option.h"
#include "policy.h"

/* A scalar as libconfig delivers it. */
enum scalar_type { SCALAR_BOOL, SCALAR_INT, SCALAR_FLOAT, SCALAR_STRING };
struct scalar {
    enum scalar_type type;
    int64_t integer; /* BOOL (0, 1) and INT */
    double real;     /* FLOAT */
    const char *string;
};

struct value {
    uint8_t bytes[POLICY_VALUE_MAX];
    uint32_t length;
};

/* The bytes of a KIND_TRANSPORT are its protocol number, those of a KIND_ADDRESS 16 bytes of
 * address (IPv4 as v4-mapped), those of a KIND_DSCP an int with the code point, not yet shifted. */

/*
 * Read `scalar` as a value of `option`. Booleans stand for "on" and "off" wherever the option has
 * these words. A number without a unit is in the option's own unit; only KIND_TIMEVAL, whose unit
 * nobody would guess, wants one. Returns 0, or -1 with one line in `error` (of `size`
 * bytes) that says what was wrong and what is allowed, without naming file, line or option:
 * "\"5 parsecs\" is not a duration: write \"10s\", \"5min\" or a number of seconds, 1s to 32767s".
 */
int value_parse(const struct option *option, const struct scalar *scalar, struct value *value,
                char *error, size_t size);

/*
 * Write bytes (as setsockopt takes or getsockopt returns them) as a person reads them, in the
 * option's own unit: "600s", "1M", "lowdelay (0x10)", "on". Always terminates `text`.
 */
void value_format(const struct option *option, const void *bytes, size_t length, char *text,
                  size_t size);

/*
 * What getsockopt() answers after `value` was set on a socket where nothing else interferes: the
 * kernel doubles buffers, rounds timers, clamps to sysctls (which are read from /proc here).
 * Returns false when the option cannot be read back, or when the answer cannot be foretold.
 */
bool value_read_back(const struct option *option, const struct value *value,
                     struct value *expected);

/* "1s to 32767s", "0 to 255", "on or off": the range or the names a value may have, for messages
 * and for `socktune options`. */
void value_range(const struct option *option, char *text, size_t size);

/* As JSON sees it: a number in the option's own unit where the value is one number, 0 or 1 for
 * KIND_BOOL. False: use value_format() and write a string ("off", "unlimited", texts). */
bool value_number(const struct option *option, const void *bytes, size_t length, int64_t *number);

#endif
