/* SPDX-License-Identifier: MIT */
/*
 * Many short connections at full speed: each of CLIENTS processes opens COUNT connections, one
 * after the other, to a server in this program. A request and an answer of known sizes are
 * exchanged; then one end closes or resets the connection, and the other must see that. Each end
 * counts the bytes that it sent and received, and prints:
 *
 *   end connect|accept COOKIE SENT RECEIVED closed|eof|reset|aborted
 *
 * COOKIE is the kernel's cookie of the socket (SO_COOKIE). The last word says how it ended: this
 * end closed first, saw the close, saw a reset, or sent the reset. All other lines are the same in
 * each run, except the slowest call, which is printed last.
 *
 * churn SERVER FAMILY CLOSER CLIENTS COUNT
 *   SERVER  several  four processes accept
 *           fork     one accepts and forks a child for each connection
 *           exec     the same, and the child executes the program anew
 *           pass     a master accepts and passes each connection to one of four workers, over Unix
 *                    sockets (SCM_RIGHTS)
 *   FAMILY  inet, inet6, mapped (IPv4 between AF_INET6 sockets), mptcp
 *   CLOSER  client, server, client-resets, server-resets
 */
#include "host.h"

#include "compat.h"

#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#define SERVERS   4
#define LARGEST   3000
#define PATIENCE  20 /* seconds; no call takes that long */
#define INHERITED 3  /* the descriptor that the executed child inherits */

enum closer { CLIENT, SERVER, CLIENT_RESETS, SERVER_RESETS };

static const char *const closers[] = {"client", "server", "client-resets", "server-resets"};

/* The beginning of a request. */
struct request {
    uint32_t size; /* of the whole request */
    uint32_t answer;
};

struct count {
    unsigned long sent;
    unsigned long received;
};

static char buffer[LARGEST];
static double slowest; /* duration of the slowest call, in seconds */
static enum closer closer;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The call's result; its duration is recorded. */
#define timed(call)                                                                                \
    ({                                                                                             \
        double begin_ = now();                                                                     \
        long result_ = (call);                                                                     \
        int error_ = errno;                                                                        \
        double took_ = now() - begin_;                                                             \
        slowest = took_ > slowest ? took_ : slowest;                                               \
        errno = error_;                                                                            \
        result_;                                                                                   \
    })

/* One connection */

static void say_end(const char *role, int fd, const struct count *count, const char *how)
{
    unsigned long long cookie = 0;
    socklen_t length = sizeof cookie;
    check(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length) == 0);
    say("end %s %llu %lu %lu %s\n", role, cookie, count->sent, count->received, how);
}

static void send_all(int fd, const void *bytes, size_t size, struct count *count)
{
    check(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
    count->sent += size;
}

/* True if so many bytes were received; false if the peer closed before the first byte. */
static bool receive_all(int fd, void *bytes, size_t size, struct count *count)
{
    ssize_t got = size > 0 ? recv(fd, bytes, size, MSG_WAITALL) : 0;
    check(got == (ssize_t)size || got == 0);
    count->received += (unsigned long)got;
    return got == (ssize_t)size;
}

/* Wait until the other end closes or resets, up to the socket's timeout. */
static const char *see_end(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    if (got == 0)
        return "eof";
    check(got < 0 && errno == ECONNRESET);
    return "reset";
}

/* The cookie must be read before the descriptor is closed. */
static void finish(const char *role, int fd, const struct count *count, bool first)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    const bool resets = closer == CLIENT_RESETS || closer == SERVER_RESETS;
    if (first && resets)
        check(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    say_end(role, fd, count, !first ? see_end(fd) : resets ? "aborted" : "closed");
    check(timed(close(fd)) == 0);
}

static void be_patient(int fd)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
}

