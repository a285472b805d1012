/* SPDX-License-Identifier: MIT */
/*
 * Answers over HTTP by libmicrohttpd: one server on the Unix socket and, if configured, one on TCP.
 * Each runs in the helper's loop: its epoll descriptor is watched, and MHD_run() does what is
 * ready.
 *
 * Each path is a row of `resources`. Two of them change something: one stops a trial, for its owner
 * or root on the Unix socket; one reloads rules.
 */
#include "answer.h"
#include "answer_json.h"
#include "authorisation.h"
#include "clock.h"
#include "console.h"
#include "health.h"
#include "host_check.h"
#include "http_clients.h"
#include "library_errors.h"
#include "page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

/* Limits besides those of http_clients.h: connections that libmicrohttpd has not closed yet, idle
 * seconds of a connection or its reader, and bytes of headers. */
#define CLIENTS_ENDING  64u
#define CLIENT_PATIENCE 30u
#define CLIENT_MEMORY   32768u
#define LISTEN_BACKLOG  64u
#define HOST_NAME_SIZE  256

/* One listening socket. */
struct http_server {
    struct query *query;
    struct MHD_Daemon *daemon;
    struct loop_source *watch, *timer, *expiry;
    struct http_clients clients;
    bool tcp;
};

struct query {
    struct helper *helper;
    struct http_server unix_server, tcp_server;
    gid_t group; /* the group whose members see everything */
    char machine[HOST_NAME_SIZE];
};

/* The context of a request. */
struct request {
    struct query *query;
    struct MHD_Connection *connection;
    struct authorisation viewer;
};

/* Answers */

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     struct MHD_Response *response)
{
    enum MHD_Result result;
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    result = library_queue_own(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Releases the reference to `json`. */
static enum MHD_Result send_json(struct MHD_Connection *connection, unsigned status, json_t *json)
{
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    struct MHD_Response *response = NULL;
    bool failed = false;
    json = json_versioned(json);
    failed = to == NULL || json == NULL || json_dumpf(json, to, ANSWER_JSON_FLAGS) != 0;
    json_decref(json);
    if (to != NULL) {
        failed |= putc('\n', to) == EOF;
        failed |= fclose(to) != 0;
    }
    if (!failed)
        response = MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
    if (response != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    else
        free(text);
    return send_response(connection, status, response);
}

static enum MHD_Result send_error(struct MHD_Connection *connection, unsigned status,
                                  const char *text)
{
    return send_json(connection, status, answer_error(text));
}

static enum MHD_Result send_static(struct MHD_Connection *connection, const char *type,
                                   const char *text, size_t length)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, (void *)text, MHD_RESPMEM_PERSISTENT);
    if (response != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return send_response(connection, MHD_HTTP_OK, response);
}

static enum MHD_Result get_health(const struct request *request)
{
    return send_static(request->connection, "text/plain; charset=utf-8", "ok\n", strlen("ok\n"));
}

static enum MHD_Result get_page(const struct request *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page_html_size, (void *)page_html, MHD_RESPMEM_PERSISTENT);
    if (response != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/html; charset=utf-8");
        /* The page connects only to this server, and may not be embedded in other pages. */
        MHD_add_response_header(response, "Content-Security-Policy",
                                "default-src 'none'; style-src 'unsafe-inline'; script-src "
                                "'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
                                "form-action 'none'; frame-ancestors 'none'");
        MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    }
    return send_response(request->connection, MHD_HTTP_OK, response);
}

static enum MHD_Result get_metrics(const struct request *request)
{
    const char *accept =
        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    struct MHD_Response *response = answer_metrics(request->query->helper, !request->viewer.all,
                                                   request->viewer.uid, metrics_accepted(accept));
    if (response != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT);
    return send_response(request->connection, MHD_HTTP_OK, response);
}

static enum MHD_Result get_status(const struct request *request)
{
    return send_json(request->connection, MHD_HTTP_OK, health_json(request->query->helper));
}

static enum MHD_Result get_rules(const struct request *request)
{
    return send_response(
        request->connection, MHD_HTTP_OK,
        answer_rules(request->query->helper, !request->viewer.all, request->viewer.uid));
}

static enum MHD_Result get_processes(const struct request *request)
{
    return send_response(
        request->connection, MHD_HTTP_OK,
        answer_processes(request->query->helper, !request->viewer.all, request->viewer.uid));
}

static enum MHD_Result get_trials(const struct request *request)
{
    return send_json(
        request->connection, MHD_HTTP_OK,
        answer_trials(request->query->helper->trials, !request->viewer.all, request->viewer.uid));
}

/* Permission to see everything is not enough to stop a trial: only its owner and root may. */
static enum MHD_Result stop_trial(const struct request *request)
{
    const char *name =
        MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "name");
    unsigned stopped;
    if (name == NULL)
        return send_error(request->connection, MHD_HTTP_BAD_REQUEST, "expected name=TRIAL");
    stopped = trials_stop(request->query->helper->trials, name, request->viewer.uid != 0,
                          request->viewer.uid);
    if (stopped == 0)
        return send_error(request->connection, MHD_HTTP_NOT_FOUND,
                          "no trial of this name runs that you may stop");
    return send_json(request->connection, MHD_HTTP_OK, json_pack("{s:i}", "stopped", (int)stopped));
}

