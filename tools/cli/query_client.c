/* SPDX-License-Identifier: MIT */
/*
 * A client for one GET of HTTP/1.1 (RFC 9112) over a Unix socket.
 */
#include "query_client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LINE_ROOM 1024

static int fail(struct query *query, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The first reason stands. */
static int fail(struct query *query, const char *format, ...)
{
    va_list arguments;

    if (*query->error)
        return -1;
    va_start(arguments, format);
    vsnprintf(query->error, sizeof query->error, format, arguments);
    va_end(arguments);
    return -1;
}

/* --- where ------------------------------------------------------------------------------------ */

bool query_path(char path[QUERY_ERROR_SIZE])
{
    const char *helper = getenv("SOCKTUNE_HELPER"), *runtime = getenv("XDG_RUNTIME_DIR");
    const char *slash = helper ? strrchr(helper, '/') : NULL;
    int length;

    if (helper && *helper)
        length = snprintf(path, QUERY_ERROR_SIZE, "%.*s/query.sock",
                          slash ? (int)(slash - helper) : 1, slash ? helper : ".");
    else if (geteuid() == 0 || access("/run/socktune", F_OK) == 0 || !runtime || !*runtime)
        length = snprintf(path, QUERY_ERROR_SIZE, "/run/socktune/query.sock");
    else
        length = snprintf(path, QUERY_ERROR_SIZE, "%s/socktune/query.sock", runtime);
    if (length > 0 && (size_t)length < sizeof((struct sockaddr_un *)0)->sun_path)
        return true;
    snprintf(path, QUERY_ERROR_SIZE, "the path of the helper's query.sock is too long");
    return false;
}

static int dial(struct query *query, unsigned patience, char path[QUERY_ERROR_SIZE])
{
    const struct timeval limit = {.tv_sec = patience};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (!query_path(path))
        return fail(query, "%s", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(query, "socket: %s", strerror(errno));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        fail(query, "%s: %s%s", path, strerror(errno),
             errno == ENOENT || errno == ECONNREFUSED ? "; is socktuned running?" : "");
        close(fd);
        return -1;
    }
    return fd;
}

/* --- one request and its answer's head -------------------------------------------------------- */

static int send_request(struct query *query, int fd, const char *target)
{
    char *request;
    int length = asprintf(&request,
                          "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: socktune/%s\r\n"
                          "Accept: application/json\r\nConnection: close\r\n\r\n",
                          target, SOCKTUNE_VERSION);
    ssize_t sent;

    if (length < 0)
        return fail(query, "%s", strerror(ENOMEM));
    sent = send(fd, request, (size_t)length, MSG_NOSIGNAL);
    free(request);
    /* A request is far shorter than a socket's buffer: it goes at once or not at all. */
    return sent == length ? 0 : fail(query, "the helper does not take the question");
}

/* Why nothing more came. */
static int broke_off(struct query *query)
{
    if (ferror(query->stream) && (errno == EAGAIN || errno == EWOULDBLOCK))
        return fail(query, "the helper does not answer");
    return fail(query, "the helper's answer breaks off%s%s", ferror(query->stream) ? ": " : "",
                ferror(query->stream) ? strerror(errno) : "");
}

/* One line of the head, without its line break. */
static bool read_line(struct query *query, char line[LINE_ROOM])
{
    if (!fgets(line, LINE_ROOM, query->stream)) {
        broke_off(query);
        return false;
    }
    if (!strchr(line, '\n')) {
        fail(query, "the helper's answer has a line that is too long");
        return false;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return true;
}

/* Does the header line bear that name? Returns its value, or NULL. */
static const char *header_value(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    return line + length + 1 + strspn(line + length + 1, " \t");
}

static bool read_size(const char *text, int base, size_t *size)
{
    char *end;

    errno = 0;
    *size = strtoul(text, &end, base);
    return end != text && *text != '-' && !errno && (!*end || *end == ';' || *end == ' ');
}

static int read_head(struct query *query)
{
    char line[LINE_ROOM];

    if (!read_line(query, line))
        return -1;
    if (strncmp(line, "HTTP/1.", 7) != 0 || sscanf(line + 7, "%*1[01] %3u", &query->status) != 1)
        return fail(query, "what answers there does not speak HTTP");
    while (read_line(query, line)) {
        const char *coding = header_value(line, "Transfer-Encoding");
        const char *length = header_value(line, "Content-Length");

        if (!*line)
            return 0;
        if (coding)
            query->chunked = strcasecmp(coding, "chunked") == 0;
        if (length && !(query->sized = read_size(length, 10, &query->left)))
            return fail(query, "the helper's answer has a length that is no number");
    }
    return -1;
}

/* The answer is a refusal: its reason is in {"error": ...}. */
static int refused(struct query *query)
{
    char body[512];
    ssize_t length = query_read(query, body, sizeof body);
    json_t *object = length > 0 ? json_loadb(body, (size_t)length, 0, NULL) : NULL;
    const char *reason = json_string_value(json_object_get(object, "error"));

    fail(query, "the helper refuses (%u)%s%s", query->status, reason ? ": " : "",
         reason ? reason : "");
    json_decref(object);
    return -1;
}

int query_open(struct query *query, const char *target, unsigned patience)
{
    char path[QUERY_ERROR_SIZE];
    int fd;

    *query = (struct query){.stream = NULL};
    fd = dial(query, patience, path);
    if (fd < 0)
        return -1;
    query->stream = fdopen(fd, "r");
    if (!query->stream) {
        close(fd);
        return fail(query, "%s", strerror(errno));
    }
    if (send_request(query, fd, target) != 0 || read_head(query) != 0)
        return -1;
    return query->status == 200 ? 0 : refused(query);
}

void query_close(struct query *query)
{
    if (query->stream)
        fclose(query->stream);
    query->stream = NULL;
}

/* --- the body --------------------------------------------------------------------------------- */

/* To the next chunk; the one of size 0 is the last, and only the connection's end follows. */
static bool next_chunk(struct query *query)
{
    char line[LINE_ROOM];

    if (!read_line(query, line) || (!*line && !read_line(query, line)))
        return false;
    if (!read_size(line, 16, &query->left)) {
        fail(query, "the helper's answer has a chunk of no size");
        return false;
    }
    query->ended = query->left == 0;
    return true;
}

ssize_t query_read(struct query *query, void *buffer, size_t size)
{
    size_t got;

    if (query->chunked && query->left == 0 && !query->ended && !next_chunk(query))
        return -1;
    if (query->sized && query->left == 0)
        query->ended = true;
    if (query->ended)
        return 0;
    if ((query->chunked || query->sized) && size > query->left)
        size = query->left;
    errno = 0;
    got = fread(buffer, 1, size, query->stream);
    if (got == 0 && (query->chunked || query->sized || ferror(query->stream)))
        return broke_off(query);
    query->left -= query->chunked || query->sized ? got : 0;
    return (ssize_t)got;
}

/* For json_load_callback(). */
static size_t feed(void *buffer, size_t size, void *query)
{
    ssize_t got = query_read(query, buffer, size);

    return got < 0 ? (size_t)-1 : (size_t)got;
}

json_t *query_json(const char *target, unsigned patience, char error[QUERY_ERROR_SIZE])
{
    struct query query;
    json_error_t wrong;
    json_t *value = NULL;

    if (query_open(&query, target, patience) == 0) {
        value = json_load_callback(feed, &query, 0, &wrong);
        if (!value)
            fail(&query, "the helper's answer is no JSON: %.150s", wrong.text);
        if (*query.error) { /* whole JSON, but its end came otherwise than was announced */
            json_decref(value);
            value = NULL;
        }
    }
    memcpy(error, query.error, QUERY_ERROR_SIZE);
    query_close(&query);
    return value;
}

/* --- targets ---------------------------------------------------------------------------------- */

void query_target_begin(struct query_target *target, const char *path)
{
    target->too_long =
        (size_t)snprintf(target->text, sizeof target->text, "%s", path) >= sizeof target->text;
}

void query_target_add(struct query_target *target, const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t length = strlen(target->text);
    size_t room = sizeof target->text;

    if (!value)
        return;
    length += (size_t)snprintf(target->text + length, room - length,
                               "%c%s=", strchr(target->text, '?') ? '&' : '?', name);
    for (; *value && length + 4 < room; value++)
        length += (size_t)snprintf(target->text + length, room - length,
                                   strchr(plain, *value) ? "%c" : "%%%02X", (unsigned char)*value);
    target->too_long = target->too_long || *value || length + 4 >= room;
}
