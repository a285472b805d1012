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

#include "helper.h"

struct registration_server;

/* `fd`: a listening SOCK_SEQPACKET Unix socket, which becomes the server's. NULL with a message
 * logged. */
struct registration_server *registration_start(struct helper *helper, int fd);
void registration_stop(struct registration_server *server);

#endif