/* Only root reloads the rules of other users' programs. */
static enum MHD_Result reload_rules(const struct request *request)
{
    publisher_look(request->query->helper->publisher, request->viewer.uid != 0,
                   request->viewer.uid);
    return send_json(request->connection, MHD_HTTP_OK, json_pack("{s:b}", "reloading", true));
}

struct parameters {
    struct query_filter filter;
    const char *error;
};

static enum MHD_Result take_parameter(void *context, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    struct parameters *parameters = context;
    (void)kind;
    parameters->error = query_filter_set(&parameters->filter, name, value);
    return parameters->error != NULL ? MHD_NO : MHD_YES;
}

static enum MHD_Result get_connections(const struct request *request)
{
    struct parameters parameters = {0};
    struct connection_filter *wanted = &parameters.filter.connections;
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, take_parameter,
                              &parameters);
    if (parameters.error == NULL)
        parameters.error = query_filter_check(&parameters.filter);
    if (parameters.error != NULL)
        return send_error(request->connection, MHD_HTTP_BAD_REQUEST, parameters.error);
    if (!request->viewer.all) {
        if (wanted->one_user && wanted->uid != request->viewer.uid)
            return send_error(request->connection, MHD_HTTP_FORBIDDEN,
                              "only root and the helper's group see other users' connections");
        wanted->one_user = true;
        wanted->uid = request->viewer.uid;
    }
    return send_response(request->connection, MHD_HTTP_OK,
                         answer_connections(request->query->helper, &parameters.filter));
}

/* Requests */

/* Who may read a resource over TCP, where the client is anonymous. */
enum reach {
    REACH_ALL,
    REACH_PEERS, /* if the configuration shows peers' addresses there */
    REACH_UNIX
};

static const struct resource {
    const char *path;
    enum reach reach;
    bool parameters; /* it has parameters, and checks them itself */
    bool changes;    /* for POST; others are for GET and HEAD */
    enum MHD_Result (*get)(const struct request *request);
} resources[] = {
    {"/", REACH_ALL, false, false, get_page},
    {"/healthz", REACH_ALL, false, false, get_health},
    {"/metrics", REACH_ALL, false, false, get_metrics},
    {"/v1/status", REACH_ALL, false, false, get_status},
    {"/v1/rules", REACH_ALL, false, false, get_rules},
    {"/v1/connections", REACH_PEERS, true, false, get_connections},
    {"/v1/processes", REACH_UNIX, false, false, get_processes},
    {"/v1/trials", REACH_ALL, false, false, get_trials},
    {"/v1/trials/stop", REACH_UNIX, true, true, stop_trial},
    {"/v1/reload", REACH_UNIX, false, true, reload_rules},
};

