/* SPDX-License-Identifier: MIT */
/*
 * Answers that are produced in bounded pieces while they are sent, so that neither their size nor a
 * slow reader blocks the loop.
 */
#ifndef SOCKTUNE_HELPER_ANSWER_H
#define SOCKTUNE_HELPER_ANSWER_H

#include "metrics.h"
#include "query_filter.h"

#include <microhttpd.h>

struct helper;

/* Each function returns a response that the caller must queue and destroy; NULL if there is no
 * memory. */

/* /v1/connections. The filter's strings must live as long as the request. */
struct MHD_Response *answer_connections(const struct helper *helper,
                                        const struct query_filter *filter);

/* /v1/processes, of all users or of one. */
struct MHD_Response *answer_processes(const struct helper *helper, bool one_user, uid_t uid);

/* /v1/rules, of all users or of one. */
struct MHD_Response *answer_rules(const struct helper *helper, bool one_user, uid_t uid);

/* /metrics, of all users or of one. */
struct MHD_Response *answer_metrics(const struct helper *helper, bool one_user, uid_t uid,
                                    enum metrics_format format);

#endif
