/* SPDX-License-Identifier: MIT */
/*
 * Values: what a rule may contain for an option, the resulting bytes, and how they are printed; for
 * each row of the table where that is possible, else by example.
 */
#include "compat.h"
#include "option.h"
#include "rows.h"
#include "value.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

static int parse_text(const struct option *option, const char *text, struct value *value,
                      char error[512])
{
    struct scalar scalar = {.type = SCALAR_STRING, .string = text};
    memset(error, 0, 512);
    return value_parse(option, &scalar, value, error, 512);
}

static int parse_number(const struct option *option, int64_t number, struct value *value,
                        char error[512])
{
    char text[32];
    struct scalar scalar = {.type = SCALAR_INT, .integer = number};
    memset(error, 0, 512);
    if (number > 0 && (option->unit == UNIT_MICROSECONDS || option->unit == UNIT_MILLISECONDS)) {
        snprintf(text, sizeof(text), "%" PRId64 "%s", number,
                 option->unit == UNIT_MICROSECONDS ? "us" : "ms");
        scalar = (struct scalar){.type = SCALAR_STRING, .string = text};
    }
    return value_parse(option, &scalar, value, error, 512);
}

/* True if the option's values are numbers between min and max. */
static bool has_bounds(const struct option *option)
{
    return option->kind != KIND_STRING && option->kind != KIND_PORT_RANGE &&
           option->kind != KIND_TRANSPORT && option->kind != KIND_ADDRESS;
}

/* Every row */

static void expect_accepted(const struct option *option, int64_t number)
{
    struct value value;
    char error[512];
    int64_t back;
    cr_expect(parse_number(option, number, &value, error) == 0, "%s = %" PRId64 ": %s",
              option->name, number, error);
    cr_expect(error[0] == '\0');
    cr_expect(value_number(option, value.bytes, value.length, &back) && back == number,
              "%s: %" PRId64 " comes back as %" PRId64, option->name, number, back);
}

static void expect_refused(const struct option *option, int64_t number)
{
    struct value value;
    char error[512], range[512];
    value_range(option, range, sizeof(range));
    cr_expect(parse_number(option, number, &value, error) == -1, "%s takes %" PRId64, option->name,
              number);
    cr_expect(strstr(error, "is out of range"), "%s: %s", option->name, error);
    cr_expect(strstr(error, range), "%s: \"%s\" does not tell the range", option->name, error);
}

Test(value, bounds_hold_for_every_row)
{
    EACH_ROW(row)
    {
        if (!has_bounds(row))
            continue;
        expect_accepted(row, row->min);
        expect_accepted(row, row->max);
        expect_refused(row, row->min - 1);
        if (row->max < INT64_MAX)
            expect_refused(row, row->max + 1);
        expect_refused(row, INT64_MIN);
    }
}

/* The output of value_format() is read as the same value; a number in brackets is informative. */
static void expect_round_trip(const struct option *option, const struct value *value)
{
    struct value again;
    char text[256], error[512];
    value_format(option, value->bytes, value->length, text, sizeof(text));
    if (strchr(text, '(') != NULL)
        *strchr(text, '(') = '\0';
    text[strcspn(text, " ")] = '\0';
    cr_expect(parse_text(option, text, &again, error) == 0, "%s: prints %s: %s", option->name, text,
              error);
    cr_expect(again.length == value->length &&
                  memcmp(again.bytes, value->bytes, value->length) == 0,
              "%s: %s is read as another value", option->name, text);
}

Test(value, what_is_printed_can_be_read)
{
    EACH_ROW(row)
    {
        struct value value;
        char error[512];
        for (int64_t step = 0; has_bounds(row) && step <= 16; step++) {
            cr_assert(parse_number(row, row->min + (row->max - row->min) / 16 * step, &value,
                                   error) == 0);
            expect_round_trip(row, &value);
        }
        for (const struct option_name *name = row->names; name != NULL && name->name != NULL;
             name++) {
            cr_expect(parse_text(row, name->name, &value, error) == 0, "%s: %s", row->name, error);
            expect_round_trip(row, &value);
        }
    }
}

