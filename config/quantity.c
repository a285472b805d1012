/* SPDX-License-Identifier: MIT */
/* Numbers with units: the tables of units, and reading. */
#include "quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Units */

#define MICROSECONDS(seconds) (INT64_C(1000000) * (seconds))

/* What systemd.time(7) takes, less the units of a month and more. "M" is a month there. */
const struct quantity_unit quantity_durations[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", MICROSECONDS(1)},
    {"min", MICROSECONDS(60)},
    {"h", MICROSECONDS(3600)},
    {"d", MICROSECONDS(86400)},
    {"usec", 1},
    {"\u00b5s", 1}, /* the micro sign */
    {"\u03bcs", 1}, /* the Greek letter */
    {"msec", 1000},
    {"sec", MICROSECONDS(1)},
    {"secs", MICROSECONDS(1)},
    {"second", MICROSECONDS(1)},
    {"seconds", MICROSECONDS(1)},
    {"M", QUANTITY_AMBIGUOUS},
    {"m", MICROSECONDS(60)},
    {"mins", MICROSECONDS(60)},
    {"minute", MICROSECONDS(60)},
    {"minutes", MICROSECONDS(60)},
    {"hr", MICROSECONDS(3600)},
    {"hrs", MICROSECONDS(3600)},
    {"hour", MICROSECONDS(3600)},
    {"hours", MICROSECONDS(3600)},
    {"day", MICROSECONDS(86400)},
    {"days", MICROSECONDS(86400)},
    {"w", MICROSECONDS(604800)},
    {"week", MICROSECONDS(604800)},
    {"weeks", MICROSECONDS(604800)},
    {NULL, 0},
};

/* Memory is counted in powers of 1024, by systemd, tc and the kernel alike. */
const struct quantity_unit quantity_sizes[] = {
    {"", 1},          {"K", 1 << 10},   {"M", 1 << 20},  {"G", 1 << 30},  {"B", 1},
    {"bytes", 1},     {"KB", 1 << 10},  {"MB", 1 << 20}, {"GB", 1 << 30}, {"KiB", 1 << 10},
    {"MiB", 1 << 20}, {"GiB", 1 << 30}, {NULL, 0},
};

/* Bytes in powers of 1024, as sizes; bits in powers of 1000, as networks are sold. "Mbps" is a
 * megabyte to tc(8) and a megabit to everybody else. */
#define BYTES(power) (INT64_C(8) << (power))
const struct quantity_unit quantity_rates[] = {
    {"", BYTES(0)},
    {"K", BYTES(10)},
    {"M", BYTES(20)},
    {"G", BYTES(30)},
    {"B", BYTES(0)},
    {"KB", BYTES(10)},
    {"MB", BYTES(20)},
    {"GB", BYTES(30)},
    {"KiB", BYTES(10)},
    {"MiB", BYTES(20)},
    {"GiB", BYTES(30)},
    {"B/s", BYTES(0)},
    {"KB/s", BYTES(10)},
    {"MB/s", BYTES(20)},
    {"GB/s", BYTES(30)},
    {"KiB/s", BYTES(10)},
    {"MiB/s", BYTES(20)},
    {"GiB/s", BYTES(30)},
    {"bit", 1},
    {"kbit", 1000},
    {"Mbit", 1000000},
    {"Gbit", 1000000000},
    {"bit/s", 1},
    {"kbit/s", 1000},
    {"Mbit/s", 1000000},
    {"Gbit/s", 1000000000},
    {"bps", QUANTITY_AMBIGUOUS},
    {"kbps", QUANTITY_AMBIGUOUS},
    {"Mbps", QUANTITY_AMBIGUOUS},
    {"Gbps", QUANTITY_AMBIGUOUS},
    {"b", QUANTITY_AMBIGUOUS},
    {"kb", QUANTITY_AMBIGUOUS},
    {"Mb", QUANTITY_AMBIGUOUS},
    {"Gb", QUANTITY_AMBIGUOUS},
    {"Mb/s", QUANTITY_AMBIGUOUS},
    {"Gb/s", QUANTITY_AMBIGUOUS},
    {NULL, 0},
};

