/* SPDX-License-Identifier: MIT */
/*
 * The description of a socket and its process, as text and as JSON, for `inspect` and `apply`.
 */
#ifndef SOCKTUNE_SHOW_SOCKET_H
#define SOCKTUNE_SHOW_SOCKET_H

#include "describe.h"
#include "process_list.h"
#include "process_sockets.h"

#include <jansson.h>
#include <stdbool.h>

/* Print "tcp listen 0.0.0.0:80" or "tcp established 192.0.2.1:80 from 192.0.2.9:5000" on standard
 * output. */
void print_socket(const struct socket_description *description);

/* An address as JSON: {"address": ..., "port": ...}, or {"path": ...} for a Unix socket ("named");
 * null for "". `text` is in the format of endpoint_format(). */
json_t *json_endpoint(const char *text, bool named);

/* An object with fds, inode, cookie, family, protocol, role, state, local and remote. `sockets` are
 * its `count` descriptors. */
json_t *json_socket(const struct socket_description *description, const struct open_socket *sockets,
                    size_t count);

#endif
