/* SPDX-License-Identifier: MIT */
/*
 * A connection, a listener or a UDP socket that the helper reports, for `stats` and `top`.
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
    TEXT_REASON, /* close reason: "fin", ...; "" while it is open */
    TEXT_COUNT
};

struct reported {
    char *texts[TEXT_COUNT]; /* owned; printable ASCII, never NULL */
    /* tcp_info; NAN: the kernel did not return the field, or it has no value yet. */
    double figures[TCP_INFO_COUNT];
    long pid;
    double opened;  /* seconds since the epoch */
    double closed;  /* the same; NAN: still open */
    double sampled; /* the same; NAN: never */
    /* For a listener, connections that wait for accept(); for a UDP socket, bytes that wait to be
     * received; then the limit and the number dropped. NAN: unknown. */
    double queue;
    double queue_limit;
    double dropped;
    unsigned refused; /* options that rules gave and the kernel refused */
};

/* `text` as a string of printable ASCII; other bytes become "?". NULL becomes "". The caller frees
 * it; NULL if memory is exhausted. */
char *reported_printable(const char *text);

/* Read one element of "connections". Returns false if memory is exhausted. A member that is missing
 * or has another type becomes "" or NAN. Control characters in names are replaced. */
bool reported_read(struct reported *connection, const json_t *object);
void reported_free(struct reported *connection);

/* How long the connection is or was open, in seconds. */
double reported_age(const struct reported *connection, double now);

bool reported_listens(const struct reported *connection);
bool reported_is_datagram(const struct reported *connection);

/* Bytes per second that the path delivers; a lower bound if the program sends less (app_limited).
 * NAN if the kernel's figure is meaningless, see tcp_info_is_bulk(). */
double reported_rate(const struct reported *connection);

/*
 * What limits bulk traffic: "receiver" if the peer's window did for most of the time in which data
 * was in flight; "application" if it had no more to send; else "network". `share` is the part of
 * that time, 0 if unknown. NULL if the figures do not allow an answer: for listeners, idle
 * connections and small requests.
 */
const char *reported_limit(const struct reported *connection, double *share);

struct reported_list {
    struct reported *items;
    size_t count, room;
};

/* Read an object with reported_read() and add the connection. False if memory is exhausted. */
bool reported_list_add(struct reported_list *connections, const json_t *object);
void reported_list_free(struct reported_list *connections);

/* Totals of the connections in the table. */
struct reported_totals {
    size_t count, open, listening, datagram, lost;
    double sent, retransmitted, received; /* bytes */
    char reasons[128];                    /* "7 fin, 2 timeout"; "" if all are open */
};
struct reported_totals reported_list_total(const struct reported_list *connections);

#endif
