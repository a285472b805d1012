/* SPDX-License-Identifier: MIT */
/*
 * Turns the HTTP library's own error answers into JSON, like all other answers.
 */
#ifndef SOCKTUNE_HELPER_LIBRARY_ERRORS_H
#define SOCKTUNE_HELPER_LIBRARY_ERRORS_H

#include <microhttpd.h>
#include <stdbool.h>

/* MHD_queue_response() for our own answers, which are not changed. The caller keeps its reference
 * to the response. */
enum MHD_Result library_queue_own(struct MHD_Connection *connection, unsigned status,
                                  struct MHD_Response *response);

#endif
