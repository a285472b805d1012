/* SPDX-License-Identifier: MIT */
/*
 * The helper's answers as JSON. Names are the kernel's, figures of TCP_INFO are in the kernel's
 * units, times are in seconds. Functions that return an object return a new reference, which the
 * caller releases; NULL if there is no memory.
 */
#ifndef SOCKTUNE_HELPER_ANSWER_JSON_H
#define SOCKTUNE_HELPER_ANSWER_JSON_H

#include "helper.h"

#include <jansson.h>

/* Format of all answers: one line, times with microseconds. */
#define ANSWER_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(16))

/* The beginning of each answer, with JSON_VERSION. */
#define ANSWER_BEGIN "{\"version\":1,"

/* Write a member of /v1/connections. Returns 0; -1 if there is no memory, then a part may be
 * missing. */
int answer_connection(const struct connection *connection, FILE *to);

/* A member of /v1/processes. `connections` is the number of its open connections. */
json_t *answer_child(const struct client *process, const struct client_child *child,
                     size_t connections);
json_t *answer_process(const struct client *process, size_t connections);

/* A member of /v1/rules. */
json_t *answer_rule(const struct aggregate *aggregate);

/* /v1/trials, of all users or of one. */
json_t *answer_trials(const struct trials *trials, bool one_user, uid_t uid);

/* {"error": text}. */
json_t *answer_error(const char *text);

#endif