/* Serve an accepted connection; false if it was the one that ends the servers. */
static bool serve(int fd)
{
    struct request request;
    struct count count = {0, 0};
    be_patient(fd);
    bool asked = receive_all(fd, &request, sizeof request, &count);
    if (!asked) {
        say_end("accept", fd, &count, "eof");
        check(close(fd) == 0);
        return false;
    }
    check(request.size <= LARGEST && request.answer <= LARGEST);
    check(receive_all(fd, buffer, request.size - sizeof request, &count) ||
          request.size == sizeof request);
    send_all(fd, buffer, request.answer, &count);
    /* A reset would overtake the answer. */
    if (closer == SERVER_RESETS)
        check(receive_all(fd, buffer, 1, &count));
    finish("accept", fd, &count, closer == SERVER || closer == SERVER_RESETS);
    return true;
}

static void ask(const struct sockaddr_storage *address, socklen_t length, int protocol,
                unsigned number)
{
    struct request request = {.size = (uint32_t)sizeof request + number * 7919 % 2900,
                              .answer = 1 + number * 104729 % 2900};
    struct count count = {0, 0};
    int fd = (int)timed(socket(address->ss_family, SOCK_STREAM, protocol));
    check(fd >= 0);
    be_patient(fd);
    check(timed(connect(fd, (const struct sockaddr *)address, length)) == 0);
    memcpy(buffer, &request, sizeof request);
    send_all(fd, buffer, request.size, &count);
    check(receive_all(fd, buffer, request.answer, &count));
    if (closer == SERVER_RESETS)
        send_all(fd, "x", 1, &count);
    finish("connect", fd, &count, closer == CLIENT || closer == CLIENT_RESETS);
}

static void ask_to_end(const struct sockaddr_storage *address, socklen_t length, int protocol)
{
    int fd = socket(address->ss_family, SOCK_STREAM, protocol);
    check(fd >= 0 && connect(fd, (const struct sockaddr *)address, length) == 0);
    say_end("connect", fd, &(struct count){0, 0}, "closed");
    check(close(fd) == 0);
}

/* Servers */

static pid_t forked(void)
{
    pid_t child = fork();
    check(child >= 0);
    if (child == 0)
        slowest = 0;
    return child;
}

/* End a process; the exit status reports its slowest call to the parent, in tenths of a second. */
static _Noreturn void end_process(void)
{
    _exit(slowest < 10 ? (int)(slowest * 10) + 2 : 102);
}

static void wait_for_one(void)
{
    int status;
    check(wait(&status) > 0);
    check(WIFEXITED(status) && WEXITSTATUS(status) >= 2);
    double theirs = (WEXITSTATUS(status) - 2) / 10.0;
    slowest = theirs > slowest ? theirs : slowest;
}

static int accept_one(int listener)
{
    int fd = accept(listener, NULL, NULL);
    check(fd >= 0);
    return fd;
}

static void serve_by_several(int listener)
{
    for (int i = 0; i < SERVERS; i++)
        if (forked() == 0) {
            while (serve(accept_one(listener)))
                continue;
            end_process();
        }
    for (int i = 0; i < SERVERS; i++)
        wait_for_one();
}

static void execute(int fd)
{
    check(dup2(fd, INHERITED) == INHERITED);
    execl("/proc/self/exe", "churn", "child", closers[closer], (char *)NULL);
    fail("cannot execute itself: %s\n", strerror(errno));
}