const struct quantity_unit quantity_counts[] = {{"", 1}, {NULL, 0}};

static const struct quantity_unit *find_unit(const struct quantity_unit *units, const char *text,
                                             size_t length)
{
    const struct quantity_unit *otherwise = NULL;
    for (; units->text != NULL; units++) {
        if (strlen(units->text) != length || strncasecmp(units->text, text, length) != 0)
            continue;
        if (memcmp(units->text, text, length) == 0)
            return units;
        /* "mb" may be "MB" or "Mb": nobody can tell. */
        if (otherwise == NULL || units->factor == QUANTITY_AMBIGUOUS)
            otherwise = units;
    }
    return otherwise;
}

/* Numbers */

bool quantity_read_bare(const char *text, int64_t *number, bool *fits)
{
    const char *digits = text + (*text == '-' || *text == '+');
    bool hexadecimal = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    char *end;
    if (!isdigit((unsigned char)*digits))
        return false;
    errno = 0;
    *number = strtoll(text, &end, hexadecimal ? 16 : 10);
    *fits = errno == 0;
    return *end == '\0';
}

/* "1.5" at `*text`: 15 tenths. */
struct decimal {
    int64_t digits;
    int64_t scale;
};

static enum quantity_result read_decimal(const char **text, struct decimal *decimal)
{
    const char *start = *text;
    bool fraction = false, fits = true;
    *decimal = (struct decimal){0, 1};
    for (; isdigit((unsigned char)**text) || (**text == '.' && !fraction); (*text)++) {
        if (**text == '.') {
            fraction = true;
            continue;
        }
        if (fraction)
            fits &= !__builtin_mul_overflow(decimal->scale, 10, &decimal->scale);
        fits &= !__builtin_mul_overflow(decimal->digits, 10, &decimal->digits) &&
                !__builtin_add_overflow(decimal->digits, **text - '0', &decimal->digits);
    }
    if (!isdigit((unsigned char)*start) || (*text)[-1] == '.')
        return QUANTITY_NONE;
    return fits ? QUANTITY_READ : QUANTITY_TOO_LARGE;
}

/* One number with its unit at `*text`, which is moved behind it. Adds to `*sum`, in base units. */
static enum quantity_result read_term(const char **text, const struct quantity_unit *units,
                                      int64_t *sum)
{
    const struct quantity_unit *unit;
    struct decimal decimal;
    enum quantity_result result = read_decimal(text, &decimal);
    size_t length;
    int64_t product;
    if (result == QUANTITY_NONE)
        return result;
    *text += strspn(*text, " ");
    length = strcspn(*text, " 0123456789.");
    unit = find_unit(units, *text, length);
    if (unit == NULL)
        return QUANTITY_NONE;
    *text += length;
    *text += strspn(*text, " ");
    if (unit->factor == QUANTITY_AMBIGUOUS)
        return QUANTITY_UNCLEAR;
    if (result != QUANTITY_READ || __builtin_mul_overflow(decimal.digits, unit->factor, &product))
        return QUANTITY_TOO_LARGE;
    if (product % decimal.scale != 0)
        return QUANTITY_INEXACT;
    return __builtin_add_overflow(*sum, product / decimal.scale, sum) ? QUANTITY_TOO_LARGE
                                                                      : QUANTITY_READ;
}

enum quantity_result quantity_read(const char *text, const struct quantity_unit *units,
                                   int64_t base, int64_t *number)
{
    int64_t sum = 0;
    do {
        enum quantity_result result = read_term(&text, units, &sum);
        if (result != QUANTITY_READ)
            return result;
    } while (*text != '\0' && units == quantity_durations);
    if (*text != '\0')
        return QUANTITY_NONE;
    if (sum % base != 0)
        return QUANTITY_INEXACT;
    *number = sum / base;
    return QUANTITY_READ;
}
