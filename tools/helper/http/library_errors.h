/* SPDX-License-Identifier: MIT */
/*
 * Answers of the HTTP library's own that are errors become JSON, as all others are.
 */
#ifndef SOCKTUNE_HELPER_LIBRARY_ERRORS_H
#define SOCKTUNE_HELPER_LIBRARY_ERRORS_H

#include <microhttpd.h>
#include <stdbool.h>

/* MHD_queue_response() for answers that are ours and stay as they are. The response stays the
 * caller's. */
enum MHD_Result library_queue_own(struct MHD_Connection *connection, unsigned status,
                                  struct MHD_Response *response);

#endif
