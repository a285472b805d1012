/* SPDX-License-Identifier: MIT */
#include "flow.h"
#include "ring.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

struct flow flow_of_record(const struct record *record)
{
    struct flow flow = {.local_port = record->local_port,
                        .remote_port = record->remote_port,
                        .family = record->family};
    memcpy(flow.local, record->local, sizeof flow.local);
    memcpy(flow.remote, record->remote, sizeof flow.remote);
    return flow;
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
