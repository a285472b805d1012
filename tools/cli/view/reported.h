/* SPDX-License-Identifier: MIT */
/*
 * A connection, a listener or a UDP socket that the helper reports, as `stats` and `top` know it.
 */
#ifndef SOCKTUNE_REPORTED_H
#define SOCKTUNE_REPORTED_H

#include "tcp_info.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum reported_text {
    TEXT_ID,
    TEXT_PROGRAM,
    TEXT_RULE,
    TEXT_ROLE,
    TEXT_STATE,
    TEXT_LOCAL,
    TEXT_REMOTE,
    TEXT_CONGESTION,
    TEXT_DATA,   /* "sample", "final" or "lost" */
    TEXT_REASON, /* how it ended, "fin", ...; "" while it is open */
    TEXT_COUNT
};

struct reported {
    char *texts[TEXT_COUNT]; /* own; printable ASCII, never NULL */
    /* Of tcp_info; NAN: the kernel did not return it, or it has no value yet. */
    double figures[TCP_INFO_COUNT];
    long pid;
    double opened;  /* seconds of the epoch */
    double closed;  /* the same; NAN: it is open */
    double sampled; /* the same; NAN: never */
    /* For a listener, connections that wait for accept(); for a UDP socket, bytes that wait to be
     * received; then the limit and the number dropped. NAN: unknown. */
    double queue;
    double queue_limit;
    double dropped;
    unsigned refused; /* options that rules gave and the kernel refused */
};

/* `text` as a string of printable ASCII; all else becomes "?". NULL is "". To be freed; NULL
 * without memory. */
char *reported_printable(const char *text);

/* Read one element of "connections". Returns false without memory. A member that is missing or
 * of another type becomes "" or NAN. No control character of a program's name is kept. */
bool reported_read(struct reported *connection, const json_t *object);
void reported_free(struct reported *connection);

/* How long it is or was open, in seconds. */
double reported_age(const struct reported *connection, double now);

bool reported_listens(const struct reported *connection);
bool reported_is_datagram(const struct reported *connection);

/* Bytes a second that the path delivers, or at least delivers where the program sends less
 * (app_limited); NAN where the kernel's figure means nothing, see tcp_info_is_bulk(). */
double reported_rate(const struct reported *connection);

/*
 * What keeps bulk traffic from being faster: "receiver", the peer's window, for most of the time in
 * which data was under way; "application", which had no more to send; else "network". `share` is
 * the part of that time, 0 where it is not known. NULL: the figures do not tell, as of a listener,
 * an idle connection or one of small requests.
 */
const char *reported_limit(const struct reported *connection, double *share);

struct reported_list {
    struct reported *items;
    size_t count, room;
};

/* Add what `reported_read` made of the object. False when memory ends. */
bool reported_list_add(struct reported_list *connections, const json_t *object);
void reported_list_free(struct reported_list *connections);

/* What the table below it comes to. */
struct reported_totals {
    size_t count, open, listening, datagram, lost;
    double sent, retransmitted, received; /* bytes */
    char reasons[128];                    /* "7 fin, 2 timeout"; "" where all are open */
};
struct reported_totals reported_list_total(const struct reported_list *connections);

#endif
