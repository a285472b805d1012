/* SPDX-License-Identifier: MIT */
/*
 * Where the helper is. Programs that register, the commands that query the helper, and socktuned
 * itself all take the paths of the helper's sockets from here. Pure, without allocation,
 * async-signal-safe.
 */
#ifndef SOCKTUNE_HELPER_PLACE_H
#define SOCKTUNE_HELPER_PLACE_H

#include <sys/socket.h>
#include <sys/un.h>

#define HELPER_PLACES            2
#define HELPER_REGISTRATION_NAME "helper.sock"
#define HELPER_QUERY_NAME        "query.sock"

/* What the environment says about the helper. NULL or an empty string: not set. */
struct helper_environment {
    const char *socket;  /* SOCKTUNE_HELPER: the path of the registration socket */
    const char *runtime; /* XDG_RUNTIME_DIR; a relative path is not used */
};

/* The helper's sockets. They are in one directory. */
enum helper_socket {
    HELPER_REGISTRATION, /* helper.sock, or the path in SOCKTUNE_HELPER: programs register here */
    HELPER_QUERY         /* query.sock: the helper answers HTTP requests here */
};

/*
 * Fill in the addresses of one of the helper's sockets, in the order in which they are tried. With
 * SOCKTUNE_HELPER this is only the address that it names. Otherwise it is that of the machine's
 * helper in /run/socktune, then that of the user's helper in XDG_RUNTIME_DIR. An entry with
 * sun_family 0 is unused: there is no such place, or the path is too long.
 */
void helper_addresses(const struct helper_environment *environment, enum helper_socket which,
                      struct sockaddr_un addresses[HELPER_PLACES]);

#endif
