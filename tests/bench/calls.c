/* SPDX-License-Identifier: MIT */
/*
 * The timed program: creates sockets and connections on loopback and prints the duration of each
 * call. One process runs under each preload, all on one processor. They take turns of a fraction of
 * a millisecond: the process that holds the baton, a byte passed around through pipes, measures;
 * the others sleep. So disturbances affect all of them equally.
 *
 *     calls BATON_IN BATON_OUT     descriptors of two pipes, from the one before and to the next
 *
 * One order a line on standard input, one answer a line on standard output:
 *     SUBJECT ROUNDS OWN   takes ROUNDS turns; nanoseconds a call, for each turn one number for
 *                          each phase of the subject
 *     verify               "CLIENT ACCEPTED": how many of the options below each end has
 *     options COUNT        the first COUNT of the options below as settings of a rule
 * If a call fails, the answer is "error: ..." instead of numbers. OWN is the number of options that
 * the program sets itself in the subject `client`.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 64 }; /* at a time */
enum { PHASES_MAX = 2 };

/* The options that the rules under test set, or the program itself as the baseline. No value is the
 * kernel's default, so getsockopt() shows whether it was set. */
static const struct own_option {
    const char *name;
    int level;
    int optname;
    int value;
    const char *unit; /* of the value, if a rule must name it; else NULL */
} own_options[] = {
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1, NULL},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 600, NULL},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 60, NULL},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 5, NULL},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1, NULL},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 30000, "ms"},
    {"TCP_SYNCNT", IPPROTO_TCP, TCP_SYNCNT, 3, NULL},
    {"TCP_NOTSENT_LOWAT", IPPROTO_TCP, TCP_NOTSENT_LOWAT, 131072, NULL},
};
enum { OWN_OPTIONS = sizeof(own_options) / sizeof(own_options[0]) };

static struct sockaddr_in server;
static int listener;
static int baton_in;
static int baton_out;
static int plain; /* a socket that is neither connected nor listening */

/* The call that failed, or NULL. */
static const char *failed;

