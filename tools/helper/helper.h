/* SPDX-License-Identifier: MIT */
/*
 * The helper as a whole: what its parts share.
 */
#ifndef SOCKTUNE_HELPER_HELPER_H
#define SOCKTUNE_HELPER_HELPER_H

#include "config.h"
#include "connections.h"
#include "loop.h"
#include "registry.h"

struct poller;
struct query;

struct helper {
    struct helper_config config;
    struct loop *loop;
    struct connections *connections;
    struct client_table *clients;
    struct poller *poller;
    struct query *query;
    uint64_t started;  /* CLOCK_REALTIME ns */
    uint64_t records;  /* taken from all rings */
    uint64_t handed;   /* connections that were handed over and read */
    uint64_t withheld; /* connections that programs could not hand over */
    uint64_t dropped[DROP_COUNT];
    uint64_t samples;       /* readings of connections */
    uint64_t sampling_time; /* ns spent on them */
    size_t namespaces;      /* network namespaces that are watched */
};

/*
 * The part that answers (query.c). `unix_fd` is the listening socket D/query.sock, `tcp_fd` that of
 * --metrics, or -1; both become the query part's. It hangs itself into helper->loop. Returns NULL
 * with a message on standard error.
 */
struct query *query_start(struct helper *helper, int unix_fd, int tcp_fd);

/* After SIGHUP: helper->config may have changed. */
void query_reload(struct query *query);

/* End all answers and close the sockets. NULL does nothing. */
void query_stop(struct query *query);

/* One line to standard error, with the priority (LOG_ERR, ...) in front where journald reads. */
void helper_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
