/* SPDX-License-Identifier: MIT */
/*
 * SO_DOMAIN, SO_TYPE, SO_PROTOCOL, SO_ACCEPTCONN, SO_COOKIE, TCP_INFO, getsockname, getpeername.
 */
#include "describe.h"
#include "compat.h"
#include "kernel.h"
#include "kernel_socket.h"
#include "names.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Give the sockinfo an address that was read. Ports of unix sockets are 0 and never asked for. */
static void add_address(struct sockinfo *sockinfo, const struct sockaddr_storage *from,
                        socklen_t length, enum fact_bit fact)
{
    bool local = fact == FACT_LOCAL;
    if (length && address_read((const struct sockaddr *)from, length,
                               local ? &sockinfo->local : &sockinfo->remote,
                               local ? &sockinfo->local_port : &sockinfo->remote_port))
        sockinfo->known |= (uint8_t)fact;
    else
        sockinfo->unavailable |= (uint8_t)fact;
}

int describe_socket(int fd, struct socket_description *description)
{
    memset(description, 0, sizeof *description);
    description->domain = kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN);
    if (description->domain < 0)
        return -1;
    description->type = kernel_get_int(fd, SOL_SOCKET, SO_TYPE);
    description->protocol = kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL);
    description->listens = kernel_get_int(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
    description->cookie = kernel_get_cookie(fd, SO_COOKIE);
    description->netns = kernel_get_cookie(fd, SO_NETNS_COOKIE);
    description->local_length = sizeof description->local;
    if (getsockname(fd, (struct sockaddr *)&description->local, &description->local_length) != 0)
        description->local_length = 0;
    description->remote_length = sizeof description->remote;
    if (getpeername(fd, (struct sockaddr *)&description->remote, &description->remote_length) != 0)
        description->remote_length = 0;
    if (!learn_history(KERNEL_SOCKET(fd), &description->sockinfo)) {
        description->sockinfo.families = 0;
        return 0;
    }
    tcp_info_read(fd, &description->tcp_info);
    add_address(&description->sockinfo, &description->local, description->local_length, FACT_LOCAL);
    add_address(&description->sockinfo, &description->remote, description->remote_length,
                FACT_REMOTE);
    description->connecting = !description->listens && description->remote_length == 0 &&
                              (description->sockinfo.known & FACT_ROLE) != 0 &&
                              description->sockinfo.roles == ROLE_CONNECT;
    return 0;
}

void description_set_remote(struct socket_description *description,
                            const struct sockaddr_storage *remote, socklen_t length)
{
    description->remote = *remote;
    description->remote_length = length;
    description->sockinfo.unavailable &= (uint8_t)~FACT_REMOTE;
    add_address(&description->sockinfo, remote, length, FACT_REMOTE);
}

const char *description_protocol(const struct socket_description *description, char text[32])
{
    static const struct {
        int domain;
        const char *name;
    } others[] = {{AF_NETLINK, "netlink"}, {AF_PACKET, "packet"},
                  {AF_VSOCK, "vsock"},     {AF_BLUETOOTH, "bluetooth"},
                  {AF_ALG, "alg"},         {AF_KEY, "key"},
                  {AF_CAN, "can"},         {AF_XDP, "xdp"},
                  {AF_TIPC, "tipc"},       {AF_QIPCRTR, "qipcrtr"},
                  {AF_SMC, "smc"}};

    if (description->sockinfo.families)
        return name_of_bits(description->sockinfo.protocols, protocol_names);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].domain == description->domain)
            return others[i].name;
    snprintf(text, 32, "family %d", description->domain);
    return text;
}

const char *description_role(const struct socket_description *description)
{
    if (description->listens)
        return "listen";
    if (!(description->sockinfo.known & FACT_ROLE))
        return NULL;
    return name_of_bits(description->sockinfo.roles, role_names);
}

const char *description_state(const struct socket_description *description)
{
    uint64_t state;
    if (!description->sockinfo.families)
        return NULL;
    if (tcp_info_get(tcp_info_find("state"), &description->tcp_info, &state) == TCP_INFO_VALUE)
        return tcp_state_name((unsigned)state);
    return description->listens         ? "listen"
           : description->remote_length ? "connected"
                                        : "unconnected";
}
