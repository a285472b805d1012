/* SPDX-License-Identifier: MIT */
/*
 * The helper's end of the receiver (receiver.h): what clients sent goes into the client table, what
 * was refused is counted and logged.
 */
#ifndef SOCKTUNE_HELPER_REGISTRATION_SERVER_H
#define SOCKTUNE_HELPER_REGISTRATION_SERVER_H

#include "client_table.h"
#include "report_sources.h"

struct registration_server;

/* `fd`: a listening SOCK_SEQPACKET Unix socket, which becomes the server's; the others outlive the
 * server. NULL with a message logged. */
struct registration_server *registration_start(struct loop *loop, struct client_table *clients,
                                               struct report_sources *reports,
                                               struct helper_counts *counts, int fd);
/* NULL does nothing. */
void registration_stop(struct registration_server *server);

#endif
