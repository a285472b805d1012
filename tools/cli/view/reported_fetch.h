/* SPDX-License-Identifier: MIT */
/*
 * Fetches the helper's connections page by page, so that neither side holds all of them as JSON.
 */
#ifndef SOCKTUNE_REPORTED_FETCH_H
#define SOCKTUNE_REPORTED_FETCH_H

#include "query_client.h"
#include "reported.h"

/* Criteria by which connections are chosen. */
enum reported_choice {
    CHOICE_PROGRAM, /* a glob; the others are names */
    CHOICE_RULE,
    CHOICE_ROLE,
    CHOICE_STATE,
    CHOICE_REASON,
    CHOICE_COUNT
};

/* "program", ...: the names of the parameters of /v1/connections and of the flags. */
extern const char *const reported_choice_names[CHOICE_COUNT];

/* Which connections to fetch. */
struct reported_filter {
    const char *choices[CHOICE_COUNT]; /* NULL: any */
    bool closed;                       /* closed connections instead of open ones */
};

/* A list being fetched. */
struct reported_fetch {
    struct reported_filter filter;
    size_t most;       /* maximum number of connections; 0: all */
    unsigned patience; /* seconds for which the helper may be silent */
    /* Called with each connection and its JSON, which is freed afterwards; NULL: no call. */
    void (*see)(const struct reported *connection, const json_t *object, void *context);
    void *context;
    bool cut; /* out: there are more than `most` */
    char error[QUERY_ERROR_SIZE];
};

/* Make "/v1/connections" with the filter; false, with `error`, if a pattern is too long. */
bool reported_target(struct reported_fetch *fetch, struct query_target *target);

/* Append to `list`. Returns 0, or -1 with `error`. */
int reported_fetch(struct reported_fetch *fetch, struct reported_list *list);

/* The number of lost records by source, from /v1/status: "ring 3, netlink 17"; "" if none is lost
 * or the helper does not report them. */
void reported_losses(unsigned patience, char *text, size_t size);

/* The current time in seconds since the epoch, as in the helper's times. */
double reported_now(void);

#endif
