/* SPDX-License-Identifier: MIT */
/*
 * An description socket, and the process it is of, for people and for programs: what `inspect` and
 * `apply` have in common.
 */
#ifndef SOCKTUNE_SHOW_SOCKET_H
#define SOCKTUNE_SHOW_SOCKET_H

#include "describe.h"
#include "process_list.h"
#include "process_sockets.h"

#include <jansson.h>
#include <stdbool.h>

/* "tcp listen 0.0.0.0:80", "tcp established 192.0.2.1:80 from 192.0.2.9:5000" on standard output.
 */
void print_socket(const struct socket_description *description);

/* An address as JSON: {"address": ..., "port": ...}, or of a Unix socket ("named") {"path": ...};
 * null for "". `text` is as endpoint_format() writes it. */
json_t *json_endpoint(const char *text, bool named);

/* An object of fds, inode, cookie, family, protocol, role, state, local and remote. `sockets` are
 * its `count` descriptors. */
json_t *json_socket(const struct socket_description *description, const struct open_socket *sockets,
                    size_t count);

#endif