static bool fails(int result, const char *call)
{
    if (result < 0 && failed == NULL)
        failed = call;
    return result < 0;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int tcp_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int set(int fd, const struct own_option *option)
{
    return setsockopt(fd, option->level, option->optname, &option->value, sizeof(option->value));
}

static int connect_to_server(int fd)
{
    return connect(fd, (const struct sockaddr *)&server, sizeof(server));
}

static void time_socket(int calls, long own, uint64_t *spent)
{
    uint64_t start = now();
    (void)own;
    for (int i = 0; i < calls; i++) {
        int fd = tcp_socket();
        if (fails(fd, "socket") || fails(close(fd), "close"))
            return;
    }
    spent[0] += now() - start;
}

static void time_setsockopt(int calls, long own, uint64_t *spent)
{
    static const struct own_option nodelay = {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 1, NULL};
    uint64_t start = now();
    (void)own;
    for (int i = 0; i < calls; i++) {
        if (fails(set(plain, &nodelay), "setsockopt"))
            return;
    }
    spent[0] += now() - start;
}

/* Connections are reset: after an orderly close the port would be in TIME_WAIT for a minute. */
static void drop_connections(int calls, const int *clients, const int *accepted)
{
    static const struct linger reset = {1, 0};
    for (int i = 0; i < calls; i++) {
        if (clients[i] < 0)
            continue;
        setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(clients[i]);
    }
    for (int i = 0; i < calls; i++) {
        if (accepted[i] >= 0)
            close(accepted[i]);
    }
}

/* On loopback the handshake is complete when connect() returns, so accept() never waits: each phase
 * measures only its own calls. */
static void time_connection(int calls, long own, uint64_t *spent)
{
    int clients[CONNECTIONS_MAX];
    int accepted[CONNECTIONS_MAX];
    uint64_t start;
    (void)own;
    memset(accepted, -1, sizeof(accepted));
    for (int i = 0; i < calls; i++)
        fails(clients[i] = tcp_socket(), "socket");
    start = now();
    for (int i = 0; i < calls && failed == NULL; i++)
        fails(connect_to_server(clients[i]), "connect");
    spent[0] += now() - start;
    start = now();
    for (int i = 0; i < calls && failed == NULL; i++)
        fails(accepted[i] = accept(listener, NULL, NULL), "accept");
    spent[1] += now() - start;
    drop_connections(calls, clients, accepted);
}

/* A client's calls up to connect(), with the options that it sets itself. */
static void time_client(int calls, long own, uint64_t *spent)
{
    int clients[CONNECTIONS_MAX];
    int accepted[CONNECTIONS_MAX];
    uint64_t start;
    memset(accepted, -1, sizeof(accepted));
    memset(clients, -1, sizeof(clients));
    start = now();
    for (int i = 0; i < calls && failed == NULL; i++) {
        fails(clients[i] = tcp_socket(), "socket");
        for (long k = 0; k < own; k++)
            fails(set(clients[i], &own_options[k]), "setsockopt");
        fails(connect_to_server(clients[i]), "connect");
    }
    spent[0] += now() - start;
    for (int i = 0; i < calls && failed == NULL; i++)
        fails(accepted[i] = accept(listener, NULL, NULL), "accept");
    drop_connections(calls, clients, accepted);
}

static const struct subject {
    const char *name;
    int calls; /* per turn; some 100 microseconds, so that compared turns are close in time */
    int phases;
    void (*time)(int calls, long own, uint64_t *spent);
} subjects[] = {
    {"socket", 64, 1, time_socket},
    {"setsockopt", 256, 1, time_setsockopt},
    {"connection", 32, 2, time_connection},
    {"client", 16, 1, time_client},
};

static void take_baton(void)
{
    char byte;
    if (read(baton_in, &byte, 1) != 1)
        exit(1); /* the driver has exited */
}

static void pass_baton(void)
{
    if (write(baton_out, "", 1) != 1)
        exit(1);
}

/* A quarter of a turn warms the caches after the switch; then the turn itself follows. */
static void take_turn(const struct subject *subject, long own, uint64_t *spent)
{
    subject->time(subject->calls / 4, own, spent);
    memset(spent, 0, PHASES_MAX * sizeof(*spent));
    if (failed == NULL)
        subject->time(subject->calls, own, spent);
}

/* All turns are taken even after a failure: the baton must be passed on. */
static void measure(const struct subject *subject, long rounds, long own)
{
    uint64_t(*spent)[PHASES_MAX] = calloc((size_t)rounds, sizeof(*spent));
    int error = 0;

    failed = spent == NULL ? "calloc" : NULL;
    for (long i = 0; i < rounds; i++) {
        take_baton();
        if (failed == NULL) {
            take_turn(subject, own, spent[i]);
            error = errno;
        }
        pass_baton();
    }
    if (failed != NULL)
        printf("error: %s: %s", failed, strerror(error));
    for (long i = 0; i < rounds && failed == NULL; i++) {
        for (int phase = 0; phase < subject->phases; phase++)
            printf("%.2f ", (double)spent[i][phase] / subject->calls);
    }
    putchar('\n');
    free(spent);
}

/* How many of the options, counted from the first, this socket has. */
static int options_held(int fd)
{
    int held;
    for (held = 0; held < OWN_OPTIONS; held++) {
        const struct own_option *option = &own_options[held];
        int value = 0;
        socklen_t length = sizeof(value);
        if (getsockopt(fd, option->level, option->optname, &value, &length) != 0 ||
            value != option->value)
            break;
    }
    return held;
}

static void verify(void)
{
    int client = tcp_socket();
    int accepted = -1;
    failed = NULL;
    if (!fails(client, "socket") && !fails(connect_to_server(client), "connect"))
        fails(accepted = accept(listener, NULL, NULL), "accept");
    if (failed != NULL)
        printf("error: %s: %s\n", failed, strerror(errno));
    else
        printf("%d %d\n", options_held(client), options_held(accepted));
    close(client);
    close(accepted);
}

static void print_options(long count)
{
    for (long i = 0; i < count; i++)
        if (own_options[i].unit != NULL)
            printf("%s = \"%d%s\"; ", own_options[i].name, own_options[i].value,
                   own_options[i].unit);
        else
            printf("%s = %d; ", own_options[i].name, own_options[i].value);
    putchar('\n');
}

static void obey(const char *order)
{
    char word[16];
    long number[2] = {0, 0};
    if (sscanf(order, "%15s %ld %ld", word, &number[0], &number[1]) < 1)
        return;
    if (strcmp(word, "verify") == 0) {
        verify();
        return;
    }
    if (strcmp(word, "options") == 0 && number[0] <= OWN_OPTIONS) {
        print_options(number[0]);
        return;
    }
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        if (strcmp(word, subjects[i].name) == 0 && number[0] > 0 && number[1] <= OWN_OPTIONS) {
            measure(&subjects[i], number[0], number[1]);
            return;
        }
    }
    printf("error: no such order: %s", order);
}

static void open_sockets(void)
{
    socklen_t length = sizeof(server);
    server.sin_family = AF_INET;
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    plain = tcp_socket();
    listener = tcp_socket();
    if (plain < 0 || listener < 0 ||
        bind(listener, (const struct sockaddr *)&server, sizeof(server)) != 0 ||
        listen(listener, 2 * CONNECTIONS_MAX) != 0 ||
        getsockname(listener, (struct sockaddr *)&server, &length) != 0) {
        perror("calls: listener on 127.0.0.1");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    char order[64];
    if (argc != 3) {
        fputs("usage: calls BATON_IN BATON_OUT < ORDERS\n", stderr);
        return 2;
    }
    baton_in = atoi(argv[1]);
    baton_out = atoi(argv[2]);
    open_sockets();
    while (fgets(order, sizeof(order), stdin) != NULL) {
        obey(order);
        fflush(stdout);
    }
    return 0;
}
