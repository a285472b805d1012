/* SPDX-License-Identifier: MIT */
/*
 * Sockets and systemd. Both protocols of systemd take a few lines, so no library is linked for
 * them.
 */
#include "listen.h"
#include "helper_place.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define FIRST_PASSED   3
#define BACKLOG        1024
#define ALL_MAY_WRITE  0666 /* clients are identified by SO_PEERCRED */
#define ENDING_TRIES   20
#define ENDING_WAIT_US 50000

static int unix_address(struct sockaddr_un *address, const char *directory, const char *name)
{
    int length = snprintf(address->sun_path, sizeof address->sun_path, "%s/%s", directory, name);
    address->sun_family = AF_UNIX;
    if (length > 0 && (size_t)length < sizeof address->sun_path)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

/* True if a process listens on the socket file; otherwise a killed helper has left it. */
static bool somebody_listens(const struct sockaddr_un *address, int type)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool used = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
                            errno == EAGAIN);
    if (fd >= 0)
        (void)close(fd);
    return used;
}

/* True if the socket is in use. Retries, since the other processes of a killed helper end a moment
 * later. */
static bool is_in_use(const struct sockaddr_un *address, int type)
{
    for (unsigned i = 0; i < ENDING_TRIES; i++) {
        if (!somebody_listens(address, type))
            return false;
        (void)usleep(ENDING_WAIT_US);
    }
    return true;
}

static int bind_unix(int fd, const struct sockaddr_un *address, int type)
{
    if (is_in_use(address, type)) {
        errno = EADDRINUSE;
        return -1;
    }
    if (unlink(address->sun_path) != 0 && errno != ENOENT)
        return -1;
    /* created with its mode, since chmod() would follow a link put in its place */
    mode_t mask = umask(0777 & ~ALL_MAY_WRITE);
    int bound = bind(fd, (const struct sockaddr *)address, sizeof *address);
    (void)umask(mask);
    return bound == 0 ? listen(fd, BACKLOG) : -1;
}

static int make_unix(const char *directory, const char *name, int type)
{
    struct sockaddr_un address = {0};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && unix_address(&address, directory, name) == 0 &&
        bind_unix(fd, &address, type) == 0)
        return fd;
    helper_log(LOG_ERR, "%s/%s: %s", directory, name,
               errno == EADDRINUSE ? "another socktuned listens there" : strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* TCP */

static int listen_on(const struct addrinfo *found)
{
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        (void)close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Splits "127.0.0.1:9117", "[::1]:9117", or ":9117" for all addresses. */
static int split_address(const char *text, char host[256], const char **port)
{
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : 0;
    if (colon == NULL || !colon[1] || length >= 256)
        return -1;
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL) {
        return -1;
    }
    memcpy(host, text, length);
    host[length] = 0;
    *port = colon + 1;
    return 0;
}

static int make_tcp(const char *text)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char host[256];
    const char *port;
    int fd;
    if (split_address(text, host, &port) != 0 ||
        getaddrinfo(host[0] ? host : NULL, port, &hints, &found)) {
        helper_log(LOG_ERR, "--metrics: \"%s\" is no ADDR:PORT or [ADDR]:PORT", text);
        return -1;
    }
    fd = listen_on(found);
    if (fd < 0)
        helper_log(LOG_ERR, "--metrics: %s: %s", text, strerror(errno));
    freeaddrinfo(found);
    return fd;
}

/* systemd */

static int passed_count(void)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid())
        return 0;
    return (int)strtol(count, NULL, 10);
}

static int socket_fact(int fd, int option)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

/* Returns the member for a passed socket, by its type. */
static int *listener_place(struct listeners *listeners, int fd)
{
    if (socket_fact(fd, SO_ACCEPTCONN) != 1)
        return NULL;
    if (socket_fact(fd, SO_DOMAIN) != AF_UNIX)
        return &listeners->metrics;
    return socket_fact(fd, SO_TYPE) == SOCK_SEQPACKET ? &listeners->registration
                                                      : &listeners->query;
}

