/* SPDX-License-Identifier: MIT */
/*
 * Tries each row of the option table on the kernel: it accepts the value for each family, protocol
 * and role that the row names, returns what `echo` says, has the same bounds, and accepted sockets
 * inherit what `inherit` says.
 */
#include "option.h"
#include "sockets.h"
#include "value.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Rows */

static bool any(const struct option *option)
{
    (void)option;
    return true;
}

static bool row_is_for(const struct option *option, const struct transport *transport)
{
    return (option->families & transport->family_bit) &&
           (option->protocols & transport->protocol_bit) && transport_exists(transport);
}

static bool kernel_is_older_than(const char *since)
{
    struct utsname self;
    unsigned have[2] = {0, 0}, want[2] = {0, 0};
    uname(&self);
    if (sscanf(since, "%u.%u", &want[0], &want[1]) != 2 ||
        sscanf(self.release, "%u.%u", &have[0], &have[1]) != 2)
        return false;
    return have[0] < want[0] || (have[0] == want[0] && have[1] < want[1]);
}

/* Values to try */

/* Values to try: the first one that the row allows and that differs from the socket's value is
 * set. */
static const struct scalar samples[] = {
    {.type = SCALAR_BOOL, .integer = 1},
    {.type = SCALAR_BOOL, .integer = 0},
    {.type = SCALAR_STRING, .string = "20ms"},
    {.type = SCALAR_STRING, .string = "42s"},
    {.type = SCALAR_STRING, .string = "lowdelay"},
    {.type = SCALAR_STRING, .string = "probe"},
    {.type = SCALAR_STRING, .string = "public"},
    {.type = SCALAR_STRING, .string = "send"},
    {.type = SCALAR_STRING, .string = "40000-40999"},
    {.type = SCALAR_STRING, .string = "60K"},
    {.type = SCALAR_INT, .integer = 5},
    {.type = SCALAR_INT, .integer = 2},
    {.type = SCALAR_INT, .integer = 1000},
    {.type = SCALAR_STRING, .string = "lo"},
    {.type = SCALAR_STRING, .string = "reno"},
    {.type = SCALAR_STRING, .string = "cubic"},
};

/* True if `fd` has the value, in the form in which the kernel returns it. */
static bool has_value(int fd, const struct option *option, const struct value *value)
{
    struct value expected, actual = {.length = 0};
    socklen_t length = sizeof(actual.bytes);
    if (!value_read_back(option, value, &expected))
        return false;
    if (option->kind == KIND_STRING)
        length = expected.length > 16 ? expected.length : 16;
    if (getsockopt(fd, option->level, option->optname, actual.bytes, &length) < 0)
        return false;
    return length == expected.length && memcmp(actual.bytes, expected.bytes, length) == 0;
}

static bool fits_string(const struct option *option, const struct scalar *scalar)
{
    bool device = option->echo == ECHO_TERMINATED;
    return option->kind != KIND_STRING ||
           (scalar->type == SCALAR_STRING && (strcmp(scalar->string, "lo") == 0) == device &&
            (device || strcmp(scalar->string, "reno") == 0 ||
             strcmp(scalar->string, "cubic") == 0));
}

/* Choose a value that `fd` does not have yet. */
static void choose_value(int fd, const struct option *option, struct value *value)
{
    char error[512];
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        if (fits_string(option, &samples[i]) &&
            value_parse(option, &samples[i], value, error, sizeof(error)) == 0 &&
            !has_value(fd, option, value))
            return;
    cr_assert_fail("%s: no sample value fits", option->name);
}

static const char *printed(const struct option *option, const void *bytes, size_t length)
{
    static char text[4][512]; /* as many as one message needs */
    static unsigned turn;
    turn = (turn + 1) % 4;
    value_format(option, bytes, length, text[turn], sizeof(text[turn]));
    return text[turn];
}

static int set_value(int fd, const struct option *option, const struct value *value)
{
    return setsockopt(fd, option->level, option->optname, value->bytes, value->length);
}

static bool is_absence(int error)
{
    return error == ENOPROTOOPT || error == EOPNOTSUPP;
}

/*
 * Whether the kernel supports the option. It does not if it is too old, the process lacks the
 * privilege, or the option is not built in (then each transport refuses it; if one accepts it, all
 * must).
 */
