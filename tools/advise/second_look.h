/* SPDX-License-Identifier: MIT */
/*
 * Reads the options that the program has set, from a duplicate of the socket: sock_diag does not
 * report them. The duplicate is open for microseconds. Without permission the options stay unknown.
 */
#ifndef SOCKTUNE_ADVISE_SECOND_LOOK_H
#define SOCKTUNE_ADVISE_SECOND_LOOK_H

#include "evidence.h"

#include <sys/types.h>

/* A socket of a process whose options are to be read. */
struct advise_look {
    uint64_t inode;
    struct advise_options *options; /* out */
};

/* Read the options of `count` sockets of a process, in any order. */
void second_look(pid_t pid, struct advise_look *looks, size_t count);

#endif
