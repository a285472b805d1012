/* SPDX-License-Identifier: MIT */
#include "tracked.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#define SECOND      UINT64_C(1000000000)
#define INFO_LENGTH 280u
#define ESTABLISHED 1u

struct connection_start tracked_start(const char *program, const char *rule, uint64_t cookie)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct connection_start start = {
        .netns = 1,
        .cookie = cookie,
        .opened = 1000 * SECOND,
        .program = program,
        .rule = rule,
        .flow = {.local_port = 40000, .remote_port = 443, .family = AF_INET},
        .pid = 77,
        .uid = 1000,
        .protocol = IPPROTO_TCP,
        .role = ROLE_CONNECT,
    };
    memcpy(start.flow.local, mapped, sizeof mapped);
    memcpy(start.flow.local + 12, "\x7f\0\0\1", 4);
    memcpy(start.flow.remote, mapped, sizeof mapped);
    memcpy(start.flow.remote + 12, "\x0a\0\0\1", 4);
    return start;
}

struct connection *tracked(struct connections *all, const struct connection_start *start)
{
    struct connection *connection = connections_open(all, start);
    cr_assert_not_null(connection);
    connections_confirm(all, connection);
    return connection;
}

static void set_field(uint8_t *info, const char *name, uint64_t number)
{
    const struct tcp_info_field *field = tcp_info_find(name);
    cr_assert_not_null(field, "%s", name);
    if (field->bits)
        info[field->offset] |= (uint8_t)(number << field->shift);
    else
        memcpy(info + field->offset, &number,
               field->width); /* tests run on little-endian machines */
}

static struct connection_reading reading(uint8_t info[INFO_LENGTH], uint64_t when, va_list fields)
{
    const char *name;
    memset(info, 0, INFO_LENGTH);
    set_field(info, "segs_out", 1);
    while ((name = va_arg(fields, const char *)) != NULL)
        set_field(info, name, (uint64_t)va_arg(fields, int));
    return (struct connection_reading){.when = when,
                                       .state = ESTABLISHED,
                                       .info = info,
                                       .info_length = INFO_LENGTH,
                                       .congestion = "cubic"};
}

void tracked_sample(struct connections *all, struct connection *connection, ...)
{
    uint8_t info[INFO_LENGTH];
    struct connection_reading sample;
    va_list fields;
    va_start(fields, connection);
    sample = reading(info, connection->opened + SECOND, fields);
    va_end(fields);
    connections_sample(all, connection, &sample);
}

void tracked_close(struct connections *all, struct connection *connection, ...)
{
    uint8_t info[INFO_LENGTH];
    struct connection_reading sample;
    va_list fields;
    va_start(fields, connection);
    sample = reading(info, connection->opened + 2 * SECOND, fields);
    va_end(fields);
    connections_close(all, connection, DATA_FINAL, &sample);
}
