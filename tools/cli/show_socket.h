/* SPDX-License-Identifier: MIT */
/*
 * An observed socket, and the process it is of, for people and for programs: what `inspect` and
 * `apply` have in common.
 */
#ifndef SOCKTUNE_SHOW_SOCKET_H
#define SOCKTUNE_SHOW_SOCKET_H

#include "describe.h"
#include "process.h"

#include <jansson.h>

/* "tcp listen 0.0.0.0:80", "tcp established 192.0.2.1:80 from 192.0.2.9:5000" on standard output.
 */
void print_socket(const struct observed *observed);

/* An object of fds, inode, cookie, family, protocol, role, state, local and remote. `sockets` are
 * the `count` descriptors of it. */
json_t *json_socket(const struct observed *observed, const struct open_socket *sockets,
                    size_t count);

/* How many of the items from `first` on are descriptors of one socket. */
size_t descriptors_of_one(const struct open_sockets *open, size_t first);

/* The number that a word stands for; false if it is no process ID. */
bool read_pid(const char *word, pid_t *pid);

/* All processes but this one, ascending, malloc()ed; NULL with errno. */
pid_t *all_processes(size_t *count);

#endif
