/* SPDX-License-Identifier: MIT */
/*
 * The helper's end of the receiver (receiver.h): enters what clients sent into the client table;
 * counts and logs what was refused.
 */
#ifndef SOCKTUNE_HELPER_REGISTRATION_SERVER_H
#define SOCKTUNE_HELPER_REGISTRATION_SERVER_H

#include "client_table.h"
#include "report_sources.h"

struct registration_server;

/* `fd` is a listening SOCK_SEQPACKET Unix socket, whose ownership passes to the server; the other
 * arguments must outlive the server. NULL if it failed, which is logged. */
struct registration_server *registration_start(struct loop *loop, struct client_table *clients,
                                               struct report_sources *reports,
                                               struct helper_counts *counts, int fd);
/* NULL does nothing. */
void registration_stop(struct registration_server *server);

#endif
