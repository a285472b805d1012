/* SPDX-License-Identifier: MIT */
/*
 * A socket that exists in memory alone, for the engine's operations (socket_ops.h): `socktune
 * explain` and the unit tests run the engine on it. No system call is made.
 *
 * As the kernel, it tells SO_SNDBUF and SO_RCVBUF doubled. It has no idea of sysctls: an option
 * that nobody has set reads as FAKE_UNSET, which no value of a rule equals.
 */
#ifndef SOCKTUNE_FAKE_SOCKET_H
#define SOCKTUNE_FAKE_SOCKET_H

#include "policy.h"
#include "socket_ops.h"

#include <stdbool.h>

#define FAKE_UNSET INT32_MIN

/* Those of a policy, and what goes with them (SO_PRIORITY, IP_BIND_ADDRESS_NO_PORT ...). */
#define FAKE_OPTIONS_MAX (POLICY_OPTIONS_MAX + 16u)

/* What was set of one option. */
struct fake_option {
    int level;
    int optname;
    socklen_t length;
    uint8_t value[POLICY_VALUE_MAX];
};

enum fake_state { FAKE_CLOSED, FAKE_LISTENS, FAKE_CONNECTED, FAKE_ACCEPTED };

struct fake_socket {
    int domain; /* as for socket(2) */
    int type;
    int protocol;
    enum fake_state state;
    struct sockaddr_storage local;  /* ss_family 0: not bound */
    struct sockaddr_storage remote; /* ss_family 0: not connected */
    struct fake_option options[FAKE_OPTIONS_MAX];
    unsigned option_count;
    struct fake_socket *fresh; /* what make_fresh() gives; NULL: it fails */
    unsigned calls;            /* operations so far */
};

/* The handle borrows the socket. */
struct socket_handle fake_socket_handle(struct fake_socket *fake);

/* The option as it was set last, or NULL. */
const struct fake_option *fake_socket_option(const struct fake_socket *fake, int level,
                                             int optname);

/* Let getsockopt() answer this for an option. */
void fake_socket_put(struct fake_socket *fake, int level, int optname, const void *value,
                     socklen_t length);

/* What an accepted socket has from its listener: nothing of this option. */
void fake_socket_unset(struct fake_socket *fake, int level, int optname);

#endif
