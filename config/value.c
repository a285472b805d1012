/* SPDX-License-Identifier: MIT */
/*
 * Values of options. Nearly every value is one number to a person, whatever bytes the kernel takes
 * for it. So there are two steps each way, rule <-> number <-> bytes, and what distinguishes the
 * kinds of values stands in one table. Texts and addresses alone go their own way.
 */
#include "value.h"

#include "compat.h"
#include "quantity.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#define NSEC_PER_SEC 1000000000
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Units */

/* Microseconds in the unit of a row. */
static const int64_t unit_microseconds[] = {
    [UNIT_SECONDS] = 1000000,
    [UNIT_MILLISECONDS] = 1000,
    [UNIT_MICROSECONDS] = 1,
};

static const char *const unit_text[] = {
    [UNIT_NONE] = "",     [UNIT_BYTES] = "",          [UNIT_BYTES_PER_SECOND] = "",
    [UNIT_SECONDS] = "s", [UNIT_MILLISECONDS] = "ms", [UNIT_MICROSECONDS] = "us",
    [UNIT_HOPS] = "",     [UNIT_COUNT_OF] = "",
};

static const char *const unit_plural[] = {
    [UNIT_BYTES] = "bytes",
    [UNIT_BYTES_PER_SECOND] = "bytes per second",
    [UNIT_SECONDS] = "seconds",
    [UNIT_MILLISECONDS] = "milliseconds",
    [UNIT_MICROSECONDS] = "microseconds",
    [UNIT_COUNT_OF] = NULL,
};

/* Numbers and bytes */

/* struct __kernel_sock_timeval of SO_RCVTIMEO_NEW. */
struct wide_timeval {
    int64_t seconds;
    int64_t microseconds;
};

#define LINGER_OFF     (-1)
#define RATE_UNLIMITED (-1)

static void encode_int(int64_t number, struct value *value)
{
    uint32_t bits = (uint32_t)number;
    memcpy(value->bytes, &bits, sizeof(bits));
    value->length = sizeof(bits);
}

static bool decode_int(const void *bytes, size_t length, int64_t *number)
{
    int32_t bits;
    if (length != sizeof(bits))
        return false;
    memcpy(&bits, bytes, sizeof(bits));
    *number = bits;
    return true;
}

static void encode_rate(int64_t number, struct value *value)
{
    memcpy(value->bytes, &number, sizeof(number));
    value->length = sizeof(number);
}

/* A kernel of 32 bits answers with 4 bytes; for it, too, all ones is no limit. */
static bool decode_rate(const void *bytes, size_t length, int64_t *number)
{
    if (length == sizeof(*number)) {
        memcpy(number, bytes, sizeof(*number));
        return true;
    }
    if (!decode_int(bytes, length, number))
        return false;
    if (*number != RATE_UNLIMITED)
        *number = (uint32_t)*number;
    return true;
}

static void encode_timeval(int64_t number, struct value *value)
{
    struct wide_timeval time = {number / 1000000, number % 1000000};
    memcpy(value->bytes, &time, sizeof(time));
    value->length = sizeof(time);
}

static bool decode_timeval(const void *bytes, size_t length, int64_t *number)
{
    struct wide_timeval time;
    if (length != sizeof(time))
        return false;
    memcpy(&time, bytes, sizeof(time));
    return !__builtin_mul_overflow(time.seconds, 1000000, number) &&
           !__builtin_add_overflow(*number, time.microseconds, number);
}

static void encode_linger(int64_t number, struct value *value)
{
    struct linger linger = {0, 0};
    if (number != LINGER_OFF)
        linger = (struct linger){.l_onoff = 1, .l_linger = (int)number};
    memcpy(value->bytes, &linger, sizeof(linger));
    value->length = sizeof(linger);
}

static bool decode_linger(const void *bytes, size_t length, int64_t *number)
{
    struct linger linger;
    if (length != sizeof(linger))
        return false;
    memcpy(&linger, bytes, sizeof(linger));
    *number = linger.l_onoff ? linger.l_linger : LINGER_OFF;
    return true;
}

/* The kinds */

