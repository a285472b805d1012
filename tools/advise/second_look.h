/* SPDX-License-Identifier: MIT */
/*
 * Read the options that the program has set from a duplicate of the socket: sock_diag does not show
 * them. The duplicate is open for microseconds. Without permission the options stay unknown.
 */
#ifndef SOCKTUNE_ADVISE_SECOND_LOOK_H
#define SOCKTUNE_ADVISE_SECOND_LOOK_H

#include "evidence.h"

#include <sys/types.h>

/* A socket of a process that is to be looked at. */
struct advise_look {
    uint64_t inode;
    struct advise_options *options; /* out */
};

/* Look at `count` sockets of a process, in any order. */
void second_look(pid_t pid, struct advise_look *looks, size_t count);

#endif