static void take_passed(struct listeners *listeners)
{
    int end = FIRST_PASSED + passed_count();
    for (int fd = FIRST_PASSED; fd < end; fd++) {
        int *place = listener_place(listeners, fd);
        if (place == NULL || *place >= 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
            fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
            helper_log(LOG_WARNING, "descriptor %d that was passed is of no use here", fd);
            (void)close(fd);
            continue;
        }
        *place = fd;
    }
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

void service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path != NULL ? strlen(path) : 0;
    int fd;
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = 0;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        helper_log(LOG_WARNING, "%s: %s", path, strerror(errno));
    (void)close(fd);
}

/* The directory */

/* Whoever may write to a directory can replace root's files in it. */
static bool is_trusted_directory(const struct stat *status)
{
    struct stat top;
    uid_t owner = status->st_uid;
    /* In a user namespace, the owner of / may be a user that is unknown there. */
    if (owner != 0 && owner != geteuid() && (stat("/", &top) != 0 || owner != top.st_uid))
        return false;
    return (status->st_mode & (S_IWGRP | S_IWOTH)) == 0 || (status->st_mode & S_ISVTX) != 0;
}

/* Checks a directory and all above it. On failure, false, with `path` cut to the unsafe one. */
static bool is_safe(char *path)
{
    struct stat status;
    char *slash;
    for (;;) {
        if (lstat(path[0] != 0 ? path : "/", &status) != 0 || !S_ISDIR(status.st_mode) ||
            !is_trusted_directory(&status))
            return false;
        slash = strrchr(path, '/');
        if (slash == NULL || path[0] == 0)
            return true;
        *slash = 0;
    }
}

/* Creates the directory if it is missing, and checks that it is safe. Returns -1 with a message
 * logged. */
static int prepare_directory(const char *directory)
{
    char path[PATH_MAX];
    if ((mkdir(directory, 0755) != 0 && errno != EEXIST) || realpath(directory, path) == NULL) {
        helper_log(LOG_ERR, "%s: %s", directory, strerror(errno));
        return -1;
    }
    if (geteuid() != 0 || is_safe(path))
        return 0;
    helper_log(LOG_ERR,
               "%s: %s is another user's, or others may write to it: root's sockets must lie where "
               "only root can replace them",
               directory, path[0] != 0 ? path : "/");
    return -1;
}

bool directory_may_hold_state(const char *directory)
{
    char path[PATH_MAX];
    return realpath(directory, path) != NULL && (geteuid() != 0 || is_safe(path));
}

/* All sockets */

/* Opens the missing sockets. False if one could not be opened. */
static bool make_missing(struct listeners *listeners, const struct helper_config *config)
{
    if (listeners->registration < 0) {
        listeners->registration =
            make_unix(config->directory, config->registration, SOCK_SEQPACKET);
        listeners->own_registration = listeners->registration >= 0;
    }
    if (listeners->registration >= 0 && listeners->query < 0) {
        listeners->query = make_unix(config->directory, HELPER_QUERY_NAME, SOCK_STREAM);
        listeners->own_query = listeners->query >= 0;
    }
    if (listeners->registration < 0 || listeners->query < 0)
        return false;
    if (listeners->metrics < 0 && config->metrics != NULL && config->metrics[0])
        listeners->metrics = make_tcp(config->metrics);
    return listeners->metrics >= 0 || config->metrics == NULL || !config->metrics[0];
}

static void close_all(const struct listeners *listeners)
{
    if (listeners->registration >= 0)
        (void)close(listeners->registration);
    if (listeners->query >= 0)
        (void)close(listeners->query);
    if (listeners->metrics >= 0)
        (void)close(listeners->metrics);
}

int listeners_open(struct listeners *listeners, const struct helper_config *config)
{
    *listeners = (struct listeners){.registration = -1, .query = -1, .metrics = -1};
    take_passed(listeners);
    if ((listeners->registration < 0 || listeners->query < 0) &&
        prepare_directory(config->directory) != 0) {
        close_all(listeners);
        return -1;
    }
    if (make_missing(listeners, config))
        return 0;
    listeners_unlink(listeners, config);
    close_all(listeners);
    return -1;
}

void listeners_unlink(const struct listeners *listeners, const struct helper_config *config)
{
    struct sockaddr_un address = {0};
    if (listeners->own_registration &&
        unix_address(&address, config->directory, config->registration) == 0)
        (void)unlink(address.sun_path);
    if (listeners->own_query && unix_address(&address, config->directory, HELPER_QUERY_NAME) == 0)
        (void)unlink(address.sun_path);
}