static const struct resource *find_resource(const char *path)
{
    for (size_t i = 0; i < sizeof resources / sizeof *resources; i++)
        if (strcmp(path, resources[i].path) == 0)
            return &resources[i];
    return NULL;
}

static bool is_allowed(const struct resource *resource, const char *method)
{
    if (resource != NULL && resource->changes)
        return strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
}

static bool may_serve(const struct resource *resource, const struct request *request)
{
    return !request->viewer.tcp || resource->reach == REACH_ALL ||
           (resource->reach == REACH_PEERS && request->query->helper->config.show_peers);
}

static enum MHD_Result send_not_allowed(struct MHD_Connection *connection, bool changes)
{
    static const char text[] =
        ANSWER_BEGIN "\"error\":\"only GET and HEAD; POST to stop a trial or to reload rules\"}\n";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof text - 1, (void *)text, MHD_RESPMEM_PERSISTENT);
    if (response != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, changes ? "POST" : "GET, HEAD");
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    }
    return send_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
}

/* Returns the client of the connection, or NULL. */
static struct http_client *client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static bool is_sent_to_us(const struct http_server *server, struct MHD_Connection *connection)
{
    return !server->tcp ||
           host_is_ours(
               MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
               server->query->machine, server->query->helper->config.hosts);
}

static struct authorisation who_asks(const struct http_server *server,
                                     struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info;
    if (server->tcp)
        return (struct authorisation){.tcp = true, .all = true, .uid = (uid_t)-1};
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return authorisation_of(info != NULL ? info->connect_fd : -1, server->query->group);
}

static enum MHD_Result handle_request(void *context, struct MHD_Connection *connection,
                                      const char *url, const char *method, const char *version,
                                      const char *upload, size_t *upload_size, void **state)
{
    const struct http_server *server = context;
    const struct resource *resource = find_resource(url);
    struct request request = {server->query, connection, {0}};
    (void)version, (void)upload;
    /* Wait for the whole request: an answer to the headers alone would end the connection. A body
     * is discarded. */
    if (*state == NULL || *upload_size) {
        *state = (void *)server;
        *upload_size = 0;
        return MHD_YES;
    }
    http_client_progress(client_of(connection), true, now_monotonic());
    if (!is_sent_to_us(server, connection))
        return send_error(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                          "this name is not the helper's: ask by address, or name it in the "
                          "setting `hosts`");
    if (!is_allowed(resource, method))
        return send_not_allowed(connection, resource != NULL && resource->changes);
    if (resource == NULL)
        return send_error(connection, MHD_HTTP_NOT_FOUND,
                          "there are /, /healthz, /metrics, /v1/connections, /v1/processes, "
                          "/v1/rules, /v1/status and /v1/trials");
    request.viewer = who_asks(server, connection);
    if (!may_serve(resource, &request))
        return send_error(connection, MHD_HTTP_FORBIDDEN,
                          "over TCP there are sums alone; ask at the Unix socket");
    if (!resource->parameters &&
        MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0)
        return send_error(connection, MHD_HTTP_BAD_REQUEST, "only /v1/connections has parameters");
    return resource->get(&request);
}

/* Clients */

static struct http_group http_group_of_connection(const struct http_server *server,
                                                  struct MHD_Connection *connection, int fd)
{
    const union MHD_ConnectionInfo *info;
    if (!server->tcp)
        return http_group_of_user(authorisation_of(fd, server->query->group).uid);
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info != NULL ? http_group_of_address(info->client_addr) : http_group_of_user((uid_t)-1);
}

/* A client connected or disconnected. */
static void client_changed(void *context, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    const union MHD_ConnectionInfo *info;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        http_client_remove(*socket_context);
        *socket_context = NULL;
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL)
        return;
    *socket_context = http_client_add(
        &server->clients, info->connect_fd,
        http_group_of_connection(server, connection, info->connect_fd), now_monotonic());
    if (*socket_context == NULL)
        (void)shutdown(info->connect_fd, SHUT_RDWR);
}

