/* SPDX-License-Identifier: MIT */
#include "host_addresses.h"

#include "prefix.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const uint8_t address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

bool is_loopback(const uint8_t address[16])
{
    return is_v4(address) ? address[12] == 127 : IN6_IS_ADDR_LOOPBACK((const void *)address);
}

/* False if it is no address of IP. */
static bool read_interface_address(const struct sockaddr *from, uint8_t address[16])
{
    if (from != NULL && from->sa_family == AF_INET) {
        memcpy(address, mapped, sizeof mapped);
        memcpy(address + sizeof mapped, &((const struct sockaddr_in *)(const void *)from)->sin_addr,
               4);
        return true;
    }
    if (from != NULL && from->sa_family == AF_INET6) {
        memcpy(address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
        return true;
    }
    return false;
}

bool host_has_some(const struct policy_prefix *prefixes, size_t count)
{
    struct ifaddrs *all;
    bool has = false;
    for (size_t i = 0; i < count && !has; i++)
        has = !prefixes[i].negate && is_loopback(prefixes[i].address);
    if (has || getifaddrs(&all) != 0)
        return true;
    for (const struct ifaddrs *one = all; one != NULL && !has; one = one->ifa_next) {
        uint8_t address[16];
        if (!read_interface_address(one->ifa_addr, address))
            continue;
        for (size_t i = 0; i < count && !has; i++)
            has = !prefixes[i].negate && prefix_holds(&prefixes[i], address);
    }
    freeifaddrs(all);
    return has;
}

bool host_has_address(const uint8_t address[16])
{
    struct policy_prefix prefix = {.length = 128, .v4 = is_v4(address)};
    memcpy(prefix.address, address, sizeof prefix.address);
    return host_has_some(&prefix, 1);
}
