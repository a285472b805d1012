/* SPDX-License-Identifier: MIT */
#include "query_client.h"
#include "helper_place.h"
#include "libcurl.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS_OK     200
#define REFUSAL_MAX   512u /* the first bytes of a refusal are enough */
#define URL_OF_TARGET "http://localhost%s"
#define USER_AGENT    "socktune/" SOCKTUNE_VERSION

/* One request */

struct transfer {
    const struct libcurl *library;
    CURL *curl;
    query_take *take;
    void *context;
    bool post;
    bool stopped;              /* `take` has ended the transfer */
    char refusal[REFUSAL_MAX]; /* the body of an answer whose status is not 200 */
    size_t refusal_length;
};

static long status_of(const struct transfer *transfer)
{
    long status = 0;
    (void)transfer->library->easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Called by libcurl for each part of the body. Returning another length ends the transfer. */
static size_t take_part(char *part, size_t one, size_t length, void *context)
{
    struct transfer *transfer = context;
    (void)one;
    if (status_of(transfer) == STATUS_OK) {
        transfer->stopped = !transfer->take(transfer->context, part, length);
        return transfer->stopped ? 0 : length;
    }
    for (size_t i = 0; i < length && transfer->refusal_length < REFUSAL_MAX; i++)
        transfer->refusal[transfer->refusal_length++] = part[i];
    return length;
}

static bool prepare_query(struct transfer *transfer, const char *target, unsigned patience)
{
    __typeof__(transfer->library->easy_setopt) set = transfer->library->easy_setopt;
    CURL *curl = transfer->curl = transfer->library->easy_init();
    char *url = NULL;
    bool ready;

    if (curl == NULL || asprintf(&url, URL_OF_TARGET, target) < 0)
        return false;
    ready = set(curl, CURLOPT_URL, url) == CURLE_OK && set(curl, CURLOPT_PROXY, "") == CURLE_OK &&
            set(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
            set(curl, CURLOPT_USERAGENT, USER_AGENT) == CURLE_OK &&
            set(curl, CURLOPT_CONNECTTIMEOUT, (long)patience) == CURLE_OK &&
            set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
            set(curl, CURLOPT_LOW_SPEED_TIME, (long)patience) == CURLE_OK &&
            (!transfer->post || set(curl, CURLOPT_POSTFIELDS, "") == CURLE_OK) &&
            set(curl, CURLOPT_WRITEFUNCTION, take_part) == CURLE_OK &&
            set(curl, CURLOPT_WRITEDATA, transfer) == CURLE_OK;
    free(url);
    return ready;
}

/* The answer is a refusal: its reason is in {"error": ...}. */
static void explain_refusal(const struct transfer *transfer, char error[QUERY_ERROR_SIZE])
{
    json_t *object = json_loadb(transfer->refusal, transfer->refusal_length, 0, NULL);
    const char *reason = json_string_value(json_object_get(object, "error"));
    snprintf(error, QUERY_ERROR_SIZE, "the helper refuses (%ld)%s%s", status_of(transfer),
             reason != NULL ? ": " : "", reason != NULL ? reason : "");
    json_decref(object);
}

static void explain_failure(const struct transfer *transfer, CURLcode code, const char *path,
                            char error[QUERY_ERROR_SIZE])
{
    long reason = 0;
    (void)transfer->library->easy_getinfo(transfer->curl, CURLINFO_OS_ERRNO, &reason);
    if (code == CURLE_COULDNT_CONNECT && reason != EAGAIN)
        snprintf(error, QUERY_ERROR_SIZE, "%.120s: %.80s%s", path, strerror((int)reason),
                 reason == ENOENT || reason == ECONNREFUSED ? "; is socktuned running?" : "");
    else if (code == CURLE_OPERATION_TIMEDOUT || code == CURLE_COULDNT_CONNECT)
        snprintf(error, QUERY_ERROR_SIZE, "the helper does not answer");
    else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY)
        snprintf(error, QUERY_ERROR_SIZE, "what answers there does not speak HTTP");
    else
        snprintf(error, QUERY_ERROR_SIZE, "the helper's answer breaks off: %.180s",
                 transfer->library->easy_strerror(code));
}

static CURLcode perform_at(const struct transfer *transfer, const char *path)
{
    CURLcode code = transfer->library->easy_setopt(transfer->curl, CURLOPT_UNIX_SOCKET_PATH, path);
    return code == CURLE_OK ? transfer->library->easy_perform(transfer->curl) : code;
}

/* Try the helper's places in order until a connection succeeds. Returns false, with `error`, if no
 * complete answer came. If nothing listens at any place, the error is that of the first place. */
static bool perform_anywhere(const struct transfer *transfer, char error[QUERY_ERROR_SIZE])
{
    const struct helper_environment environment = {.socket = getenv("SOCKTUNE_HELPER"),
                                                   .runtime = getenv("XDG_RUNTIME_DIR")};
    struct sockaddr_un places[HELPER_PLACES];
    CURLcode code = CURLE_COULDNT_CONNECT;
    bool tried = false;
    helper_addresses(&environment, HELPER_QUERY, places);
    for (unsigned i = 0; i < HELPER_PLACES && code == CURLE_COULDNT_CONNECT; i++) {
        if (places[i].sun_family != AF_UNIX)
            continue;
        code = perform_at(transfer, places[i].sun_path);
        if (code != CURLE_OK && (!tried || code != CURLE_COULDNT_CONNECT))
            explain_failure(transfer, code, places[i].sun_path, error);
        tried = true;
    }
    if (!tried)
        snprintf(error, QUERY_ERROR_SIZE, "the path of the helper's query.sock is too long");
    return code == CURLE_OK || transfer->stopped;
}

static int perform_query(struct transfer *transfer, const char *target, unsigned patience,
                         char error[QUERY_ERROR_SIZE])
{
    bool done = false;
    transfer->library = libcurl_open(error, QUERY_ERROR_SIZE);
    if (transfer->library == NULL)
        return -1;
    if (!prepare_query(transfer, target, patience)) {
        snprintf(error, QUERY_ERROR_SIZE, "%s", strerror(ENOMEM));
    } else if (perform_anywhere(transfer, error)) {
        done = transfer->stopped || status_of(transfer) == STATUS_OK;
        if (!done)
            explain_refusal(transfer, error);
    }
    transfer->library->easy_cleanup(transfer->curl);
    return done ? 0 : -1;
}

int query_get(const char *target, unsigned patience, query_take *take, void *context,
              char error[QUERY_ERROR_SIZE])
{
    return perform_query(&(struct transfer){.take = take, .context = context}, target, patience,
                         error);
}

int query_post(const char *target, unsigned patience, query_take *take, void *context,
               char error[QUERY_ERROR_SIZE])
{
    return perform_query(&(struct transfer){.take = take, .context = context, .post = true}, target,
                         patience, error);
}

static bool put_part(void *stream, const char *part, size_t length)
{
    return fwrite(part, 1, length, stream) == length;
}

json_t *query_json(const char *target, unsigned patience, char error[QUERY_ERROR_SIZE])
{
    json_error_t wrong;
    json_t *value = NULL;
    char *body = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&body, &length);
    int failed = to != NULL ? query_get(target, patience, put_part, to, error) : -1;
    if (to == NULL || fclose(to) != 0) {
        snprintf(error, QUERY_ERROR_SIZE, "%s", strerror(ENOMEM));
        failed = -1;
    }
    if (failed == 0) {
        value = json_loadb(body, length, 0, &wrong);
        if (value == NULL)
            snprintf(error, QUERY_ERROR_SIZE, "the helper's answer is no JSON: %.150s", wrong.text);
    }
    free(body);
    return value;
}

/* Targets */

void query_target_begin(struct query_target *target, const char *path)
{
    target->too_long =
        (size_t)snprintf(target->text, sizeof target->text, "%s", path) >= sizeof target->text;
}

/* Append to the target's text; sets too_long if the text does not fit. */
static void target_append(struct query_target *target, const char *text, size_t length)
{
    size_t used = strlen(target->text);
    target->too_long = target->too_long || length >= sizeof target->text - used;
    if (target->too_long)
        return;
    memcpy(target->text + used, text, length);
    target->text[used + length] = '\0';
}

void query_target_add(struct query_target *target, const char *name, const char *value)
{
    char escape[] = "%00";
    if (value == NULL)
        return;
    target_append(target, strchr(target->text, '?') != NULL ? "&" : "?", 1);
    target_append(target, name, strlen(name));
    target_append(target, "=", 1);
    for (; *value != '\0'; value++) {
        snprintf(escape, sizeof escape, "%%%02X", (unsigned char)*value);
        if (isalnum((unsigned char)*value) || strchr("-._~", *value) != NULL)
            target_append(target, value, 1);
        else
            target_append(target, escape, strlen(escape));
    }
}