Test(value, nonsense_is_refused_with_the_range)
{
    static const struct scalar nonsense[] = {
        {.type = SCALAR_STRING, .string = ""},
        {.type = SCALAR_STRING, .string = "5 parsecs"},
        {.type = SCALAR_STRING, .string = "1M 1"},
        {.type = SCALAR_STRING, .string = "-/-"},
        {.type = SCALAR_STRING, .string = "0x "},
        {.type = SCALAR_STRING, .string = "99999999999999999999"},
        {.type = SCALAR_STRING, .string = "99999999999999999999d"},
        {.type = SCALAR_STRING, .string = "9223372036854775807d"},
        {.type = SCALAR_STRING, .string = "\x01\xff/"},
        {.type = SCALAR_FLOAT, .real = 1.5},
    };
    EACH_ROW(row)
    {
        char range[512];
        value_range(row, range, sizeof(range));
        cr_expect(range[0] != '\0', "%s", row->name);
        for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
            struct value value;
            char error[1024] = "";
            cr_expect(value_parse(row, &nonsense[i], &value, error, sizeof(error)) == -1,
                      "%s takes nonsense %zu", row->name, i);
            cr_expect(strstr(error, range), "%s: \"%s\" does not tell the range", row->name, error);
            cr_expect(strchr(error, '\n') == NULL && strchr(error, '\x01') == NULL);
        }
    }
}

Test(value, malformed_quantities_are_refused)
{
    static const char *const texts[] = {
        "1.5.5s", "1.s", ".5s", "1s30", "1e3", "1,5s", "1 2s", "1s,2s", "0.0000000000000000000001s",
        "--1s",   "1ss", "s",   "1s 1x"};
    EACH_ROW(row)
    {
        struct value value;
        char error[512];
        for (size_t i = 0; row->kind != KIND_STRING && i < sizeof(texts) / sizeof(texts[0]); i++)
            cr_expect(parse_text(row, texts[i], &value, error) == -1, "%s takes \"%s\"", row->name,
                      texts[i]);
    }
}

/* Bytes come from the kernel, which may change: no read goes beyond them. */
Test(value, any_bytes_can_be_printed)
{
    EACH_ROW(row)
    {
        for (size_t length = 0; length <= 40; length++) {
            uint8_t *bytes = malloc(length ? length : 1); /* so that ASan detects its end */
            char text[16];
            int64_t number;
            memset(bytes, 0xff, length ? length : 1);
            memset(text, 'x', sizeof(text));
            value_format(row, bytes, length, text, sizeof(text));
            cr_expect(memchr(text, '\0', sizeof(text)), "%s: not terminated", row->name);
            value_number(row, bytes, length, &number);
            free(bytes);
        }
    }
}

Test(value, read_back_of_every_row_is_a_value)
{
    EACH_ROW(row)
    {
        struct value value, expected;
        char error[512];
        if (!has_bounds(row))
            continue;
        cr_assert(parse_number(row, row->max, &value, error) == 0);
        if (!value_read_back(row, &value, &expected))
            continue;
        cr_expect(row->readable, "%s", row->name);
        cr_expect(expected.length == value.length, "%s", row->name);
    }
}

/* By example */

struct reading {
    char option[24];
    char text[32];
    char printed[32]; /* the output of value_format() */
};

static void expect_reading(const struct reading *reading)
{
    const struct option *option = option_find(reading->option);
    struct value value;
    char error[512], printed[256];
    cr_assert(option);
    cr_assert(parse_text(option, reading->text, &value, error) == 0, "%s = \"%s\": %s",
              reading->option, reading->text, error);
    value_format(option, value.bytes, value.length, printed, sizeof(printed));
    cr_expect(strcmp(printed, reading->printed) == 0, "%s = \"%s\" prints %s, not %s",
              reading->option, reading->text, printed, reading->printed);
}

