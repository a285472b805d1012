/* SPDX-License-Identifier: MIT */
/*
 * Asking the helper daemon (socktuned): GET over HTTP/1.1 on its Unix socket, query.sock, at the
 * first of its places (helper_place.h) where somebody listens. The HTTP is libcurl's.
 */
#ifndef SOCKTUNE_QUERY_CLIENT_H
#define SOCKTUNE_QUERY_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define QUERY_ERROR_SIZE 256

/* Takes the next part of an answer. Returns false to end the query without an error. */
typedef bool query_take(void *context, const char *part, size_t length);

/*
 * Ask for `target` ("/v1/status") and give the answer's body to `take`, part by part. `patience` is
 * how many seconds the helper may keep silent. Returns 0, or -1 with `error`, a phrase without a
 * line feed: the helper is not there, does not answer, breaks off, or the status is not 200.
 */
int query_get(const char *target, unsigned patience, query_take *take, void *context,
              char error[QUERY_ERROR_SIZE]);

/* The same with POST and an empty body, for what changes something. */
int query_post(const char *target, unsigned patience, query_take *take, void *context,
               char error[QUERY_ERROR_SIZE]);

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
