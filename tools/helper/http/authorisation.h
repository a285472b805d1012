/* SPDX-License-Identifier: MIT */
/*
 * Who asks, and what they may see. Over the Unix socket, the kernel identifies the peer. Over TCP,
 * only sums are shown.
 */
#ifndef SOCKTUNE_HELPER_AUTHORISATION_H
#define SOCKTUNE_HELPER_AUTHORISATION_H

#include <stdbool.h>
#include <sys/types.h>

struct authorisation {
    bool tcp;
    bool all;  /* sees every user's connections */
    uid_t uid; /* otherwise only this user's; (uid_t)-1 over TCP */
};

/* Returns the gid of the group with that name, or (gid_t)-1. */
gid_t authorisation_group(const char *name);

/* Returns the rights of the peer of a connected Unix socket. Root, the helper's own user, and
 * members of `group` see everything. On an error the peer sees nothing. */
struct authorisation authorisation_of(int fd, gid_t group);

#endif