Test(value, reads)
{
    static const struct reading readings[] = {
        {"SO_KEEPALIVE", "on", "on"},
        {"SO_KEEPALIVE", "False", "off"},
        {"SO_KEEPALIVE", "yes", "on"},
        {"SO_KEEPALIVE", "1", "on"},
        {"TCP_KEEPIDLE", "10min", "600s"},
        {"TCP_KEEPIDLE", "2h", "7200s"},
        {"TCP_KEEPIDLE", "600", "600s"},
        {"TCP_KEEPIDLE", "600 s", "600s"},
        {"TCP_KEEPIDLE", "5000ms", "5s"},
        {"TCP_KEEPIDLE", "2m", "120s"},
        {"TCP_KEEPIDLE", "1m30s", "90s"},
        {"TCP_KEEPIDLE", "1min 30s", "90s"},
        {"TCP_KEEPIDLE", "1h30min", "5400s"},
        {"TCP_KEEPIDLE", "1.5h", "5400s"},
        {"TCP_KEEPIDLE", "30sec", "30s"},
        {"TCP_KEEPIDLE", "30 seconds", "30s"},
        {"TCP_KEEPIDLE", "5 minutes", "300s"},
        {"TCP_KEEPIDLE", "2hours", "7200s"},
        {"TCP_USER_TIMEOUT", "30s", "30000ms"},
        {"TCP_USER_TIMEOUT", "0.5s", "500ms"},
        {"TCP_USER_TIMEOUT", "1w", "604800000ms"},
        {"TCP_USER_TIMEOUT", "250msec", "250ms"},
        {"TCP_USER_TIMEOUT", "0", "0ms"},
        {"SO_BUSY_POLL", "50\u00b5s", "50us"},
        {"SO_BUSY_POLL", "50usec", "50us"},
        {"TCP_USER_TIMEOUT", "1d", "86400000ms"},
        {"TCP_LINGER2", "off", "off"},
        {"TCP_RTO_MIN_US", "5ms", "5000us"},
        {"SO_RCVTIMEO", "250ms", "250ms"},
        {"SO_RCVTIMEO", "90s", "90s"},
        {"SO_RCVTIMEO", "0s", "off"},
        {"SO_RCVTIMEO", "off", "off"},
        {"SO_LINGER", "5s", "5s"},
        {"SO_LINGER", "0", "0s"},
        {"SO_LINGER", "off", "off"},
        {"SO_RCVBUF", "256K", "256K"},
        {"SO_RCVBUF", "1M", "1M"},
        {"SO_RCVBUF", "1MiB", "1M"},
        {"SO_RCVBUF", "1024k", "1M"},
        {"SO_RCVBUF", "64KB", "64K"},
        {"SO_RCVBUF", "64kb", "64K"},
        {"SO_RCVBUF", "64KiB", "64K"},
        {"SO_RCVBUF", "1.5M", "1536K"},
        {"SO_RCVBUF", "512 bytes", "512"},
        {"SO_RCVBUF", "1000000", "1000000"},
        {"TCP_NOTSENT_LOWAT", "3G", "3G"},
        {"SO_MAX_PACING_RATE", "10M", "10M"},
        {"SO_MAX_PACING_RATE", "100Mbit", "12500000"},
        {"SO_MAX_PACING_RATE", "8kbit", "1000"},
        {"SO_MAX_PACING_RATE", "1.2Gbit/s", "150000000"},
        {"SO_MAX_PACING_RATE", "8000bit", "1000"},
        {"SO_MAX_PACING_RATE", "10MB/s", "10M"},
        {"SO_MAX_PACING_RATE", "9223372036854775807", "9223372036854775807"},
        {"SO_MAX_PACING_RATE", "unlimited", "unlimited"},
        {"SO_MARK", "0xffffffff", "4294967295"},
        {"SO_MARK", "010", "10"}, /* not octal */
        {"IP_TOS", "lowdelay", "lowdelay (0x10)"},
        {"IP_TOS", "EF", "ef (0xb8)"},
        {"IP_TOS", "0x11", "0x11"},
        {"IPV6_TCLASS", "af41", "af41 (0x88)"},
        {"dscp", "ef", "ef (46)"},
        {"dscp", "AF41", "af41 (34)"},
        {"dscp", "cs1", "cs1 (8)"},
        {"dscp", "5", "5"},
        {"IP_MTU_DISCOVER", "do", "do"},
        {"IPV6_MTU_DISCOVER", "2", "do"},
        {"SO_BUF_LOCK", "both", "both"},
        {"SO_TXREHASH", "default", "default"},
        {"IPV6_ADDR_PREFERENCES", "temporary", "temporary"},
        {"TCP_CONGESTION", "bbr", "bbr"},
        {"SO_BINDTODEVICE", "eth0.100", "eth0.100"},
        {"IP_LOCAL_PORT_RANGE", "40000-50000", "40000-50000"},
        {"IP_LOCAL_PORT_RANGE", "off", "off"},
        {"transport", "mptcp", "mptcp"},
        {"source", "192.0.2.1", "192.0.2.1"},
        {"source", "2001:DB8::1", "2001:db8::1"},
    };
    for (size_t i = 0; i < sizeof(readings) / sizeof(readings[0]); i++)
        expect_reading(&readings[i]);
}

