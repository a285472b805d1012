/* SPDX-License-Identifier: MIT */
#include "flow.h"
#include "ring.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

struct flow flow_between(const uint8_t local[16], uint16_t local_port, const uint8_t remote[16],
                         uint16_t remote_port, uint16_t family)
{
    struct flow flow = {.local_port = local_port, .remote_port = remote_port, .family = family};
    memcpy(flow.local, local, sizeof flow.local);
    memcpy(flow.remote, remote, sizeof flow.remote);
    return flow;
}

struct flow flow_of_record(const struct record *record)
{
    return flow_between(record->local, record->local_port, record->remote, record->remote_port,
                        record->family);
}

bool flow_has_ends_of(const struct flow *flow, const struct flow *other)
{
    return memcmp(flow, other, offsetof(struct flow, family)) == 0;
}

void flow_format_address(const uint8_t address[16], int family, char text[FLOW_ADDRESS_SIZE])
{
    bool v4 = family == AF_INET;
    (void)inet_ntop(v4 ? AF_INET : AF_INET6, address + (v4 ? 12 : 0), text, FLOW_ADDRESS_SIZE);
}
