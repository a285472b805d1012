/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of sockets and processes.
 */
#include "show_socket.h"
#include "console.h"
#include "endpoint.h"
#include "names.h"

#include <string.h>

void print_socket(const struct observed *observed)
{
    char protocol[32], local[ENDPOINT_SIZE], remote[ENDPOINT_SIZE];
    const char *role = observed_role(observed);
    const char *towards = "to";

    endpoint_format(&observed->local, observed->local_length, local);
    endpoint_format(&observed->remote, observed->remote_length, remote);
    if (role && strcmp(role, "accept") == 0)
        towards = "from";
    fputs(observed_protocol(observed, protocol), stdout);
    if (observed_state(observed))
        printf(" %s", observed_state(observed));
    if (*local)
        printf(" %s", local);
    if (*remote)
        printf(" %s %s", towards, remote);
}

json_t *json_socket(const struct observed *observed, const struct open_socket *sockets,
                    size_t count)
{
    char protocol[32], local[ENDPOINT_SIZE], remote[ENDPOINT_SIZE];
    json_t *fds = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(fds, json_integer(sockets[i].fd));
    endpoint_format(&observed->local, observed->local_length, local);
    endpoint_format(&observed->remote, observed->remote_length, remote);
    return json_pack("{s:o, s:I, s:I, s:s?, s:s, s:s?, s:s?, s:s?, s:s?}", "fds", fds, "inode",
                     (json_int_t)sockets->inode, "cookie", (json_int_t)observed->cookie, "family",
                     name_of_bits(observed->sockinfo.families, family_names), "protocol",
                     observed_protocol(observed, protocol), "role", observed_role(observed),
                     "state", observed_state(observed), "local", *local ? local : NULL, "remote",
                     *remote ? remote : NULL);
}