static const struct option_name switch_names[] = {
    {"on", 1}, {"off", 0}, {"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {NULL, 0},
};
static const struct option_name timeval_names[] = {{"off", 0}, {NULL, 0}};
static const struct option_name linger_names[] = {{"off", LINGER_OFF}, {NULL, 0}};
static const struct option_name port_names[] = {{"off", 0}, {NULL, 0}};
static const struct option_name transport_names[] = {{"mptcp", IPPROTO_MPTCP}, {NULL, 0}};

static const struct kind {
    const char *what;                  /* what a value is called, with its article */
    const char *hint;                  /* how it is written; NULL: the range says it */
    const char *range;                 /* for value_range(); NULL: names, and min to max */
    const struct option_name *names;   /* beside the row's own */
    const struct quantity_unit *units; /* NULL: only names */
    void (*encode)(int64_t number, struct value *value); /* NULL: not a number */
    bool (*decode)(const void *bytes, size_t length, int64_t *number);
} kinds[] = {
    [KIND_BOOL] = {.what = "a switch",
                   .range = "on or off",
                   .names = switch_names,
                   .units = quantity_counts,
                   .encode = encode_int,
                   .decode = decode_int},
    [KIND_INT] = {.what = "a whole number",
                  .units = quantity_counts,
                  .encode = encode_int,
                  .decode = decode_int},
    [KIND_SIZE] = {.what = "a size",
                   .hint = "write \"256K\", \"1M\" or a number of bytes, ",
                   .units = quantity_sizes,
                   .encode = encode_int,
                   .decode = decode_int},
    [KIND_RATE] = {.what = "a rate",
                   .hint = "write \"10M\" (bytes per second), \"100Mbit\" or a number, ",
                   .range = "1 byte per second or more, or unlimited",
                   .units = quantity_rates,
                   .encode = encode_rate,
                   .decode = decode_rate},
    [KIND_DURATION] = {.what = "a duration",
                       .hint = "write \"10s\", \"5min\" or \"1h30min\", ",
                       .units = quantity_durations,
                       .encode = encode_int,
                       .decode = decode_int},
    [KIND_TIMEVAL] = {.what = "a duration",
                      .hint = "write \"250ms\", \"10s\" or \"off\", ",
                      .range = "1us to 2147483647s, or off",
                      .names = timeval_names,
                      .units = quantity_durations,
                      .encode = encode_timeval,
                      .decode = decode_timeval},
    [KIND_LINGER] = {.what = "a duration",
                     .hint = "write \"5s\" or \"off\", ",
                     .names = linger_names,
                     .units = quantity_durations,
                     .encode = encode_linger,
                     .decode = decode_linger},
    [KIND_TOS] = {.what = "a type of service",
                  .range = "lowdelay, throughput, reliability, mincost, a code point's name such "
                           "as ef or af41, or 0 to 255",
                  .units = quantity_counts,
                  .encode = encode_int,
                  .decode = decode_int},
    [KIND_DSCP] = {.what = "a code point",
                   .range = "a name such as ef, af41 or cs1, or 0 to 63",
                   .units = quantity_counts,
                   .encode = encode_int,
                   .decode = decode_int},
    [KIND_PMTUDISC] = {.what = "a mode of path MTU discovery",
                       .units = quantity_counts,
                       .encode = encode_int,
                       .decode = decode_int},
    [KIND_NAMES] = {.what = "a value of this option",
                    .units = quantity_counts,
                    .encode = encode_int,
                    .decode = decode_int},
    [KIND_STRING] = {.what = "a name"},
    [KIND_PORT_RANGE] = {.what = "a range of ports",
                         .hint = "write \"40000-50000\" or \"off\", ",
                         .range = "ports 1 to 65535, the lower first",
                         .names = port_names,
                         .encode = encode_int,
                         .decode = decode_int},
    [KIND_TRANSPORT] = {.what = "a transport",
                        .range = "mptcp",
                        .names = transport_names,
                        .encode = encode_int,
                        .decode = decode_int},
    [KIND_ADDRESS] = {.what = "an address", .range = "an IPv4 or IPv6 address without a port"},
};
_Static_assert(COUNT(kinds) == KIND_COUNT, "every kind of value has its row");

static const struct kind *kind_of(const struct option *option)
{
    return &kinds[option->kind];
}

/* True if the kind's numbers are durations written with a unit. */
static bool is_duration(const struct option *option)
{
    return kind_of(option)->units == quantity_durations;
}

/* Names */

static const struct option_name *name_in(const struct option_name *names, const char *text)
{
    for (; names != NULL && names->name != NULL; names++)
        if (strcasecmp(names->name, text) == 0)
            return names;
    return NULL;
}

static bool number_of_name(const struct option *option, const char *text, int64_t *number)
{
    const struct option_name *found = name_in(option->names, text);
    if (found == NULL)
        found = name_in(kind_of(option)->names, text);
    if (found != NULL)
        *number = found->value;
    return found != NULL;
}

static const char *name_of_number(const struct option *option, int64_t number)
{
    const struct option_name *const lists[] = {option->names, kind_of(option)->names};
    for (size_t i = 0; i < COUNT(lists); i++)
        for (const struct option_name *name = lists[i]; name != NULL && name->name != NULL; name++)
            if (name->value == number)
                return name->name;
    return NULL;
}

/* The name that somebody who wrote `text` may have meant, or NULL. */
static const char *name_near(const struct option *option, const char *text)
{
    const struct option_name *const lists[] = {option->names, kind_of(option)->names};
    const char *words[64];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(lists); i++)
        for (const struct option_name *name = lists[i]; name != NULL && name->name != NULL; name++)
            if (count < COUNT(words) - 1)
                words[count++] = name->name;
    words[count] = NULL;
    return nearest_word(text, words);
}

