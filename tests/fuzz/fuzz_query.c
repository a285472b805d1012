/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes requests to the helper. The bytes go over a Unix socket to the real server, once unchanged
 * and once as the target of an otherwise valid request; each answer must be HTTP. The functions
 * behind the server get them too: filters, the Host and Accept headers, names to be escaped.
 */
#include "helper.h"
#include "host_check.h"
#include "metrics.h"
#include "query_filter.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define INPUT_MAX 4096

static struct helper helper;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* The answer to one request. */
struct reply {
    char text[16];
    size_t length;
    int fd;
};

static void check(bool right)
{
    if (!right)
        abort();
}

static void on_reply(void *context, uint32_t events)
{
    struct reply *reply = context;
    char buffer[4096];
    ssize_t got = recv(reply->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    (void)events;
    for (ssize_t i = 0; i < got && reply->length < sizeof reply->text; i++)
        reply->text[reply->length++] = buffer[i];
    if (got <= 0)
        loop_stop(helper.loop);
}

/* End an incomplete request, as its client would do after a time. */
static void on_silence(void *context)
{
    (void)context;
    loop_stop(helper.loop);
}

static void ask(const char *head, const uint8_t *data, size_t size, const char *tail)
{
    struct reply reply = {.fd = socket(AF_UNIX, SOCK_STREAM, 0)};
    struct loop_source *watch, *timer;
    check(connect(reply.fd, (const struct sockaddr *)&address, sizeof address) == 0);
    (void)send(reply.fd, head, strlen(head), MSG_NOSIGNAL);
    (void)send(reply.fd, data, size, MSG_NOSIGNAL);
    (void)send(reply.fd, tail, strlen(tail), MSG_NOSIGNAL);
    (void)shutdown(reply.fd, SHUT_WR);
    watch = loop_watch(helper.loop, reply.fd, EPOLLIN, on_reply, &reply);
    timer = loop_timer(helper.loop, UINT64_C(10000000), on_silence, NULL);
    check(watch != NULL && timer != NULL && loop_run(helper.loop) == 0);
    loop_remove(helper.loop, watch);
    loop_remove(helper.loop, timer);
    close(reply.fd);
    check(reply.length < 7 || memcmp(reply.text, "HTTP/1.", 7) == 0);
}

/* An escaped name is UTF-8 without control characters; escaping it again changes nothing if it has
 * no backslash. */
static void check_escape(const char *text)
{
    char *escaped = utf8_escaped(text), *twice;
    check(escaped != NULL);
    for (const char *at = escaped; *at != '\0'; at += utf8_length(at))
        check(utf8_length(at) > 0 && (unsigned char)*at >= ' ' && *at != 0x7f);
    twice = utf8_escaped(escaped);
    check(twice != NULL && (strchr(escaped, '\\') != NULL || strcmp(escaped, twice) == 0));
    free(escaped);
    free(twice);
}

/* "name=value" */
static void check_filter(char *text)
{
    struct query_filter filter = {.closed = false};
    char *value = strchr(text, '=');
    const char *wrong;
    if (value != NULL)
        *value++ = '\0';
    wrong = query_filter_set(&filter, text, value);
    check(wrong == NULL || *wrong != '\0');
    (void)query_filter_check(&filter);
}

/* libFuzzer defines the prototype. */
int LLVMFuzzerInitialize(int *argc, char ***argv) /* NOLINT(readability-non-const-parameter) */
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char directory[] = "/tmp/fuzz-query-XXXXXX";
    (void)argc, (void)argv;
    check(fd >= 0 && mkdtemp(directory) != NULL);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/query.sock", directory);
    check(bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 8) == 0);
    helper.config.group = strdup("");
    helper.config.hosts = strdup("");
    helper.loop = loop_new();
    helper.connections = connections_new(10);
    const struct client_table_parts parts = {.loop = helper.loop, .config = &helper.config};
    helper.clients = client_table_new(&parts);
    helper.reports = report_sources_new(&parts);
    helper.publisher = publisher_new(helper.loop);
    helper.query = query_start(&helper, fd, -1);
    check(helper.query != NULL);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[INPUT_MAX + 1];
    if (size == 0 || size > INPUT_MAX)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    check_escape(text);
    (void)metrics_accepted(text);
    (void)host_is_ours(text, "web1", "*.example.org");
    (void)host_is_ours("web1.example.org", "web1", text);
    check_filter(text);
    if (data[0] & 1)
        ask("", data, size, "");
    else
        ask("GET /v1/connections?", data, size,
            " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return 0;
}
