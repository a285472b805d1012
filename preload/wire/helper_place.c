/* SPDX-License-Identifier: MIT */
/*
 * The paths of the helper's sockets.
 */
#include "helper_place.h"

#include "text.h"

#define MACHINE_DIRECTORY "/run/socktune/"
#define USER_DIRECTORY    "/socktune/" /* below XDG_RUNTIME_DIR */

static const char *const names[] = {
    [HELPER_REGISTRATION] = HELPER_REGISTRATION_NAME,
    [HELPER_QUERY] = HELPER_QUERY_NAME,
};

/* Builds the path `directory` `below` `name`; sun_family is set only if it fits. */
static void set_address(struct sockaddr_un *address, const char *directory, const char *below,
                        const char *name)
{
    struct text path = TEXT(address->sun_path);
    text_put(&path, directory);
    text_put(&path, below);
    text_put(&path, name);
    if (path.length + 1 < path.size)
        address->sun_family = AF_UNIX;
}

/* Replaces the last component of a path. */
static void set_name(struct sockaddr_un *address, const char *name)
{
    size_t directory = (size_t)(text_basename(address->sun_path) - address->sun_path);
    struct text path = {.bytes = address->sun_path + directory,
                        .size = sizeof address->sun_path - directory,
                        .length = 0};
    text_put(&path, name);
    if (path.length + 1 >= path.size)
        address->sun_family = 0;
}

void helper_addresses(const struct helper_environment *environment, enum helper_socket which,
                      struct sockaddr_un addresses[HELPER_PLACES])
{
    for (unsigned i = 0; i < HELPER_PLACES; i++)
        addresses[i].sun_family = 0;
    if (environment->socket != NULL && environment->socket[0] != 0) {
        set_address(&addresses[0], environment->socket, "", "");
        if (which != HELPER_REGISTRATION && addresses[0].sun_family == AF_UNIX)
            set_name(&addresses[0], names[which]);
        return;
    }
    set_address(&addresses[0], MACHINE_DIRECTORY, "", names[which]);
    if (environment->runtime != NULL && environment->runtime[0] == '/')
        set_address(&addresses[1], environment->runtime, USER_DIRECTORY, names[which]);
}