struct refusal {
    char option[24];
    char text[24];
    char error[192];
};

static void expect_refusal(const struct refusal *refusal)
{
    const struct option *option = option_find(refusal->option);
    struct value value;
    char error[512];
    cr_assert(option);
    cr_assert(parse_text(option, refusal->text, &value, error) == -1, "%s takes \"%s\"",
              refusal->option, refusal->text);
    cr_expect(strcmp(error, refusal->error) == 0, "%s: \"%s\", not \"%s\"", refusal->option, error,
              refusal->error);
}

Test(value, refuses)
{
    static const struct refusal refusals[] = {
        {"TCP_KEEPIDLE", "5 parsecs",
         "\"5 parsecs\" is not a duration: write \"10s\", \"5min\" or \"1h30min\", "
         "1s to 32767s"},
        {"TCP_KEEPIDLE", "250ms", "\"250ms\" is no whole number of seconds: 1s to 32767s"},
        {"TCP_KEEPIDLE", "12h", "\"12h\" is out of range: 1s to 32767s"},
        {"TCP_KEEPIDLE", "0", "\"0\" is out of range: 1s to 32767s"},
        {"TCP_KEEPIDLE", "5M", "\"5M\" may mean minutes or months: write \"min\" (1s to 32767s)"},
        {"TCP_KEEPIDLE", "0.5s", "\"0.5s\" is no whole number of seconds: 1s to 32767s"},
        {"TCP_USER_TIMEOUT", "30",
         "\"30\" has no unit: write \"30s\", or else \"30ms\" (0ms to 2147483647ms)"},
        {"TCP_USER_TIMEOUT", "30000000",
         "\"30000000\" has no unit: write \"30000000us\", or else \"30000000ms\" (0ms to "
         "2147483647ms)"},
        {"TCP_RTO_MIN_US", "50", "\"50\" has no unit: write \"50ms\" (1001us to 200000us)"},
        {"TCP_RTO_MAX_MS", "30", "\"30\" has no unit: write \"30s\" (1000ms to 120000ms)"},
        {"SO_RCVTIMEO", "10",
         "\"10\" has no unit: write \"10s\", or else \"10ms\" (1us to 2147483647s, or off)"},
        {"SO_MAX_PACING_RATE", "100Mbps",
         "\"100Mbps\" may mean bits or bytes: write \"100Mbit\" for bits, \"100MB\" for bytes "
         "(1 byte per second or more, or unlimited)"},
        {"SO_MAX_PACING_RATE", "1.5 gb",
         "\"1.5 gb\" may mean bits or bytes: write \"1.5Gbit\" for bits, \"1.5GB\" for bytes "
         "(1 byte per second or more, or unlimited)"},
        {"SO_RCVBUF", "2x",
         "\"2x\" is not a size: write \"256K\", \"1M\" or a number of bytes, "
         "0 to 1073741823 bytes"},
        {"SO_KEEPALIVE", "maybe", "\"maybe\" is not a switch: on or off"},
        {"SO_KEEPALIVE", "2", "\"2\" is out of range: on or off"},
        {"IP_MTU_DISCOVER", "prob",
         "\"prob\" is not a mode of path MTU discovery, did you mean \"probe\"?: dont, want, do, "
         "probe, omit, interface, or 0 to 5"},
        {"dscp", "64", "\"64\" is out of range: a name such as ef, af41 or cs1, or 0 to 63"},
        {"TCP_CONGESTION", "b b r", "\"b b r\" is not a name: 1 to 15 characters"},
        {"SO_BINDTODEVICE", "../eth0", "\"../eth0\" is not a name: 1 to 15 characters"},
        {"TCP_CONGESTION", "sixteen_letters_",
         "\"sixteen_letters_\" is too long: "
         "1 to 15 characters"},
        {"IP_LOCAL_PORT_RANGE", "5-4",
         "\"5-4\" is out of range: ports 1 to 65535, the lower first"},
        {"IP_LOCAL_PORT_RANGE", "1-65536",
         "\"1-65536\" is out of range: ports 1 to 65535, the lower first"},
        {"transport", "sctp", "\"sctp\" is not a transport: mptcp"},
        {"source", "10.0.0.1:80",
         "\"10.0.0.1:80\" is not an address: an IPv4 or IPv6 address without a port"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        expect_refusal(&refusals[i]);
}

/* Bytes */

static struct value parsed(const char *name, const char *text)
{
    struct value value;
    char error[512];
    cr_assert(parse_text(option_find(name), text, &value, error) == 0, "%s", error);
    return value;
}

static struct value switched(const char *name, bool on)
{
    struct scalar scalar = {.type = SCALAR_BOOL, .integer = on};
    struct value value;
    char error[512];
    cr_assert(value_parse(option_find(name), &scalar, &value, error, sizeof(error)) == 0, "%s",
              error);
    return value;
}

#define EXPECT_BYTES(value, type, ...)                                                             \
    do {                                                                                           \
        const type wanted_ = __VA_ARGS__;                                                          \
        cr_expect((value).length == sizeof(wanted_) &&                                             \
                  memcmp((value).bytes, &wanted_, sizeof(wanted_)) == 0);                          \
    } while (0)

Test(value, becomes_the_kernels_bytes)
{
    struct value value = parsed("SO_LINGER", "5s");
    EXPECT_BYTES(value, struct linger, {1, 5});
    value = parsed("SO_LINGER", "off");
    EXPECT_BYTES(value, struct linger, {0, 0});
    value = switched("SO_LINGER", false);
    EXPECT_BYTES(value, struct linger, {0, 0});
    value = switched("SO_KEEPALIVE", true);
    EXPECT_BYTES(value, int32_t, 1);
    value = parsed("SO_RCVTIMEO", "1500ms");
    EXPECT_BYTES(value,
                 struct {
                     int64_t s;
                     int64_t us;
                 },
                 {1, 500000});
    value = parsed("SO_MAX_PACING_RATE", "unlimited");
    EXPECT_BYTES(value, uint64_t, UINT64_MAX);
    value = parsed("IP_LOCAL_PORT_RANGE", "1-2");
    EXPECT_BYTES(value, uint32_t, 0x00020001);
    value = parsed("transport", "mptcp");
    EXPECT_BYTES(value, int32_t, 262);
    value = parsed("source", "127.0.0.1");
    EXPECT_BYTES(value, struct { uint8_t a[16]; }, {{[10] = 0xff, 0xff, 127, 0, 0, 1}});
    value = parsed("TCP_CONGESTION", "bbr");
    EXPECT_BYTES(value, struct { char a[3]; }, {{'b', 'b', 'r'}});
}

Test(value, a_switch_is_no_number_and_a_number_of_a_timeout_needs_a_unit)
{
    struct scalar truth = {.type = SCALAR_BOOL, .integer = 1};
    struct scalar ten = {.type = SCALAR_INT, .integer = 10};
    struct value value;
    char error[512];
    cr_expect(value_parse(option_find("TCP_KEEPIDLE"), &truth, &value, error, sizeof(error)) == -1);
    cr_expect(strncmp(error, "true is not a duration: ", 24) == 0, "%s", error);
    cr_expect(value_parse(option_find("SO_LINGER"), &truth, &value, error, sizeof(error)) == -1);
    cr_expect(value_parse(option_find("SO_RCVTIMEO"), &ten, &value, error, sizeof(error)) == -1);
    cr_expect(strncmp(error, "10 has no unit: ", 16) == 0, "%s", error);
}

Test(value, messages_are_cut_off_at_the_end_of_the_buffer)
{
    struct scalar scalar = {.type = SCALAR_STRING, .string = "5 parsecs"};
    struct value value;
    char error[9] = "xxxxxxxx";
    cr_expect(value_parse(option_find("TCP_KEEPIDLE"), &scalar, &value, error, 8) == -1);
    cr_expect(strcmp(error, "\"5 pars") == 0, "%s", error);
    value_range(option_find("TCP_KEEPIDLE"), error, 1);
    cr_expect(error[0] == '\0');
}

Test(value, kernels_of_32_bits_answer_with_a_shorter_rate)
{
    const struct option *rate = option_find("SO_MAX_PACING_RATE");
    uint32_t unlimited = UINT32_MAX, some = 3000000000u;
    char text[32];
    int64_t number;
    value_format(rate, &unlimited, sizeof(unlimited), text, sizeof(text));
    cr_expect(strcmp(text, "unlimited") == 0, "%s", text);
    cr_expect(!value_number(rate, &unlimited, sizeof(unlimited), &number));
    cr_expect(value_number(rate, &some, sizeof(some), &number) && number == some);
}

/* Reading back */

static void expect_echo(const char *name, const char *set, const char *read)
{
    const struct option *option = option_find(name);
    struct value value = parsed(name, set), expected;
    char text[64] = "(cannot be foretold)";
    if (value_read_back(option, &value, &expected))
        value_format(option, expected.bytes, expected.length, text, sizeof(text));
    cr_expect(strcmp(text, read) == 0, "%s = \"%s\": reads %s, not %s", name, set, text, read);
}

Test(value, read_back_is_what_the_kernel_makes_of_it)
{
    expect_echo("TCP_KEEPIDLE", "10min", "600s");
    expect_echo("SO_RCVBUF", "64K", "128K");
    expect_echo("SO_RCVBUF", "1", "(cannot be foretold)"); /* raised to a minimum */
    expect_echo("TCP_DEFER_ACCEPT", "0", "0s");
    expect_echo("TCP_DEFER_ACCEPT", "1s", "1s");
    expect_echo("TCP_DEFER_ACCEPT", "10s", "15s");
    expect_echo("TCP_DEFER_ACCEPT", "128s", "247s");
    expect_echo("TCP_DEFER_ACCEPT", "29887s", "29887s");
    expect_echo("IP_TOS", "lowdelay", "lowdelay (0x10)");
    expect_echo("IP_TOS", "0xb9", "(cannot be foretold)"); /* TCP keeps its ECN bits */
    expect_echo("TCP_LINGER2", "off", "off");
    expect_echo("TCP_LINGER2", "default", "(cannot be foretold)");
    expect_echo("TCP_QUICKACK", "on", "(cannot be foretold)");
    expect_echo("SO_RCVBUFFORCE", "64K", "(cannot be foretold)");
    expect_echo("dscp", "ef", "(cannot be foretold)");
    expect_echo("TCP_CONGESTION", "bbr", "bbr");
    expect_echo("SO_BINDTODEVICE", "lo", "lo");
}

Test(value, read_back_rounds_timers_up_to_ticks)
{
    struct timespec tick;
    int64_t microseconds, number;
    struct value value = parsed("SO_RCVTIMEO", "10001us"), expected;
    const struct option *option = option_find("SO_RCVTIMEO");
    cr_assert(clock_getres(CLOCK_MONOTONIC_COARSE, &tick) == 0);
    if (1000000000 % tick.tv_nsec != 0)
        cr_skip("ticks of this kernel do not divide a second");
    microseconds = tick.tv_nsec / 1000;
    cr_assert(value_read_back(option, &value, &expected));
    cr_assert(value_number(option, expected.bytes, expected.length, &number));
    cr_expect(number >= 10001 && number < 10001 + microseconds && number % microseconds == 0,
              "%" PRId64, number);
}