/* Text that grows */

/* A caller's buffer, always terminated, quietly cut off at its end. */
struct value_text {
    char *at;
    size_t room;
};

static struct value_text text_in(char *buffer, size_t size)
{
    if (size > 0)
        *buffer = '\0';
    return (struct value_text){buffer, size};
}

static void __attribute__((format(printf, 2, 3)))
add_text(struct value_text *text, const char *format, ...)
{
    va_list arguments;
    int written;
    if (text->room == 0)
        return;
    va_start(arguments, format);
    written = vsnprintf(text->at, text->room, format, arguments);
    va_end(arguments);
    if (written < 0)
        return;
    if ((size_t)written >= text->room)
        written = (int)text->room - 1;
    text->at += written;
    text->room -= (size_t)written;
}

/* What a value may be */

static void add_names(struct value_text *text, const struct option_name *names)
{
    for (; names != NULL && names->name != NULL; names++)
        add_text(text, "%s, ", names->name);
}

static void add_range(struct value_text *text, const struct option *option)
{
    const char *unit = unit_text[option->unit];
    /* A negative time has a name. */
    int64_t min = option->kind == KIND_DURATION && option->min < 0 ? 0 : option->min;
    if (kind_of(option)->range != NULL) {
        add_text(text, "%s", kind_of(option)->range);
        return;
    }
    add_names(text, option->names);
    add_names(text, kind_of(option)->names);
    add_text(text, "%s%" PRId64 "%s to %" PRId64 "%s",
             option->names != NULL || kind_of(option)->names != NULL ? "or " : "", min, unit,
             option->max, unit);
    if (option->kind == KIND_STRING)
        add_text(text, " characters");
    else if (option->unit == UNIT_BYTES)
        add_text(text, " bytes");
}

void value_range(const struct option *option, char *text, size_t size)
{
    struct value_text to = text_in(text, size);
    add_range(&to, option);
}

/* From the rule to a number */

struct value_reader {
    const struct option *option;
    const struct scalar *scalar;
    struct value_text error;
};

static void add_scalar(struct value_text *text, const struct scalar *scalar)
{
    switch (scalar->type) {
    case SCALAR_BOOL:
        add_text(text, "%s", scalar->integer ? "true" : "false");
        break;
    case SCALAR_INT:
        add_text(text, "%" PRId64, scalar->integer);
        break;
    case SCALAR_FLOAT:
        add_text(text, "%g", scalar->real);
        break;
    case SCALAR_STRING:
        add_text(text, "\"");
        for (const char *at = scalar->string; *at; at++)
            add_text(text, "%c", isprint((unsigned char)*at) ? *at : '?');
        add_text(text, "\"");
        break;
    }
}

/* Each refuse_*() writes the line about what is wrong and what is allowed, and returns false. */
static bool refuse_kind(struct value_reader *reader)
{
    const struct option *option = reader->option;
    const struct kind *kind = kind_of(option);
    const char *near =
        reader->scalar->type == SCALAR_STRING ? name_near(option, reader->scalar->string) : NULL;
    add_scalar(&reader->error, reader->scalar);
    add_text(&reader->error, " is not %s", kind->what);
    if (near != NULL)
        add_text(&reader->error, ", did you mean \"%s\"?", near);
    add_text(&reader->error, ": ");
    if (kind->hint != NULL)
        add_text(&reader->error, "%s", kind->hint);
    add_range(&reader->error, option);
    return false;
}

