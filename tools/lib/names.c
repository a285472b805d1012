/* SPDX-License-Identifier: MIT */
/*
 * Tables of names.
 */
#include "names.h"

#include <stdio.h>

const struct bit_name family_names[] = {
    {FAMILY_INET, "inet"}, {FAMILY_INET6, "inet6"}, {FAMILY_UNIX, "unix"}, {0, NULL}};

const struct bit_name role_names[] = {{ROLE_CONNECT, "connect"},
                                      {ROLE_LISTEN, "listen"},
                                      {ROLE_ACCEPT, "accept"},
                                      {ROLE_DATAGRAM, "datagram"},
                                      {0, NULL}};

const struct bit_name protocol_names[] = {{PROTOCOL_TCP, "tcp"},
                                          {PROTOCOL_MPTCP, "mptcp"},
                                          {PROTOCOL_SCTP, "sctp"},
                                          {PROTOCOL_DCCP, "dccp"},
                                          {PROTOCOL_UDP, "udp"},
                                          {PROTOCOL_UDPLITE, "udplite"},
                                          {PROTOCOL_ICMP, "icmp"},
                                          {PROTOCOL_RAW, "raw"},
                                          {PROTOCOL_UNIX_STREAM, "unix-stream"},
                                          {PROTOCOL_UNIX_DGRAM, "unix-dgram"},
                                          {0, NULL}};

const char *name_of_bits(unsigned bits, const struct bit_name *names)
{
    while (names->name != NULL && !(bits & names->bit))
        names++;
    return names->name;
}

void names_list(const struct bit_name *names, unsigned bits, char *text, size_t size)
{
    size_t length = 0;
    *text = '\0';
    for (; names->name != NULL && length < size; names++)
        if (names->bit & bits)
            length += (size_t)snprintf(text + length, size - length, "%s%s", length > 0 ? ", " : "",
                                       names->name);
}

const char *unit_name(enum option_unit unit)
{
    static const char *const units[] = {
        [UNIT_NONE] = NULL,
        [UNIT_BYTES] = "bytes",
        [UNIT_BYTES_PER_SECOND] = "bytes per second",
        [UNIT_SECONDS] = "seconds",
        [UNIT_MILLISECONDS] = "milliseconds",
        [UNIT_MICROSECONDS] = "microseconds",
        [UNIT_HOPS] = "hops",
        [UNIT_COUNT_OF] = "count",
    };
    return units[unit];
}

const char *mode_name(enum action_mode mode)
{
    static const char *const modes[] = {
        [MODE_SET] = "set",       [MODE_DEFAULT] = "default",   [MODE_FORCE] = "force",
        [MODE_IGNORE] = "ignore", [MODE_AT_LEAST] = "at_least", [MODE_AT_MOST] = "at_most"};
    return modes[mode];
}

void privilege_name(const struct option *option, char *text, size_t size)
{
    static const char *const privileges[] = {
        [PRIVILEGE_NONE] = "",
        [PRIVILEGE_NET_ADMIN] = "CAP_NET_ADMIN",
        [PRIVILEGE_NET_RAW] = "CAP_NET_RAW",
        [PRIVILEGE_ABOVE] = "CAP_NET_ADMIN above",
        [PRIVILEGE_CHANGE] = "CAP_NET_RAW to change",
    };
    if (option->privilege == PRIVILEGE_ABOVE)
        snprintf(text, size, "%s %lld", privileges[PRIVILEGE_ABOVE], (long long)option->free_max);
    else
        snprintf(text, size, "%s", privileges[option->privilege]);
}