/* Peek whether this is the connection that ends the server: only a child reads it. */
static bool is_last(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static void serve_by_children(int listener, bool executed)
{
    int children = 0;
    for (bool last = false; !last; children++) {
        int fd = accept_one(listener);
        last = is_last(fd);
        if (forked() == 0) {
            close(listener);
            if (executed)
                execute(fd);
            serve(fd);
            end_process();
        }
        check(close(fd) == 0);
        if (children >= SERVERS) {
            wait_for_one();
            children--;
        }
    }
    for (; children > 0; children--)
        wait_for_one();
}

static void pass(int channel, int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof fd)];
    } control = {{0}};
    struct iovec byte = {"", 1};
    struct msghdr message = {.msg_iov = &byte,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    control.header = (struct cmsghdr){
        .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    check(sendmsg(channel, &message, MSG_NOSIGNAL) == 1);
}

/* -1: the master has closed the channel. */
static int take_passed(int channel)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    int fd;
    struct iovec room = {&byte, 1};
    struct msghdr message = {.msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t got = recvmsg(channel, &message, 0);
    check(got >= 0);
    if (got == 0)
        return -1;
    check(message.msg_controllen > 0 && control.header.cmsg_type == SCM_RIGHTS);
    memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
    return fd;
}

static void work(int channel)
{
    for (int fd; (fd = take_passed(channel)) >= 0;)
        serve(fd);
    end_process();
}

static void serve_by_workers(int listener)
{
    int channels[SERVERS], ends[2];
    for (int i = 0; i < SERVERS; i++) {
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        channels[i] = ends[0];
        if (forked() == 0) {
            for (int other = 0; other <= i; other++)
                close(channels[other]);
            close(listener);
            work(ends[1]);
        }
        close(ends[1]);
    }
    bool last = false;
    for (int i = 0; !last; i = (i + 1) % SERVERS) {
        int fd = accept_one(listener);
        last = is_last(fd);
        pass(channels[i], fd);
        check(close(fd) == 0);
    }
    for (int i = 0; i < SERVERS; i++)
        close(channels[i]);
    for (int i = 0; i < SERVERS; i++)
        wait_for_one();
}

/* Clients and the master */

static int make_listener(const char *family, struct sockaddr_storage *address, socklen_t *length,
                         int protocol)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    bool six = strcmp(family, "inet6") == 0 || strcmp(family, "mapped") == 0;
    memset(address, 0, sizeof *address);
    *length = six ? sizeof *v6 : sizeof *v4;
    if (six) {
        v6->sin6_family = AF_INET6;
        check(inet_pton(AF_INET6, strcmp(family, "mapped") == 0 ? "::ffff:127.0.0.1" : "::1",
                        &v6->sin6_addr) == 1);
    } else {
        v4->sin_family = AF_INET;
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    int fd = socket(address->ss_family, SOCK_STREAM, protocol);
    check(fd >= 0);
    check(bind(fd, (struct sockaddr *)address, *length) == 0);
    check(listen(fd, 4096) == 0);
    check(getsockname(fd, (struct sockaddr *)address, length) == 0);
    return fd;
}

static void serve_by(const char *way, int listener)
{
    if (strcmp(way, "several") == 0)
        serve_by_several(listener);
    else if (strcmp(way, "pass") == 0)
        serve_by_workers(listener);
    else
        serve_by_children(listener, strcmp(way, "exec") == 0);
    end_process();
}

static enum closer closer_of(const char *name)
{
    for (unsigned i = 0; i < sizeof closers / sizeof *closers; i++)
        if (strcmp(name, closers[i]) == 0)
            return (enum closer)i;
    fail("no such closer: %s\n", name);
}

int main(int argc, char **argv)
{
    struct sockaddr_storage address;
    socklen_t length;
    if (argc == 3 && strcmp(argv[1], "child") == 0) {
        closer = closer_of(argv[2]);
        serve(INHERITED);
        end_process();
    }
    check(argc == 6);
    const char *way = argv[1];
    int protocol = strcmp(argv[2], "mptcp") == 0 ? IPPROTO_MPTCP : 0;
    unsigned clients = (unsigned)atoi(argv[4]), count = (unsigned)atoi(argv[5]);
    closer = closer_of(argv[3]);
    say_descriptors("first");
    int listener = make_listener(argv[2], &address, &length, protocol);
    if (forked() == 0)
        serve_by(way, listener);
    check(close(listener) == 0);
    for (unsigned client = 0; client < clients; client++)
        if (forked() == 0) {
            for (unsigned i = client; i < count; i += clients)
                ask(&address, length, protocol, i);
            end_process();
        }
    for (unsigned client = 0; client < clients; client++)
        wait_for_one();
    for (int i = 0; i < (strcmp(way, "several") == 0 ? SERVERS : 1); i++)
        ask_to_end(&address, length, protocol);
    wait_for_one();
    say_descriptors("last");
    say("slowest %.1f\n", slowest);
    return 0;
}
