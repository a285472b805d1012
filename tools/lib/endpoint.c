/* SPDX-License-Identifier: MIT */
/*
 * Parses and formats socket addresses.
 */
#include "endpoint.h"
#include "flow.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

int endpoint_family(const char *text)
{
    switch (*text) {
    case '/':
    case '@':
        return AF_UNIX;
    case '[':
        return AF_INET6;
    case ':':
        return AF_UNSPEC;
    default:
        return AF_INET;
    }
}

/* Parses the port after the last colon. Copies the address before it, without brackets, to
 * `host`. */
static const char *split_host_port(const char *text, char *host, size_t size, in_port_t *port)
{
    const char *colon = strrchr(text, ':');
    size_t length;
    char *end;
    unsigned long number;
    if (colon == NULL || !isdigit((unsigned char)colon[1]))
        return "expected ADDRESS:PORT, [ADDRESS]:PORT or :PORT";
    number = strtoul(colon + 1, &end, 10);
    if (*end || number > 65535)
        return "the port must be a number up to 65535";
    length = (size_t)(colon - text);
    if (*text == '[') {
        if (colon[-1] != ']')
            return "expected [ADDRESS]:PORT";
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        return "write an IPv6 address in brackets: [ADDRESS]:PORT";
    }
    if (length >= size)
        return "not an address";
    memcpy(host, text, length);
    host[length] = '\0';
    *port = htons((in_port_t)number);
    return NULL;
}

static const char *read_unix(const char *text, struct sockaddr_un *to)
{
    size_t length = strlen(text);
    if (length >= sizeof to->sun_path)
        return "too long for the path of a socket";
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, text, length + 1);
    if (*text == '@')
        to->sun_path[0] = '\0'; /* the abstract namespace, as ss(8) writes it */
    return NULL;
}

static const char *read_inet(const char *host, struct sockaddr_in *to)
{
    to->sin_family = AF_INET;
    if (*host && inet_pton(AF_INET, host, &to->sin_addr) != 1)
        return "not an IPv4 address";
    return NULL;
}

static const char *read_inet6(const char *host, struct sockaddr_in6 *to)
{
    char mapped[INET6_ADDRSTRLEN + 8];
    struct in_addr v4;
    to->sin6_family = AF_INET6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        snprintf(mapped, sizeof mapped, "::ffff:%s", host);
        host = mapped;
    }
    if (*host && inet_pton(AF_INET6, host, &to->sin6_addr) != 1)
        return "not an IPv6 address";
    return NULL;
}

const char *endpoint_read(const char *text, int domain, struct sockaddr_storage *to)
{
    char host[INET6_ADDRSTRLEN];
    in_port_t port;
    const char *wrong;
    memset(to, 0, sizeof *to);
    if (domain == AF_UNIX)
        return endpoint_family(text) == AF_UNIX ? read_unix(text, (struct sockaddr_un *)to)
                                                : "a unix socket's address begins with / or @";
    wrong = split_host_port(text, host, sizeof host, &port);
    if (wrong != NULL)
        return wrong;
    if (domain == AF_INET) {
        ((struct sockaddr_in *)to)->sin_port = port;
        return read_inet(host, (struct sockaddr_in *)to);
    }
    ((struct sockaddr_in6 *)to)->sin6_port = port;
    return read_inet6(host, (struct sockaddr_in6 *)to);
}

static void format_inet6(const struct sockaddr_in6 *from, char text[ENDPOINT_SIZE])
{
    char host[FLOW_ADDRESS_SIZE], scope[16] = "";
    flow_format_address(from->sin6_addr.s6_addr, AF_INET6, host);
    if (from->sin6_scope_id)
        snprintf(scope, sizeof scope, "%%%u", from->sin6_scope_id);
    snprintf(text, ENDPOINT_SIZE, "[%s%s]:%u", host, scope, ntohs(from->sin6_port));
}

static void format_inet(const struct sockaddr_in *from, char text[ENDPOINT_SIZE])
{
    uint8_t address[16] = {0};
    char host[FLOW_ADDRESS_SIZE];
    memcpy(address + 12, &from->sin_addr, sizeof from->sin_addr);
    flow_format_address(address, AF_INET, host);
    snprintf(text, ENDPOINT_SIZE, "%s:%u", host, ntohs(from->sin_port));
}

/* A path ends with a NUL or with the address; an abstract name may contain any bytes. */
static void format_unix(const struct sockaddr_un *from, size_t length, char text[ENDPOINT_SIZE])
{
    bool abstract = length && from->sun_path[0] == '\0';
    if (!abstract)
        length = strnlen(from->sun_path, length);
    for (size_t i = 0; i < length; i++)
        text[i] = isprint((unsigned char)from->sun_path[i]) ? from->sun_path[i] : '?';
    if (abstract)
        text[0] = '@';
    text[length] = '\0';
}

void endpoint_format(const struct sockaddr_storage *from, socklen_t length,
                     char text[ENDPOINT_SIZE])
{
    const size_t path = offsetof(struct sockaddr_un, sun_path);
    text[0] = '\0';
    if (length < sizeof from->ss_family)
        return;
    if (from->ss_family == AF_INET && length >= sizeof(struct sockaddr_in))
        format_inet((const struct sockaddr_in *)from, text);
    else if (from->ss_family == AF_INET6 && length >= sizeof(struct sockaddr_in6))
        format_inet6((const struct sockaddr_in6 *)from, text);
    else if (from->ss_family == AF_UNIX && length > path && length <= sizeof(struct sockaddr_un))
        format_unix((const struct sockaddr_un *)from, length - path, text);
}
