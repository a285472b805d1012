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

int observe(int fd, struct observed *observed)
{
    memset(observed, 0, sizeof *observed);
    observed->domain = kernel_get_int(fd, SOL_SOCKET, SO_DOMAIN);
    if (observed->domain < 0)
        return -1;
    observed->type = kernel_get_int(fd, SOL_SOCKET, SO_TYPE);
    observed->protocol = kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL);
    observed->listens = kernel_get_int(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1;
    observed->cookie = kernel_get_cookie(fd, SO_COOKIE);
    observed->local_length = sizeof observed->local;
    if (getsockname(fd, (struct sockaddr *)&observed->local, &observed->local_length) != 0)
        observed->local_length = 0;
    observed->remote_length = sizeof observed->remote;
    if (getpeername(fd, (struct sockaddr *)&observed->remote, &observed->remote_length) != 0)
        observed->remote_length = 0;
    if (!learn_history(KERNEL_SOCKET(fd), &observed->sockinfo)) {
        observed->sockinfo.families = 0;
        return 0;
    }
    tcp_info_read(fd, &observed->tcp_info);
    add_address(&observed->sockinfo, &observed->local, observed->local_length, FACT_LOCAL);
    add_address(&observed->sockinfo, &observed->remote, observed->remote_length, FACT_REMOTE);
    observed->connecting = !observed->listens && observed->remote_length == 0 &&
                           (observed->sockinfo.known & FACT_ROLE) != 0 &&
                           observed->sockinfo.roles == ROLE_CONNECT;
    return 0;
}

void observed_set_remote(struct observed *observed, const struct sockaddr_storage *remote,
                         socklen_t length)
{
    observed->remote = *remote;
    observed->remote_length = length;
    observed->sockinfo.unavailable &= (uint8_t)~FACT_REMOTE;
    add_address(&observed->sockinfo, remote, length, FACT_REMOTE);
}

const char *observed_protocol(const struct observed *observed, char text[32])
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

    if (observed->sockinfo.families)
        return name_of_bits(observed->sockinfo.protocols, protocol_names);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].domain == observed->domain)
            return others[i].name;
    snprintf(text, 32, "family %d", observed->domain);
    return text;
}

const char *observed_role(const struct observed *observed)
{
    if (observed->listens)
        return "listen";
    if (!(observed->sockinfo.known & FACT_ROLE))
        return NULL;
    return name_of_bits(observed->sockinfo.roles, role_names);
}

const char *observed_state(const struct observed *observed)
{
    uint64_t state;

    if (!observed->sockinfo.families)
        return NULL;
    if (tcp_info_get(tcp_info_find("state"), &observed->tcp_info, &state) == TCP_INFO_VALUE)
        return tcp_state_name((unsigned)state);
    return observed->listens ? "listen" : observed->remote_length ? "connected" : "unconnected";
}