static bool refuse_because(struct value_reader *reader, const char *why)
{
    add_scalar(&reader->error, reader->scalar);
    add_text(&reader->error, strchr(why, ':') != NULL ? " %s (" : " %s: ", why);
    add_range(&reader->error, reader->option);
    add_text(&reader->error, strchr(why, ':') != NULL ? ")" : "");
    return false;
}

static bool refuse_inexact(struct value_reader *reader)
{
    char why[64];
    snprintf(why, sizeof(why), "is no whole number of %s", unit_plural[reader->option->unit]);
    return refuse_because(reader, why);
}

static bool check_bounds(struct value_reader *reader, int64_t number)
{
    const struct option *option = reader->option;
    if (number < option->min || number > option->max)
        return refuse_because(reader, "is out of range");
    return true;
}

/* How many of its table's base units a unit of this option is. */
static int64_t base_units(const struct option *option)
{
    if (is_duration(option))
        return unit_microseconds[option->unit];
    return option->kind == KIND_RATE ? 8 : 1;
}

/* The units of a number of time that are in the option's range, as a mask: us, ms, s. */
static unsigned units_in_range(const struct option *option, int64_t number)
{
    unsigned units = 0;
    for (unsigned i = 0; i < 3; i++) {
        int64_t scaled, unit = base_units(option);
        if (!__builtin_mul_overflow(number, quantity_durations[i].factor, &scaled) &&
            scaled % unit == 0 && scaled / unit >= option->min && scaled / unit <= option->max)
            units |= 1u << i;
    }
    return units;
}

/* Which of these units is meant most likely: the largest one that makes it no longer than people
 * write for such an option. `units` is not 0. */
static unsigned likely_unit(const struct option *option, int64_t number, unsigned units)
{
    bool fine = option->unit == UNIT_MICROSECONDS && option->kind != KIND_TIMEVAL;
    int64_t longest = fine ? 1000 : INT64_C(900000000); /* microseconds */
    for (unsigned i = 3; i-- > 0;)
        if ((units & 1u << i) != 0 && number <= longest / quantity_durations[i].factor)
            return i;
    return (unsigned)__builtin_ctz(units);
}

/* A number of time without a unit: offer it with the likely unit, then with the next one. */
static bool refuse_bare(struct value_reader *reader, int64_t number)
{
    unsigned units = units_in_range(reader->option, number), likely, other;
    char why[128], second[48] = "";
    if (units == 0)
        return refuse_because(reader, "is out of range");
    likely = likely_unit(reader->option, number, units);
    units &= ~(1u << likely);
    other = (units & 1u << 1) != 0 ? 1 : (units & 1u << 2) != 0 ? 2 : 0; /* ms, s, us */
    if (units != 0)
        snprintf(second, sizeof second, ", or else \"%" PRId64 "%s\"", number,
                 quantity_durations[other].text);
    snprintf(why, sizeof why, "has no unit: write \"%" PRId64 "%s\"%s", number,
             quantity_durations[likely].text, second);
    return refuse_because(reader, why);
}

/* "100Mbps": offer both meanings. */
static bool refuse_unclear_rate(struct value_reader *reader, const char *text)
{
    int digits = (int)strspn(text, "0123456789.");
    const char *unit = text + digits + strspn(text + digits, " ");
    char scale[2] = {(char)toupper((unsigned char)*unit), '\0'}, why[128];
    if (scale[0] == 'B')
        scale[0] = '\0';
    snprintf(why, sizeof(why),
             "may mean bits or bytes: write \"%.*s%sbit\" for bits, \"%.*s%sB\" for bytes", digits,
             text, scale, digits, text, scale);
    return refuse_because(reader, why);
}

/* A number without a unit counts in the option's own. Seconds are what everybody takes a bare
 * number of time for; where the kernel counts otherwise, the unit must be written. */
static bool read_bare(struct value_reader *reader, int64_t number)
{
    const struct option *option = reader->option;
    bool clear = number == 0 || !is_duration(option) || option->unit == UNIT_SECONDS;
    if (clear && option->unit == UNIT_SECONDS && is_duration(option) && number > option->max &&
        units_in_range(option, number) != 0)
        return refuse_bare(reader, number); /* milliseconds, most likely */
    return clear || number < 0 ? check_bounds(reader, number) : refuse_bare(reader, number);
}

