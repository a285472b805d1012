/* SPDX-License-Identifier: MIT */
/*
 * A server that is replaced again and again: its listener is closed, or its process killed, while
 * connections are open. The next one listens on the same port at once (SO_REUSEADDR), and new
 * connections reach only that one.
 */
#include "host.h"

#include <signal.h>
#include <sys/wait.h>

#define ROUNDS   100
#define KILLED   20
#define CLIENTS  5
#define PATIENCE 20 /* seconds */

/* These calls must succeed at once. */
static int listen_again(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    const struct timeval patience = {.tv_sec = PATIENCE};
    check(fd >= 0);
    check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
    check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    check(bind(fd, (const struct sockaddr *)address, sizeof *address) == 0);
    check(listen(fd, 64) == 0);
    return fd;
}

static void expect_refusal(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    check(fd >= 0);
    check(connect(fd, (const struct sockaddr *)address, sizeof *address) == -1);
    check(errno == ECONNREFUSED);
    close(fd);
}

/* Open connections to the listener and keep both ends. */
static void open_some(int listener, const struct sockaddr_in *address, int ends[2 * CLIENTS])
{
    for (int i = 0; i < 2 * CLIENTS; i += 2) {
        ends[i] = connect_to(address);
        ends[i + 1] = accept(listener, NULL, NULL);
        check(ends[i + 1] >= 0);
    }
}

static void close_some(const int ends[2 * CLIENTS])
{
    for (int i = 0; i < 2 * CLIENTS; i++)
        check(close(ends[i]) == 0);
}

static void replace_listener(const struct sockaddr_in *address)
{
    int ends[2 * CLIENTS], listener = listen_again(address);
    for (int round = 0; round < ROUNDS; round++) {
        open_some(listener, address, ends);
        check(close(listener) == 0);
        expect_refusal(address);
        listener = listen_again(address);
        close_some(ends);
    }
    check(close(listener) == 0);
}

static void replace_process(const struct sockaddr_in *address)
{
    for (int round = 0; round < KILLED; round++) {
        int ready[2], status;
        char byte;
        check(pipe(ready) == 0);
        pid_t child = fork();
        check(child >= 0);
        if (child == 0) {
            int ends[2 * CLIENTS];
            open_some(listen_again(address), address, ends);
            check(write(ready[1], "x", 1) == 1);
            pause();
        }
        check(read(ready[0], &byte, 1) == 1);
        int client = connect_to(address);
        check(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
        /* It was in the queue of the previous server. */
        check(read(client, &byte, 1) == -1 && errno == ECONNRESET);
        close(client);
        close(ready[0]);
        close(ready[1]);
    }
}

int main(void)
{
    struct sockaddr_in address;
    check(close(listen_on_loopback(&address, 1)) == 0);
    replace_listener(&address);
    replace_process(&address);
    say("%d listeners and %d processes replaced\n", ROUNDS, KILLED);
    return 0;
}
