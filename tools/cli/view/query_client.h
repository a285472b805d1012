/* SPDX-License-Identifier: MIT */
/*
 * Requests to the helper daemon (socktuned): HTTP/1.1 over its Unix socket, query.sock, at the
 * first of its places (helper_place.h) where a process listens. libcurl does the HTTP.
 */
#ifndef SOCKTUNE_QUERY_CLIENT_H
#define SOCKTUNE_QUERY_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define QUERY_ERROR_SIZE 256

/* Receives the next part of an answer. Returns false to end the query without an error. */
typedef bool query_take(void *context, const char *part, size_t length);

/*
 * GET `target` ("/v1/status") and pass the answer's body to `take`, part by part. `patience` is the
 * number of seconds for which the helper may be silent. Returns 0, or -1 with `error`, a phrase
 * without a newline: the helper is absent, does not answer, breaks off, or the status is not 200.
 */
int query_get(const char *target, unsigned patience, query_take *take, void *context,
              char error[QUERY_ERROR_SIZE]);

/* The same with POST and an empty body, for requests that change something. */
int query_post(const char *target, unsigned patience, query_take *take, void *context,
               char error[QUERY_ERROR_SIZE]);

/* The whole answer as JSON, a new reference; NULL with `error` on failure. */
json_t *query_json(const char *target, unsigned patience, char error[QUERY_ERROR_SIZE]);

/* A target with parameters. It starts as `path`; each parameter is appended as "?name=value" or
 * "&name=value", with the value percent-encoded (RFC 3986). NULL values are left out. */
struct query_target {
    char text[2048];
    bool too_long;
};
void query_target_begin(struct query_target *target, const char *path);
void query_target_add(struct query_target *target, const char *name, const char *value);

#endif