/* A number with or without a unit, in the option's own unit. */
static bool read_quantity(struct value_reader *reader, const char *text, int64_t *number)
{
    const struct option *option = reader->option;
    bool fits;
    if (quantity_read_bare(text, number, &fits))
        return fits ? read_bare(reader, *number) : refuse_because(reader, "is out of range");
    switch (quantity_read(text, kind_of(option)->units, base_units(option), number)) {
    case QUANTITY_READ:
        return check_bounds(reader, *number);
    case QUANTITY_TOO_LARGE:
        return refuse_because(reader, "is out of range");
    case QUANTITY_INEXACT:
        return unit_plural[option->unit] != NULL ? refuse_inexact(reader) : refuse_kind(reader);
    case QUANTITY_UNCLEAR:
        return is_duration(option)
                   ? refuse_because(reader, "may mean minutes or months: write \"min\"")
                   : refuse_unclear_rate(reader, text);
    case QUANTITY_NONE:
        break;
    }
    return refuse_kind(reader);
}

static bool read_port(const char *text, const char **end, int64_t *port)
{
    char *stop;
    errno = 0;
    *port = isdigit((unsigned char)*text) ? strtoll(text, &stop, 10) : -1;
    *end = *port >= 0 ? stop : text;
    return *port >= 0 && errno == 0;
}

static bool read_port_range(struct value_reader *reader, const char *text, int64_t *number)
{
    const struct option *option = reader->option;
    int64_t low, high;
    const char *rest;
    if (!read_port(text, &rest, &low) || *rest != '-' || !read_port(rest + 1, &rest, &high) ||
        *rest != '\0')
        return refuse_kind(reader);
    if (low < option->min || high > option->max || low > high)
        return refuse_because(reader, "is out of range");
    *number = low | high << 16;
    return true;
}

static bool read_text(struct value_reader *reader, const char *text, int64_t *number)
{
    if (number_of_name(reader->option, text, number))
        return true;
    if (reader->option->kind == KIND_PORT_RANGE)
        return read_port_range(reader, text, number);
    if (kind_of(reader->option)->units == NULL)
        return refuse_kind(reader);
    return read_quantity(reader, text, number);
}

static bool read_number(struct value_reader *reader, int64_t *number)
{
    const struct scalar *scalar = reader->scalar;
    switch (scalar->type) {
    case SCALAR_STRING:
        return read_text(reader, scalar->string, number);
    case SCALAR_BOOL:
        return number_of_name(reader->option, scalar->integer ? "on" : "off", number) ||
               refuse_kind(reader);
    case SCALAR_INT:
        *number = scalar->integer;
        if (kind_of(reader->option)->units == NULL)
            return refuse_kind(reader);
        return read_bare(reader, *number);
    case SCALAR_FLOAT:
        break;
    }
    return refuse_kind(reader);
}

/* Texts and addresses */

/* Names of modules and interfaces: no blanks and no slash (dev_valid_name() of the kernel). */
static bool read_string(struct value_reader *reader, struct value *value)
{
    const struct option *option = reader->option;
    const char *text = reader->scalar->string;
    size_t length;
    if (reader->scalar->type != SCALAR_STRING)
        return refuse_kind(reader);
    length = strlen(text);
    if ((int64_t)length < option->min || (int64_t)length > option->max)
        return refuse_because(reader, length ? "is too long" : "is too short");
    for (const char *at = text; *at; at++)
        if (!isgraph((unsigned char)*at) || *at == '/')
            return refuse_kind(reader);
    memcpy(value->bytes, text, length);
    value->length = (uint32_t)length;
    return true;
}

static bool read_address(struct value_reader *reader, struct value *value)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (reader->scalar->type != SCALAR_STRING)
        return refuse_kind(reader);
    value->length = 16;
    if (inet_pton(AF_INET6, reader->scalar->string, value->bytes) == 1)
        return true;
    memcpy(value->bytes, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, reader->scalar->string, value->bytes + sizeof(mapped)) == 1)
        return true;
    return refuse_kind(reader);
}

