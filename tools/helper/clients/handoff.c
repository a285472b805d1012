/* SPDX-License-Identifier: MIT */
/*
 * If the socket itself has a value, the value in the message is not trusted. TCP_INFO and the TCP
 * options of an MPTCP connection are those of its first subflow, as the kernel returns them.
 */
#include "handoff.h"
#include "compat.h"
#include "kernel.h"
#include "read_option.h"
#include "ring_reader.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

bool handoff_is(const void *message, size_t size)
{
    return size >= sizeof HANDOFF_MAGIC - 1 &&
           memcmp(message, HANDOFF_MAGIC, sizeof HANDOFF_MAGIC - 1) == 0;
}

const char *handoff_parse(const void *message, size_t size, struct handoff *handoff)
{
    if (size != sizeof *handoff)
        return "a handoff too short or too long";
    memcpy(handoff, message, sizeof *handoff);
    if (!handoff_is(message, size))
        return "not a handoff";
    if (handoff->version != HANDOFF_VERSION)
        return "a handoff of another version";
    if (handoff->size != size)
        return "a handoff of another size than it says";
    if (!ring_record_is_sane(&handoff->record) || handoff->record.kind == RECORD_LISTEN ||
        handoff->record.kind == RECORD_DATAGRAM)
        return "a handoff without a proper record";
    return NULL;
}

static const char *check_socket(int fd, const struct record *record)
{
    int domain = kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN);
    if ((domain != AF_INET && domain != AF_INET6) ||
        kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL) != record->protocol)
        return "what was handed over is no TCP or MPTCP socket, or not that of the record";
    if (kernel_get_int(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0)
        return "what was handed over is a listener";
    if (kernel_get_cookie(fd, SO_COOKIE) != record->cookie)
        return "what was handed over is another socket than that of the record";
    return NULL;
}

/* Reads the options that exist for such a connection. */
static void read_options(int fd, const struct sockinfo *sockinfo, struct handoff_reading *handed)
{
    size_t count;
    const struct option *rows = option_table(&count);
    for (size_t i = 0; i < count && i <= UINT8_MAX; i++) {
        struct value value;
        bool unset;
        uint8_t *to = handed->options + handed->options_length;
        if (!option_concerns(&rows[i], sockinfo) ||
            !read_option(KERNEL_SOCKET(fd), rows[i].level, rows[i].optname, &rows[i], &value,
                         &unset) ||
            value.length > UINT8_MAX ||
            handed->options_length + 2 + value.length > sizeof handed->options)
            continue;
        to[0] = (uint8_t)i;
        to[1] = (uint8_t)value.length;
        memcpy(to + 2, value.bytes, value.length);
        handed->options_length += 2 + value.length;
    }
}

const char *handoff_read(int fd, const struct record *record, struct handoff_reading *handed)
{
    const struct sockinfo sockinfo = {
        .families = record->family == AF_INET ? FAMILY_INET : FAMILY_INET6,
        .protocols = record->protocol == IPPROTO_MPTCP ? PROTOCOL_MPTCP : PROTOCOL_TCP,
        .roles = record->kind == RECORD_CONNECT ? ROLE_CONNECT : ROLE_ACCEPT,
        .known = FACT_ROLE};
    const char *wrong = check_socket(fd, record);
    socklen_t info_length = sizeof handed->info, name_length = sizeof handed->congestion;
    struct stat status;
    *handed = (struct handoff_reading){.netns = kernel_get_cookie(fd, SO_NETNS_COOKIE)};
    if (wrong != NULL)
        return wrong;
    if (fstat(fd, &status) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, handed->info, &info_length) != 0)
        return "what was handed over tells nothing";
    handed->owner = status.st_uid;
    handed->info_length = info_length;
    handed->state = handed->info[0];
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, handed->congestion, &name_length) != 0)
        name_length = 0;
    handed->congestion[name_length < sizeof handed->congestion ? name_length
                                                               : sizeof handed->congestion - 1] = 0;
    read_options(fd, &sockinfo, handed);
    return NULL;
}
