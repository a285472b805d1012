/* SPDX-License-Identifier: MIT */
/*
 * Who is connected to a server, and for how long.
 *
 * Clients belong to groups: on the Unix socket to a user, over TCP to a range of addresses. A new
 * client always gets in. Where there is no room, the client goes that has waited longest without a
 * complete request, of the same group if this one is full, else of the largest one. So clients that
 * send their requests byte by byte cost only their own kind, and one that sends a whole request
 * gets its answer.
 */
#ifndef SOCKTUNE_HELPER_HTTP_CLIENTS_H
#define SOCKTUNE_HELPER_HTTP_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define HTTP_CLIENTS_MAX       256u /* of one server */
#define HTTP_GROUP_CLIENTS_MAX 32u
/* Seconds for a request, from the connection or from the answer before; and for an answer. */
#define HTTP_REQUEST_SECONDS 20u
#define HTTP_ANSWER_SECONDS  120u

struct http_group {
    uint8_t bytes[9];
};

struct http_group http_group_of_user(uid_t uid);
/* IPv4 addresses of one /24, IPv6 addresses of one /64; v4-mapped ones are IPv4. */
struct http_group http_group_of_address(const struct sockaddr *address);

struct http_client {
    int fd; /* not ours; shut down to end the client, closed by who serves it */
    struct http_group group;
    uint64_t
        since; /* CLOCK_MONOTONIC ns when it came, or when its request or answer was complete */
    bool answering; /* its request is complete, its answer is not */
    bool ended;     /* it was hung up and does not count any more */
    struct http_client *next, **at;
};

/* Begins as {0}. */
struct http_clients {
    struct http_client *first; /* the newest */
};

/* A client that came; NULL without memory, and then it should be hung up. */
struct http_client *http_client_add(struct http_clients *clients, int fd, struct http_group group,
                                    uint64_t now);
/* Its request is complete (`answering`), or its answer. NULL does nothing. */
void http_client_progress(struct http_client *client, bool answering, uint64_t now);
/* It is gone. NULL does nothing. */
void http_client_remove(struct http_client *client);

/* Hang up those that took too long. To be called once a second. */
void http_clients_expire(struct http_clients *clients, uint64_t now);

#endif
