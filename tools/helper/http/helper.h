/* SPDX-License-Identifier: MIT */
/*
 * The helper as a whole, as needed by the code that answers queries.
 */
#ifndef SOCKTUNE_HELPER_HELPER_H
#define SOCKTUNE_HELPER_HELPER_H

#include "client_table.h"
#include "config.h"
#include "connections.h"
#include "counts.h"
#include "log.h"
#include "loop.h"
#include "report_sources.h"

struct query;

struct helper {
    struct helper_config config;
    struct loop *loop;
    struct connections *connections;
    struct users *users;
    struct client_table *clients;
    struct report_sources *reports;
    struct poller *poller;
    struct trials *trials;
    struct publisher *publisher;
    struct query *query;
    uint64_t started; /* CLOCK_MONOTONIC ns */
    struct helper_counts counts;
};

/*
 * Start answering queries (query.c). `unix_fd` is the listening socket D/query.sock; `tcp_fd` is
 * that of --metrics, or -1. Takes ownership of both. Runs in helper->loop. Returns NULL with a
 * message on standard error.
 */
struct query *query_start(struct helper *helper, int unix_fd, int tcp_fd);

/* Call this after SIGHUP: helper->config may have changed. */
void query_reload(struct query *query);

/* End all answers and close the sockets. NULL does nothing. */
void query_stop(struct query *query);

#endif
