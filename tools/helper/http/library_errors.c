/* SPDX-License-Identifier: MIT */
/*
 * The HTTP library's own error answers, as JSON.
 *
 * libmicrohttpd refuses invalid HTTP (a bad request line, headers that are too long, ...) before it
 * calls us, with an HTML page, and has no option to change that. It queues this answer with the
 * exported function MHD_queue_response(). The function here interposes that, and replaces answers
 * that are not ours by JSON. If the library calls its function directly, the answer stays HTML.
 */
#include "library_errors.h"
#include "answer_json.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum MHD_Result queue_response(struct MHD_Connection *, unsigned, struct MHD_Response *);

/* True during our own calls. There is one thread. */
static bool is_ours;

static queue_response *find_queue_response(void)
{
    static queue_response *found;
    if (found == NULL)
        found = (queue_response *)dlsym(RTLD_NEXT, "MHD_queue_response");
    return found;
}

static struct MHD_Response *make_error(unsigned status)
{
    struct MHD_Response *response = NULL;
    const char *reason = MHD_get_reason_phrase_for(status);
    char *text = NULL;
    int length = asprintf(&text, ANSWER_BEGIN "\"error\":\"not a proper HTTP request: %s\"}\n",
                          reason != NULL ? reason : "refused");
    if (length < 0)
        return NULL;
    response = MHD_create_response_from_buffer((size_t)length, text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        free(text);
    else
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    return response;
}

enum MHD_Result MHD_queue_response(struct MHD_Connection *connection, unsigned status,
                                   struct MHD_Response *response)
{
    queue_response *queue = find_queue_response();
    struct MHD_Response *error = is_ours ? NULL : make_error(status);
    enum MHD_Result result;
    if (queue == NULL)
        return MHD_NO;
    result = queue(connection, status, error != NULL ? error : response);
    if (error != NULL)
        MHD_destroy_response(error);
    return result;
}

enum MHD_Result library_queue_own(struct MHD_Connection *connection, unsigned status,
                                  struct MHD_Response *response)
{
    enum MHD_Result result;
    is_ours = true;
    result = MHD_queue_response(connection, status, response);
    is_ours = false;
    return result;
}
