/* SPDX-License-Identifier: MIT */
/*
 * Answers that are produced while they are sent, a bounded piece at a time, so that neither their
 * size nor a slow reader holds up the loop.
 */
#ifndef SOCKTUNE_HELPER_ANSWER_H
#define SOCKTUNE_HELPER_ANSWER_H

#include "metrics.h"
#include "query_filter.h"

#include <microhttpd.h>

struct helper;

/* Each returns a response to be queued and destroyed by the caller; NULL: no memory. */

/* /v1/connections. The filter's strings must live as long as the request. */
struct MHD_Response *answer_connections(const struct helper *helper,
                                        const struct query_filter *filter);

/* /v1/processes of all users, or of one. */
struct MHD_Response *answer_processes(const struct helper *helper, bool one_user, uid_t uid);

/* /v1/rules, likewise. */
struct MHD_Response *answer_rules(const struct helper *helper, bool one_user, uid_t uid);

/* /metrics, likewise. */
struct MHD_Response *answer_metrics(const struct helper *helper, bool one_user, uid_t uid,
                                    enum metrics_format format);

#endif
