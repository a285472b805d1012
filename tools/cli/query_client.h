/* SPDX-License-Identifier: MIT */
/*
 * Asking the helper daemon (socktuned): GET over HTTP/1.1 on its Unix socket, query.sock.
 *
 * Written by hand, where libcurl would do: the command that asks is also the rule compiler, which
 * starts with the programs it compiles for, and libcurl's 30 libraries make it start 7 ms later
 * (2 ms without them). What is spoken is little: one request a connection, a known or chunked body.
 */
#ifndef SOCKTUNE_QUERY_CLIENT_H
#define SOCKTUNE_QUERY_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#define QUERY_ERROR_SIZE 256

/* An answer that is being read. */
struct query {
    FILE *stream;
    unsigned status; /* of HTTP: 200 and so on */
    bool chunked;
    bool sized;  /* `left` is the body's */
    bool ended;  /* all of the body has been read */
    size_t left; /* bytes until the body ends; of a chunked one, until the chunk ends */
    char error[QUERY_ERROR_SIZE]; /* what went wrong, without a line feed; "" if nothing did */
};

/*
 * Where the helper answers: query.sock in the directory of $SOCKTUNE_HELPER; else in /run/socktune
 * for root and where that exists; else in $XDG_RUNTIME_DIR/socktune. Writes the path; false, with
 * the reason in its place, where it would be too long or there is nowhere to look.
 */
bool query_path(char path[QUERY_ERROR_SIZE]);

/*
 * Ask for `target` ("/v1/status") and read the answer's head. `patience` is how many seconds the
 * helper may keep silent. Returns 0, or -1 with `error`: it is not there, does not answer, or the
 * status is not 200. query_close() in any case.
 */
int query_open(struct query *query, const char *target, unsigned patience);

/* Read of the body what fits. Returns the count, 0 at its end, -1 with `error` (it breaks off). */
ssize_t query_read(struct query *query, void *buffer, size_t size);

void query_close(struct query *query);

/* The whole answer as JSON, a new reference; NULL with `error`. */
json_t *query_json(const char *target, unsigned patience, char error[QUERY_ERROR_SIZE]);

/* A target with parameters: starts as `path`; each is appended as "?name=value" or "&name=value",
 * the value percent-encoded (RFC 3986). NULL values are left out. */
struct query_target {
    char text[2048];
    bool too_long;
};
void query_target_begin(struct query_target *target, const char *path);
void query_target_add(struct query_target *target, const char *name, const char *value);

#endif
