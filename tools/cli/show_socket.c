/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of sockets and processes.
 */
#include "show_socket.h"
#include "console.h"
#include "endpoint.h"
#include "names.h"

#include <stdlib.h>
#include <string.h>

void print_socket(const struct socket_description *description)
{
    char protocol[32], local[ENDPOINT_SIZE], remote[ENDPOINT_SIZE];
    const char *role = description_role(description);
    const char *towards = "to";
    endpoint_format(&description->local, description->local_length, local);
    endpoint_format(&description->remote, description->remote_length, remote);
    if (role != NULL && strcmp(role, "accept") == 0)
        towards = "from";
    fputs(description_protocol(description, protocol), stdout);
    if (description_state(description) != NULL)
        printf(" %s", description_state(description));
    if (*local)
        printf(" %s", local);
    if (*remote)
        printf(" %s %s", towards, remote);
}

json_t *json_endpoint(const char *text, bool named)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[';
    int length;
    if (*text == '\0')
        return json_null();
    if (named || colon == NULL)
        return json_pack("{s:o}", "path", json_text(text));
    length = (int)(colon - text) - 2 * bracketed;
    return json_pack("{s:s#, s:i}", "address", text + bracketed, length, "port", atoi(colon + 1));
}

json_t *json_socket(const struct socket_description *description, const struct open_socket *sockets,
                    size_t count)
{
    char protocol[32], local[ENDPOINT_SIZE], remote[ENDPOINT_SIZE];
    bool named = description->sockinfo.families == FAMILY_UNIX;
    json_t *fds = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(fds, json_integer(sockets[i].fd));
    endpoint_format(&description->local, description->local_length, local);
    endpoint_format(&description->remote, description->remote_length, remote);
    return json_pack("{s:o, s:I, s:I, s:s?, s:s, s:s?, s:s?, s:o, s:o}", "fds", fds, "inode",
                     (json_int_t)sockets->inode, "cookie", (json_int_t)description->cookie,
                     "family", name_of_bits(description->sockinfo.families, family_names),
                     "protocol", description_protocol(description, protocol), "role",
                     description_role(description), "state", description_state(description),
                     "local", json_endpoint(local, named), "remote", json_endpoint(remote, named));
}
