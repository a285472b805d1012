/* SPDX-License-Identifier: MIT */
/*
 * Reading and comparing the values of options.
 */
#include "defaults.h"

#include "bytes.h"
#include "compat.h"

#include <linux/socket.h>

unsigned defaults_kind(const struct socket_handle *socket, const struct sockinfo *sockinfo)
{
    unsigned families = sockinfo->families, connected = sockinfo->protocols & PROTOCOL_CONNECTED;
    if ((families & (families - 1)) != 0)
        families = family_bit_of(socket_get_int(socket, SOL_SOCKET, SO_DOMAIN));
    if (connected != 0 && connected != sockinfo->protocols)
        connected = socket_get_int(socket, SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
    return (unsigned)__builtin_ctz(families | FAMILY_UNIX) * 2 + (connected == 0);
}

/* Reading */

/* A buffer set by SO_SNDBUFFORCE or SO_RCVBUFFORCE is read as SO_SNDBUF or SO_RCVBUF. */
static int read_as(const struct policy_option *option)
{
    if (option->level == SOL_SOCKET && option->optname == SO_SNDBUFFORCE)
        return SO_SNDBUF;
    if (option->level == SOL_SOCKET && option->optname == SO_RCVBUFFORCE)
        return SO_RCVBUF;
    return option->optname;
}

static bool read_option(const struct socket_handle *socket, const struct policy_option *option,
                        uint8_t bytes[DEFAULT_BYTES], socklen_t *length)
{
    *length = DEFAULT_BYTES;
    return option->level != LEVEL_SOCKTUNE &&
           socket->ops->get(socket, option->level, read_as(option), bytes, length) == 0;
}

bool defaults_note_one(const struct socket_handle *socket, const struct policy_option *option,
                       struct default_value *value)
{
    socklen_t length;
    if (!read_option(socket, option, value->bytes, &length))
        return false;
    value->length = (uint8_t)length;
    return true;
}

void defaults_note(const struct socket_handle *socket, const struct policy *policy,
                   struct default_value *defaults)
{
    for (uint32_t i = 0; i < policy->option_count; i++)
        defaults_note_one(socket, &policy->options[i], &defaults[i]);
}

bool defaults_is_buffer(const struct policy_option *option)
{
    int buffer = read_as(option);
    return option->level == SOL_SOCKET && (buffer == SO_SNDBUF || buffer == SO_RCVBUF);
}

/* Comparing */

/* True for a buffer whose size nobody has set. The kernel changes such a size itself (autotuning),
 * so it is no evidence. Before Linux 5.15 this is unknown. */
static bool is_unset_buffer(const struct socket_handle *socket, const struct policy_option *option)
{
    if (!defaults_is_buffer(option))
        return false;
    int locks = socket_get_int(socket, SOL_SOCKET, SO_BUF_LOCK);
    int own = read_as(option) == SO_SNDBUF ? SOCK_SNDBUF_LOCK : SOCK_RCVBUF_LOCK;
    return locks >= 0 && (locks & own) == 0;
}

enum default_comparison defaults_compare(const struct socket_handle *socket,
                                         const struct policy_option *option,
                                         const struct default_value *default_value)
{
    uint8_t now[DEFAULT_BYTES];
    socklen_t length;
    if (is_unset_buffer(socket, option))
        return DEFAULT_SAME;
    if (default_value->length == 0 || !read_option(socket, option, now, &length))
        return DEFAULT_UNKNOWN;
    return length == default_value->length && bytes_equal(now, default_value->bytes, length)
               ? DEFAULT_SAME
               : DEFAULT_DIFFERS;
}
