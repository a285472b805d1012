/* SPDX-License-Identifier: MIT */
#include "http_clients.h"
#include "clock.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum group_kind { GROUP_USER = 1, GROUP_IPV4, GROUP_IPV6 };

struct http_group http_group_of_user(uid_t uid)
{
    struct http_group group = {.bytes = {GROUP_USER}};
    memcpy(group.bytes + 1, &uid, sizeof uid);
    return group;
}

struct http_group http_group_of_address(const struct sockaddr *address)
{
    struct http_group group = {.bytes = {GROUP_IPV4}};
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        memcpy(group.bytes + 1, &v4.sin_addr, 3);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            memcpy(group.bytes + 1, v6.sin6_addr.s6_addr + 12, 3);
        } else {
            group.bytes[0] = GROUP_IPV6;
            memcpy(group.bytes + 1, v6.sin6_addr.s6_addr, 8);
        }
    }
    return group;
}

static bool is_of_group(const struct http_client *client, const struct http_group *group)
{
    return !client->ended && memcmp(&client->group, group, sizeof *group) == 0;
}

/* Returns the number of clients in the group; `waiting` becomes the number of those without a
 * complete request. */
static unsigned count_group(const struct http_clients *clients, const struct http_group *group,
                            unsigned *waiting)
{
    unsigned count = 0;
    *waiting = 0;
    for (const struct http_client *client = clients->first; client != NULL; client = client->next)
        if (is_of_group(client, group)) {
            count++;
            *waiting += !client->answering;
        }
    return count;
}

static unsigned count_clients(const struct http_clients *clients)
{
    unsigned count = 0;
    for (const struct http_client *client = clients->first; client != NULL; client = client->next)
        count += !client->ended;
    return count;
}

static void hang_up_client(struct http_client *client)
{
    client->ended = true;
    (void)shutdown(client->fd, SHUT_RDWR);
}

/* Closes the client that has waited longest; `newest` if all others are being answered. */
static void hang_up_oldest(const struct http_clients *clients, const struct http_group *group,
                           struct http_client *newest)
{
    struct http_client *oldest = NULL;
    for (struct http_client *client = clients->first; client != NULL; client = client->next)
        if (is_of_group(client, group) && !client->answering && client != newest &&
            (oldest == NULL || client->since <= oldest->since))
            oldest = client;
    hang_up_client(oldest != NULL ? oldest : newest);
}

/* Returns the group with the most waiting clients. */
static struct http_group largest_group(const struct http_clients *clients)
{
    struct http_group largest = clients->first->group;
    unsigned most = 0, waiting;
    for (const struct http_client *client = clients->first; client != NULL; client = client->next) {
        (void)count_group(clients, &client->group, &waiting);
        if (waiting > most) {
            most = waiting;
            largest = client->group;
        }
    }
    return largest;
}

static void keep_within_bounds(const struct http_clients *clients, struct http_client *newest)
{
    unsigned waiting;
    struct http_group largest;
    if (count_group(clients, &newest->group, &waiting) > HTTP_GROUP_CLIENTS_MAX) {
        hang_up_oldest(clients, &newest->group, newest);
    } else if (count_clients(clients) > HTTP_CLIENTS_MAX) {
        largest = largest_group(clients);
        hang_up_oldest(clients, &largest, newest);
    }
}

struct http_client *http_client_add(struct http_clients *clients, int fd, struct http_group group,
                                    uint64_t now)
{
    struct http_client *client = malloc(sizeof *client);
    if (client == NULL)
        return NULL;
    *client = (struct http_client){
        .fd = fd, .group = group, .since = now, .next = clients->first, .at = &clients->first};
    if (client->next != NULL)
        client->next->at = &client->next;
    clients->first = client;
    keep_within_bounds(clients, client);
    return client;
}

void http_client_progress(struct http_client *client, bool answering, uint64_t now)
{
    if (client == NULL)
        return;
    client->answering = answering;
    client->since = now;
}

void http_client_remove(struct http_client *client)
{
    if (client == NULL)
        return;
    *client->at = client->next;
    if (client->next != NULL)
        client->next->at = client->at;
    free(client);
}

void http_clients_expire(struct http_clients *clients, uint64_t now)
{
    for (struct http_client *client = clients->first; client != NULL; client = client->next) {
        uint64_t patience = client->answering ? HTTP_ANSWER_SECONDS : HTTP_REQUEST_SECONDS;
        if (!client->ended && now > client->since && now - client->since > patience * SECOND)
            hang_up_client(client);
    }
}
