/* SPDX-License-Identifier: MIT */
/*
 * A connection that the helper reports, and the columns in which `stats` and `top` show it.
 *
 * A new column is a row of the table in columns.c; headings, sorting, `--sort` and the keys of
 * `top` follow from it.
 */
#ifndef SOCKTUNE_REPORTED_H
#define SOCKTUNE_REPORTED_H

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

/* Fields of tcp_info that the columns use; their names are in reported.c. */
enum reported_figure {
    FIGURE_RTT,
    FIGURE_RTTVAR,
    FIGURE_MIN_RTT,
    FIGURE_TOTAL_RETRANS,
    FIGURE_BYTES_SENT,
    FIGURE_BYTES_RETRANS,
    FIGURE_BYTES_RECEIVED,
    FIGURE_CWND,
    FIGURE_DELIVERY_RATE,
    FIGURE_APP_LIMITED,
    FIGURE_BUSY_TIME,
    FIGURE_RWND_LIMITED,
    FIGURE_SNDBUF_LIMITED,
    FIGURE_COUNT
};

struct reported {
    char *texts[TEXT_COUNT];      /* own; printable ASCII, never NULL */
    double figures[FIGURE_COUNT]; /* NAN: the kernel did not return it, or it has no value yet */
    long pid;
    double opened;  /* seconds of the epoch */
    double closed;  /* the same; NAN: it is open */
    double sampled; /* the same; NAN: never */
    double queue;   /* of a listener: connections that wait for accept(); NAN: not told */
    double queue_limit;
    unsigned refused; /* options that rules gave and the kernel refused */
};

/* Read one element of "connections". False when memory ends; what is missing or of another type
 * comes out as "" or NAN. Whatever the program calls itself, no control character gets through. */
bool reported_read(struct reported *connection, const json_t *object);
void reported_free(struct reported *connection);

/* How long it is or was open, in seconds. */
double reported_age(const struct reported *connection, double now);

/* What keeps it from being faster: the longest of the times in which the program had nothing to
 * send, the receiver's window was full, the send buffer was too small, and the rest, in which the
 * network was busy with it. Returns "application", "receiver", "sndbuf" or "network" and the
 * time's share, or NULL where the kernel does not tell. A listener has none. */
const char *reported_limit(const struct reported *connection, double now, double *share);

struct reported_list {
    struct reported *items;
    size_t count, room;
};

/* Add what `reported_read` made of the object. False when memory ends. */
bool reported_list_add(struct reported_list *connections, const json_t *object);
void reported_list_free(struct reported_list *connections);

/* What the table below it comes to. */
struct reported_totals {
    size_t count, open, listening, lost;
    double sent, retransmitted, received; /* bytes */
    char reasons[128];                    /* "7 fin, 2 timeout"; "" where all are open */
};
struct reported_totals reported_list_total(const struct reported_list *connections);

#endif