int value_parse(const struct option *option, const struct scalar *scalar, struct value *value,
                char *error, size_t size)
{
    struct value_reader reader = {option, scalar, text_in(error, size)};
    int64_t number = 0;
    memset(value, 0, sizeof(*value));
    if (option->kind == KIND_STRING)
        return read_string(&reader, value) ? 0 : -1;
    if (option->kind == KIND_ADDRESS)
        return read_address(&reader, value) ? 0 : -1;
    if (!read_number(&reader, &number))
        return -1;
    kind_of(option)->encode(number, value);
    return 0;
}

/* From bytes to a person */

/* The number that the bytes stand for; false if they cannot be one of this option's. */
static bool decode_number(const struct option *option, const void *bytes, size_t length,
                          int64_t *number)
{
    const struct kind *kind = kind_of(option);
    if (kind->decode == NULL || !kind->decode(bytes, length, number))
        return false;
    /* Options whose numbers need all 32 bits are unsigned. */
    if (kind->decode == decode_int && (option->max > INT32_MAX || option->kind == KIND_PORT_RANGE))
        *number = (uint32_t)*number;
    return true;
}

/* With the coarsest of some units that holds it exactly. */
static void add_exact(struct value_text *text, int64_t number, const struct quantity_unit *units,
                      size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (number != 0 && number % units[i].factor == 0)
            best = i;
    add_text(text, "%" PRId64 "%s", number / units[best].factor, units[best].text);
}

static void add_number(struct value_text *text, const struct option *option, int64_t number)
{
    const char *name = name_of_number(option, number);
    switch (option->kind) {
    case KIND_TOS:
        add_text(text, name != NULL ? "%s (0x%02" PRIx64 ")" : "%s0x%02" PRIx64,
                 name != NULL ? name : "", number);
        return;
    case KIND_DSCP:
        add_text(text, name != NULL ? "%s (%" PRId64 ")" : "%s%" PRId64, name != NULL ? name : "",
                 number);
        return;
    default:
        break;
    }
    if (name != NULL)
        add_text(text, "%s", name);
    else if (option->kind == KIND_SIZE || option->kind == KIND_RATE)
        add_exact(text, number, quantity_sizes, 4); /* up to G */
    else if (option->kind == KIND_TIMEVAL)
        add_exact(text, number, quantity_durations, 3); /* up to s */
    else if (option->kind == KIND_PORT_RANGE)
        add_text(text, "%" PRId64 "-%" PRId64, number & 0xffff, number >> 16);
    else
        add_text(text, "%" PRId64 "%s", number, unit_text[option->unit]);
}

static void add_address(struct value_text *text, const void *bytes)
{
    struct in6_addr address;
    char printed[INET6_ADDRSTRLEN];
    memcpy(&address, bytes, sizeof(address));
    if (IN6_IS_ADDR_V4MAPPED(&address))
        inet_ntop(AF_INET, &address.s6_addr[12], printed, sizeof(printed));
    else
        inet_ntop(AF_INET6, &address, printed, sizeof(printed));
    add_text(text, "%s", printed);
}

void value_format(const struct option *option, const void *bytes, size_t length, char *text,
                  size_t size)
{
    struct value_text to = text_in(text, size);
    const uint8_t *octets = bytes;
    int64_t number;
    if (decode_number(option, bytes, length, &number)) {
        add_number(&to, option, number);
    } else if (option->kind == KIND_ADDRESS && length == 16) {
        add_address(&to, bytes);
    } else if (option->kind == KIND_STRING) {
        for (size_t i = 0; i < length && octets[i]; i++)
            add_text(&to, "%c", isprint(octets[i]) ? octets[i] : '?');
    } else {
        /* Not what this option's bytes look like: show them as they are. */
        add_text(&to, "0x");
        for (size_t i = 0; i < length; i++)
            add_text(&to, "%02x", octets[i]);
    }
}

bool value_number(const struct option *option, const void *bytes, size_t length, int64_t *number)
{
    if (option->kind == KIND_PORT_RANGE || option->kind == KIND_TRANSPORT)
        return false;
    if (!decode_number(option, bytes, length, number))
        return false;
    return !(option->kind == KIND_LINGER && *number == LINGER_OFF) &&
           !(option->kind == KIND_RATE && *number == RATE_UNLIMITED);
}

/* What the kernel will answer */

/* The last number in a file of /proc/sys/net, or -1. */
static int64_t sysctl_number(const char *path)
{
    FILE *file = fopen(path, "re");
    int64_t number = -1, next;
    if (file == NULL)
        return -1;
    while (fscanf(file, "%" SCNd64, &next) == 1)
        number = next;
    fclose(file);
    return number;
}

