/* SPDX-License-Identifier: MIT */
/*
 * Fresh sockets, to compare others with: what a socket is given by the kernel before any program
 * sets anything. That depends on the sysctls of its network namespace, so the fresh socket is made
 * in the same one where that is allowed.
 */
#ifndef SOCKTUNE_DEFAULT_SOCKETS_H
#define SOCKTUNE_DEFAULT_SOCKETS_H

#include "defaults.h"
#include "duplicate.h"

/* One of them. It is bound to nothing and connected to nothing. */
struct default_socket {
    uint64_t network;
    int domain, type, protocol;
    int fd;         /* -1: none could be made */
    bool elsewhere; /* made in our own network namespace, since the other may not be entered */
    struct default_value *defaults; /* its options by policy->options; NULL without a policy */
};

/* Those made so far. Zero all but `policy` to begin; release with default_sockets_free(). */
struct default_sockets {
    const struct policy *policy; /* whose options are noted; may be NULL */
    struct default_socket *items;
    size_t count, room;
};

/* The one of that kind and network namespace made before, or NULL. */
const struct default_socket *default_sockets_find(const struct default_sockets *sockets,
                                                  uint64_t network, int domain, int type,
                                                  int protocol);

/*
 * The same, made if need be, for a process's socket. In another namespace it is made by a child
 * that enters it: this takes CAP_SYS_ADMIN there, or being the owner of the process's user
 * namespace. NULL with errno when memory ends. Invalidates earlier answers.
 */
const struct default_socket *default_sockets_get(struct default_sockets *sockets,
                                                 const struct socket_owner *owner, int domain,
                                                 int type, int protocol);

void default_sockets_free(struct default_sockets *sockets);

#endif