static bool is_askable(const struct option *option)
{
    bool absent = true;
    if (kernel_is_older_than(option->since)) {
        cr_log_info("%s came with Linux %s", option->name, option->since);
        return false;
    }
    for (const struct transport *transport = transports; transport->name != NULL; transport++) {
        struct value value;
        int fd, result;
        if (!row_is_for(option, transport))
            continue;
        fd = open_socket(transport);
        choose_value(fd, option, &value);
        result = set_value(fd, option, &value);
        absent = absent && result < 0 && is_absence(errno);
        if (result < 0 && errno == EPERM && option->privilege != PRIVILEGE_NONE) {
            cr_log_info("%s needs a privilege", option->name);
            absent = true;
            close(fd);
            break;
        }
        close(fd);
    }
    if (absent)
        cr_log_info("%s is not asked of this kernel", option->name);
    return !absent;
}

typedef void row_test(const struct option *option, const struct transport *transport);

/* Try each row for which `concerns` is true, on each of its transports. All rows in one process:
 * each socket is new, so rows cannot affect each other. */
static void try_rows(bool (*concerns)(const struct option *), row_test *try)
{
    size_t count, tried = 0;
    const struct option *table = option_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct option *option = &table[i];
        if (option->level == LEVEL_SOCKTUNE || !concerns(option) || !is_askable(option))
            continue;
        for (const struct transport *transport = transports; transport->name != NULL; transport++)
            if (row_is_for(option, transport))
                try(option, transport);
        tried++;
    }
    cr_assert(tried > 10, "only %zu rows could be tried", tried);
}

static void expect_value(int fd, const struct option *option, const struct value *value,
                         const struct transport *transport, const char *where)
{
    struct value expected, actual = {.length = 0};
    socklen_t length = sizeof(actual.bytes);
    if (!value_read_back(option, value, &expected))
        return;
    cr_expect(option->readable);
    cr_expect(getsockopt(fd, option->level, option->optname, actual.bytes, &length) == 0,
              "%s on %s, %s: getsockopt: %s", option->name, transport->name, where,
              strerror(errno));
    cr_expect(has_value(fd, option, value), "%s on %s, %s: set to %s, should read %s, reads %s",
              option->name, transport->name, where, printed(option, value->bytes, value->length),
              printed(option, expected.bytes, expected.length),
              printed(option, actual.bytes, length));
}

static void expect_set(int fd, const struct option *option, const struct value *value,
                       const struct transport *transport, const char *where)
{
    cr_expect(set_value(fd, option, value) == 0, "%s on %s, %s: cannot be set to %s: %s",
              option->name, transport->name, where, printed(option, value->bytes, value->length),
              strerror(errno));
    expect_value(fd, option, value, transport, where);
}

/* Setting */

static void try_connecting(const struct option *option, const struct transport *transport)
{
    int listener = open_socket(transport), client = open_socket(transport), accepted;
    struct value value;
    start_listening(transport, listener);
    choose_value(client, option, &value);
    if (option->when != WHEN_AFTER)
        expect_set(client, option, &value, transport, "before connect()");
    accepted = join(client, listener);
    if (option->when == WHEN_AFTER || option->when == WHEN_ANY)
        expect_set(client, option, &value, transport, "after connect()");
    else
        expect_value(client, option, &value, transport, "after connect()");
    close(accepted);
    close(client);
    close(listener);
}

static void try_listening(const struct option *option, const struct transport *transport)
{
    int fd = open_socket(transport);
    struct value value;
    choose_value(fd, option, &value);
    if (option->when == WHEN_BIND)
        expect_set(fd, option, &value, transport, "before bind()");
    bind_any(transport, fd);
    if (option->when != WHEN_BIND && option->when != WHEN_AFTER)
        expect_set(fd, option, &value, transport, "before listen()");
    cr_assert(listen(fd, 1) == 0, "listen: %s", strerror(errno));
    if (option->when == WHEN_AFTER)
        expect_set(fd, option, &value, transport, "after listen()");
    else
        expect_value(fd, option, &value, transport, "after listen()");
    close(fd);
}

static void try_datagram(const struct option *option, const struct transport *transport)
{
    int fd = open_socket(transport);
    struct value value;
    choose_value(fd, option, &value);
    expect_set(fd, option, &value, transport, "before bind()");
    bind_any(transport, fd);
    expect_value(fd, option, &value, transport, "after bind()");
    close(fd);
}

static void try_every_role(const struct option *option, const struct transport *transport)
{
    if (is_stream(transport) && (option->roles & ROLE_CONNECT))
        try_connecting(option, transport);
    if (is_stream(transport) && (option->roles & ROLE_LISTEN))
        try_listening(option, transport);
    if (!is_stream(transport) && (option->roles & ROLE_DATAGRAM))
        try_datagram(option, transport);
}

Test(table, is_taken_and_read_back)
{
    try_rows(any, try_every_role);
}

/* Bounds */

/* For durations below a few clock ticks, and for names whose numbers have gaps, a kernel may refuse
 * more values than the row excludes. */
