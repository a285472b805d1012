/* SPDX-License-Identifier: MIT */
/*
 * An option that the kernel lacks gives ENOPROTOOPT from getsockopt() and from setsockopt(). Some
 * options can only be set; these are set to their least value, on a socket made for that. Any
 * other answer (EPERM, EINVAL, ENOTCONN ...) comes from code that knows the option.
 */
#include "kernel_support.h"
#include "compat.h"
#include "policy.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct {
    uint8_t family;
    int domain;
} domains[] = {{FAMILY_INET, AF_INET}, {FAMILY_INET6, AF_INET6}, {FAMILY_UNIX, AF_UNIX}};

static const struct {
    uint16_t bit;
    uint8_t families;
    int type;
    int protocol;
} protocols[] = {
    {PROTOCOL_TCP, FAMILY_IP, SOCK_STREAM, IPPROTO_TCP},
    {PROTOCOL_UDP, FAMILY_IP, SOCK_DGRAM, IPPROTO_UDP},
    {PROTOCOL_MPTCP, FAMILY_IP, SOCK_STREAM, IPPROTO_MPTCP},
    {PROTOCOL_UNIX_STREAM, FAMILY_UNIX, SOCK_STREAM, 0},
    {PROTOCOL_UNIX_DGRAM, FAMILY_UNIX, SOCK_DGRAM, 0},
    {PROTOCOL_SCTP, FAMILY_IP, SOCK_STREAM, IPPROTO_SCTP},
    {PROTOCOL_DCCP, FAMILY_IP, SOCK_DCCP, IPPROTO_DCCP},
    {PROTOCOL_UDPLITE, FAMILY_IP, SOCK_DGRAM, IPPROTO_UDPLITE},
    {PROTOCOL_ICMP, FAMILY_INET, SOCK_DGRAM, IPPROTO_ICMP},
    {PROTOCOL_RAW, FAMILY_IP, SOCK_RAW, IPPROTO_RAW},
};

/* The first socket that can be made of those that the option is for; -1 for none. */
static int socket_for(const struct option *option)
{
    for (size_t p = 0; p < sizeof protocols / sizeof *protocols; p++)
        for (size_t d = 0; d < sizeof domains / sizeof *domains; d++) {
            int fd;
            if (!(option->protocols & protocols[p].bit) ||
                !(option->families & protocols[p].families & domains[d].family))
                continue;
            fd = socket(domains[d].domain, protocols[p].type | SOCK_CLOEXEC, protocols[p].protocol);
            if (fd >= 0)
                return fd;
        }
    return -1;
}

static bool kernel_lacks(int fd, const struct option *option)
{
    char value[POLICY_VALUE_MAX] = {0};
    socklen_t length = sizeof value;
    int least = (int)option->min;
    if (getsockopt(fd, option->level, option->optname, value, &length) == 0 || errno != ENOPROTOOPT)
        return false;
    if (option->readable)
        return true;
    memcpy(value, &least, sizeof least);
    return setsockopt(fd, option->level, option->optname, value, sizeof least) != 0 &&
           errno == ENOPROTOOPT;
}

enum kernel_support kernel_support(const struct option *option)
{
    enum kernel_support answer;
    int fd;
    if (option->kind == KIND_TRANSPORT) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
        answer = fd >= 0 ? KERNEL_HAS : KERNEL_LACKS;
    } else if (option->level == LEVEL_SOCKTUNE) {
        return KERNEL_HAS; /* made of what every kernel has */
    } else {
        fd = socket_for(option);
        answer = fd < 0 ? KERNEL_UNTOLD : kernel_lacks(fd, option) ? KERNEL_LACKS : KERNEL_HAS;
    }
    if (fd >= 0)
        close(fd);
    return answer;
}
