/* SPDX-License-Identifier: MIT */
/*
 * Who is connected to a server, and for how long.
 *
 * Clients belong to groups: on the Unix socket to a user, over TCP to a range of addresses. A new
 * client is always accepted. If there is no room, the client that has waited longest without a
 * complete request is closed: one of the same group if that is full, otherwise one of the largest
 * group. So clients that send their requests byte by byte harm only their own group, and a client
 * that sends a whole request gets its answer.
 */
#ifndef SOCKTUNE_HELPER_HTTP_CLIENTS_H
#define SOCKTUNE_HELPER_HTTP_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define HTTP_CLIENTS_MAX       256u /* per server */
#define HTTP_GROUP_CLIENTS_MAX 32u
/* Seconds for a request, counted from the connection or the previous answer; and for an answer. */
#define HTTP_REQUEST_SECONDS 20u
#define HTTP_ANSWER_SECONDS  120u

struct http_group {
    uint8_t bytes[9];
};

struct http_group http_group_of_user(uid_t uid);
/* One group per IPv4 /24 and per IPv6 /64; v4-mapped addresses are IPv4. */
struct http_group http_group_of_address(const struct sockaddr *address);

struct http_client {
    int fd; /* not owned; shut down to end the client, closed by the server library */
    struct http_group group;
    uint64_t
        since; /* CLOCK_MONOTONIC ns of the connection, or of the last complete request or answer */
    bool answering; /* the request is complete, the answer is not */
    bool ended;     /* it was closed and does not count any more */
    struct http_client *next, **at;
};

/* Initially {0}. */
struct http_clients {
    struct http_client *first; /* newest first */
};

/* Add a new client. NULL if there is no memory; then the caller should close it. */
struct http_client *http_client_add(struct http_clients *clients, int fd, struct http_group group,
                                    uint64_t now);
/* Its request is complete (`answering`), or its answer. NULL does nothing. */
void http_client_progress(struct http_client *client, bool answering, uint64_t now);
/* It has disconnected. NULL does nothing. */
void http_client_remove(struct http_client *client);

/* Close clients that exceed a time limit. Call it once a second. */
void http_clients_expire(struct http_clients *clients, uint64_t now);

#endif
