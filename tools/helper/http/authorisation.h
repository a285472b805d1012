/* SPDX-License-Identifier: MIT */
/*
 * Who asks, and what they may see: over the Unix socket as the kernel says who is at the other end,
 * over TCP sums alone.
 */
#ifndef SOCKTUNE_HELPER_AUTHORISATION_H
#define SOCKTUNE_HELPER_AUTHORISATION_H

#include <stdbool.h>
#include <sys/types.h>

struct authorisation {
    bool tcp;
    bool all;  /* sees every user's connections */
    uid_t uid; /* else this one's; (uid_t)-1 over TCP */
};

/* The gid of a group of that name, or (gid_t)-1. */
gid_t authorisation_group(const char *name);

/* The peer of a connected Unix socket. Root, the user that the helper itself runs as, and members
 * of `group` see all. On an error the viewer sees nothing. */
struct authorisation authorisation_of(int fd, gid_t group);

#endif
