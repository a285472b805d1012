/* SPDX-License-Identifier: MIT */
/*
 * The socket at which programs register and hand over connections.
 *
 * Who is there is asked before anything is read (SO_PEERCRED); then one message with exactly its
 * descriptors is taken, without waiting, and the connection is closed. Whatever is wrong costs
 * that client its message and the log one line.
 */
#ifndef SOCKTUNE_HELPER_REGISTRATION_SERVER_H
#define SOCKTUNE_HELPER_REGISTRATION_SERVER_H

#include "client_table.h"

struct registration_server;

/* All but `fd` outlive the server. `fd`: a listening SOCK_SEQPACKET Unix socket, which becomes the
 * server's. NULL with a message logged. */
struct registration_server *registration_start(struct loop *loop, struct client_table *clients,
                                               struct helper_counts *counts, int fd);
void registration_stop(struct registration_server *server);

#endif