static void request_completed(void *context, struct MHD_Connection *connection, void **state,
                              enum MHD_RequestTerminationCode code)
{
    (void)context, (void)state, (void)code;
    http_client_progress(client_of(connection), false, now_monotonic());
}

/* The servers */

/* Does what is ready. Sets a timer for the next call as libmicrohttpd asks: at once if an answer
 * continues. */
static void run_server(struct http_server *server)
{
    unsigned MHD_LONG_LONG wait;
    if (MHD_run(server->daemon) != MHD_YES)
        helper_log(LOG_ERR, "queries: libmicrohttpd failed");
    if (MHD_get_timeout(server->daemon, &wait) == MHD_YES)
        loop_timer_set(server->timer, wait ? wait * 1000000u : 1, 0);
    else
        loop_timer_set(server->timer, 0, 0);
}

static void on_second(void *context)
{
    http_clients_expire(&((struct http_server *)context)->clients, now_monotonic());
}

static void on_ready(void *context, uint32_t events)
{
    (void)events;
    run_server(context);
}

static void on_timer(void *context)
{
    run_server(context);
}

static struct MHD_Daemon *start_daemon(struct http_server *server, int fd)
{
    unsigned flags = MHD_USE_EPOLL;
    struct MHD_OptionItem limits[] = {
        {MHD_OPTION_LISTEN_SOCKET, fd, NULL},
        {MHD_OPTION_LISTEN_BACKLOG_SIZE, LISTEN_BACKLOG, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, HTTP_CLIENTS_MAX + CLIENTS_ENDING, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, CLIENT_PATIENCE, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CLIENT_MEMORY, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(flags, 0, NULL, NULL, handle_request, server, MHD_OPTION_ARRAY, limits,
                            MHD_OPTION_NOTIFY_CONNECTION, client_changed, server,
                            MHD_OPTION_NOTIFY_COMPLETED, request_completed, server, MHD_OPTION_END);
}

static int start_server(struct http_server *server, struct query *query, int fd, bool tcp)
{
    struct loop *loop = query->helper->loop;
    const union MHD_DaemonInfo *info;
    server->query = query;
    server->tcp = tcp;
    if (fd < 0)
        return 0;
    server->daemon = start_daemon(server, fd);
    if (server->daemon == NULL) {
        (void)close(fd);
        return -1;
    }
    info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info != NULL)
        server->watch = loop_watch(loop, info->epoll_fd, EPOLLIN, on_ready, server);
    server->timer = loop_timer(loop, 0, on_timer, server);
    server->expiry = loop_timer(loop, SECOND, on_second, server);
    return server->watch != NULL && server->timer != NULL && server->expiry != NULL ? 0 : -1;
}

static void stop_server(struct http_server *server)
{
    if (server->query == NULL)
        return;
    loop_remove(server->query->helper->loop, server->watch);
    loop_remove(server->query->helper->loop, server->timer);
    loop_remove(server->query->helper->loop, server->expiry);
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
}

struct query *query_start(struct helper *helper, int unix_fd, int tcp_fd)
{
    struct query *query = calloc(1, sizeof *query);
    int unix_failed, tcp_failed;
    if (query == NULL) {
        helper_log(LOG_ERR, "queries: no memory");
        return NULL;
    }
    query->helper = helper;
    query_reload(query);
    unix_failed = start_server(&query->unix_server, query, unix_fd, false);
    tcp_failed = start_server(&query->tcp_server, query, tcp_fd, true);
    if (unix_failed || tcp_failed) {
        helper_log(LOG_ERR, "queries: cannot serve %s", unix_failed ? "the Unix socket" : "TCP");
        query_stop(query);
        return NULL;
    }
    return query;
}

void query_reload(struct query *query)
{
    query->group = authorisation_group(query->helper->config.group);
    if (gethostname(query->machine, sizeof query->machine - 1) != 0)
        query->machine[0] = '\0';
}

void query_stop(struct query *query)
{
    if (query == NULL)
        return;
    stop_server(&query->unix_server);
    stop_server(&query->tcp_server);
    free(query);
}