/* Nanoseconds in a tick of the kernel's clock, that by which the coarse clocks advance; 0 if ticks
 * do not divide a second, for then rounding cannot be foretold. */
static int64_t tick_nanoseconds(void)
{
    struct timespec resolution;
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &resolution) < 0 || resolution.tv_sec != 0 ||
        resolution.tv_nsec < 1000 || NSEC_PER_SEC % resolution.tv_nsec != 0)
        return 0;
    return resolution.tv_nsec;
}

static bool echo_ticks(const struct option *option, int64_t *number)
{
    int64_t tick = tick_nanoseconds() / 1000;
    int64_t unit = unit_microseconds[option->unit];
    if (tick == 0 || *number > INT64_MAX / unit - tick)
        return false;
    *number = (*number * unit + tick - 1) / tick * tick / unit;
    return true;
}

/* Small buffers are raised to a minimum that depends on the kernel's structures; it is below
 * this. */
#define BUFFER_FLOOR_MAX 8192

static bool echo_buffer(const char *limit, int64_t *number)
{
    int64_t greatest = sysctl_number(limit);
    if (greatest < 0)
        return false;
    if (*number > greatest)
        *number = greatest;
    *number *= 2;
    return *number >= BUFFER_FLOOR_MAX;
}

static bool echo_capped(const char *limit, int64_t *number)
{
    int64_t greatest = sysctl_number(limit);
    if (*number > greatest)
        *number = greatest;
    return greatest >= 0;
}

/* How long a number of SYN-ACK retransmissions takes that is enough for so many seconds: they
 * double from 1 s to 120 s (secs_to_retrans() and retrans_to_secs() in net/ipv4/tcp.c). */
static bool echo_retransmits(int64_t *number)
{
    int64_t total = 1, timeout = 1;
    if (*number == 0)
        return true;
    while (total < *number) {
        timeout = timeout * 2 < 120 ? timeout * 2 : 120;
        total += timeout;
    }
    *number = total;
    return true;
}

static bool echo_preferences(int64_t *number)
{
    int64_t privacy = *number & (IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_PUBLIC);
    int64_t mobility = *number & IPV6_PREFER_SRC_COA;
    *number = (privacy ? privacy : IPV6_PREFER_SRC_PUBTMP_DEFAULT) |
              (mobility ? mobility : IPV6_PREFER_SRC_HOME);
    return true;
}

static bool is_default(const struct option *option, int64_t number)
{
    const struct option_name *name = name_in(option->names, "default");
    return name != NULL && name->value == number;
}

/* Turns the number that was set into the one that is read; false if that cannot be foretold. */
static bool echo_number(const struct option *option, int64_t *number)
{
    switch (option->echo) {
    case ECHO_SAME:
        return true;
    case ECHO_JIFFIES:
        return echo_ticks(option, number);
    case ECHO_RCVBUF:
        return echo_buffer("/proc/sys/net/core/rmem_max", number);
    case ECHO_SNDBUF:
        return echo_buffer("/proc/sys/net/core/wmem_max", number);
    case ECHO_RETRANSMITS:
        return echo_retransmits(number);
    case ECHO_SOMAXCONN:
        return echo_capped("/proc/sys/net/core/somaxconn", number);
    case ECHO_LOWAT:
        return *number <= sysctl_number("/proc/sys/net/ipv4/tcp_rmem") / 2;
    case ECHO_TOS:
        return (*number & 3) == 0;
    case ECHO_DEFAULT:
        return !is_default(option, *number);
    case ECHO_PREFERENCES:
        return echo_preferences(number);
    case ECHO_NEVER:
    case ECHO_UNCERTAIN:
    case ECHO_PADDED:
    case ECHO_TERMINATED:
        break;
    }
    return false;
}

bool value_read_back(const struct option *option, const struct value *value, struct value *expected)
{
    int64_t number;
    *expected = *value;
    switch (option->echo) {
    case ECHO_PADDED: /* TCP_CA_NAME_MAX */
        memset(expected->bytes + value->length, 0, 16 - value->length);
        expected->length = 16;
        return true;
    case ECHO_TERMINATED:
        expected->bytes[expected->length++] = '\0';
        return true;
    default:
        break;
    }
    if (!decode_number(option, value->bytes, value->length, &number) ||
        !echo_number(option, &number))
        return false;
    kind_of(option)->encode(number, expected);
    return true;
}
