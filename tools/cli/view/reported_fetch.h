/* SPDX-License-Identifier: MIT */
/*
 * Getting the helper's connections, page by page, so that neither side holds them all as JSON.
 */
#ifndef SOCKTUNE_REPORTED_FETCH_H
#define SOCKTUNE_REPORTED_FETCH_H

#include "query_client.h"
#include "reported.h"

/* What a connection may be chosen by. */
enum reported_choice {
    CHOICE_PROGRAM, /* a glob; the others are names */
    CHOICE_RULE,
    CHOICE_ROLE,
    CHOICE_STATE,
    CHOICE_REASON,
    CHOICE_COUNT
};

/* "program": the parameter of /v1/connections, and the flag. */
extern const char *const reported_choice_names[CHOICE_COUNT];

/* Which connections to fetch. */
struct reported_filter {
    const char *choices[CHOICE_COUNT]; /* NULL: any */
    bool closed;                       /* closed connections instead of open ones */
};

/* A list being fetched. */
struct reported_fetch {
    struct reported_filter filter;
    size_t most;       /* no more than these; 0: all */
    unsigned patience; /* seconds that the helper may keep silent */
    /* Called with each connection and its JSON, which is gone when it returns; NULL: nothing is. */
    void (*see)(const struct reported *connection, const json_t *object, void *context);
    void *context;
    bool cut; /* out: there are more than `most` */
    char error[QUERY_ERROR_SIZE];
};

/* "/v1/connections" with the filter; false, with `error`, if a pattern is too long. */
bool reported_target(struct reported_fetch *fetch, struct query_target *target);

/* Append to `list`. Returns 0, or -1 with `error`. */
int reported_fetch(struct reported_fetch *fetch, struct reported_list *list);

/* The lost records by source, from /v1/status: "ring 3, netlink 17"; "" if nothing is lost or the
 * helper does not report it. */
void reported_losses(unsigned patience, char *text, size_t size);

/* Now, in seconds of the epoch, as the helper's times are. */
double reported_now(void);

#endif