static bool has_exact_bounds(const struct option *option)
{
    return option->kind != KIND_STRING && option->kind != KIND_PORT_RANGE &&
           option->echo != ECHO_PREFERENCES &&
           !(option->kind == KIND_DURATION && option->echo == ECHO_JIFFIES);
}

static void try_number(const struct option *option, const struct transport *transport,
                       int64_t number)
{
    char text[32], error[512];
    struct scalar scalar = {.type = SCALAR_INT, .integer = number};
    struct value value;
    int fd = open_socket(transport);
    const char *unit = option->kind == KIND_TIMEVAL        ? "us"
                       : option->unit == UNIT_MILLISECONDS ? "ms"
                       : option->unit == UNIT_MICROSECONDS ? "us"
                                                           : NULL;
    if (unit != NULL) {
        snprintf(text, sizeof(text), "%lld%s", (long long)number, unit);
        scalar = (struct scalar){.type = SCALAR_STRING, .string = text};
    }
    cr_assert(value_parse(option, &scalar, &value, error, sizeof(error)) == 0, "%s: %s",
              option->name, error);
    if (set_value(fd, option, &value) < 0 &&
        (errno == ENOMEM || /* within the bounds, but more than this machine has */
         (errno == EPERM && option->privilege == PRIVILEGE_ABOVE && number > option->free_max))) {
        close(fd);
        return;
    }
    cr_expect(set_value(fd, option, &value) == 0, "%s on %s: bound %s: %s", option->name,
              transport->name, printed(option, value.bytes, value.length), strerror(errno));
    close(fd);
}

static void try_bounds(const struct option *option, const struct transport *transport)
{
    try_number(option, transport, option->min);
    try_number(option, transport, option->max);
}

Test(table, bounds_are_the_kernels)
{
    try_rows(has_exact_bounds, try_bounds);
}

/* A number that is read back as written. */
static bool reads_back(const struct option *option)
{
    return has_exact_bounds(option) && option->echo == ECHO_SAME && option->kind != KIND_LINGER &&
           option->kind != KIND_RATE && option->kind != KIND_TIMEVAL;
}

static bool takes(const struct option *option, const struct transport *transport, int64_t number)
{
    int fd = open_socket(transport), plain = (int)number, got = 0;
    socklen_t length = sizeof(got);
    bool taken = setsockopt(fd, option->level, option->optname, &plain, sizeof(plain)) == 0 &&
                 getsockopt(fd, option->level, option->optname, &got, &length) == 0 && got == plain;
    close(fd);
    return taken;
}

static void try_beyond_bounds(const struct option *option, const struct transport *transport)
{
    /* MPTCP checks values only when it passes them to its subflows. */
    if (transport->protocol_bit == PROTOCOL_MPTCP)
        return;
    if (option->min > 0)
        cr_expect(!takes(option, transport, option->min - 1), "%s on %s takes less", option->name,
                  transport->name);
    if (option->max < INT32_MAX)
        cr_expect(!takes(option, transport, option->max + 1), "%s on %s takes more", option->name,
                  transport->name);
}

/* The kernel refuses values outside its bounds: ours are not narrower. */
Test(table, bounds_are_not_narrower)
{
    try_rows(reads_back, try_beyond_bounds);
}

/* Inheritance */

static void try_inheriting(const struct option *option, const struct transport *transport)
{
    int listener, client, accepted;
    struct value value;
    if (!is_stream(transport))
        return;
    listener = open_socket(transport);
    client = open_socket(transport);
    choose_value(listener, option, &value);
    if (option->when == WHEN_BIND)
        expect_set(listener, option, &value, transport, "before bind()");
    bind_any(transport, listener);
    if (option->when != WHEN_BIND && option->when != WHEN_AFTER)
        expect_set(listener, option, &value, transport, "before listen()");
    cr_assert(listen(listener, 8) == 0, "listen: %s", strerror(errno));
    if (option->when == WHEN_AFTER)
        expect_set(listener, option, &value, transport, "after listen()");
    accepted = join(client, listener);
    if (option_is_inherited(option, transport->family_bit)) {
        expect_value(accepted, option, &value, transport, "inherited");
    } else {
        cr_expect(!has_value(accepted, option, &value), "%s on %s is inherited after all",
                  option->name, transport->name);
        expect_set(accepted, option, &value, transport, "after accept()");
    }
    close(accepted);
    close(client);
    close(listener);
}

static bool may_be_inherited(const struct option *option)
{
    return option->inherit != INHERIT_NONE;
}

Test(table, is_inherited_as_told)
{
    try_rows(may_be_inherited, try_inheriting);
}
