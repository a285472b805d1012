/* SPDX-License-Identifier: MIT */
/*
 * Threads cancelled while they block in accept(), accept4() and connect(), which are cancellation
 * points: each ends at once and runs its clean-up handlers. socket() and listen() are no
 * cancellation points: with a pending request they still work, and connect() ends the thread.
 */
#include "host.h"

#include <pthread.h>
#include <time.h>

static struct sockaddr_in address;
static int listener;
static int cleaned;

static void clean(void *fd)
{
    cleaned++;
    close(*(int *)fd);
}

static void *block_in_accept(void *unused)
{
    (void)unused;
    int copy = dup(listener);
    pthread_cleanup_push(clean, &copy);
    (void)accept(copy, NULL, NULL);
    pthread_cleanup_pop(1);
    return NULL;
}

static void *block_in_accept4(void *unused)
{
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    (void)unused;
    int copy = dup(listener);
    pthread_cleanup_push(clean, &copy);
    (void)accept4(copy, (struct sockaddr *)&peer, &length, SOCK_CLOEXEC);
    pthread_cleanup_pop(1);
    return NULL;
}

/* The backlog is full, so the kernel drops the SYN and connect() waits for seconds. */
static void *block_in_connect(void *unused)
{
    (void)unused;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_cleanup_push(clean, &fd);
    (void)connect(fd, (struct sockaddr *)&address, sizeof address);
    pthread_cleanup_pop(1);
    return NULL;
}

static int made_while_pending;

static void *connect_when_pending(void *unused)
{
    (void)unused;
    pthread_cancel(pthread_self());
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    pthread_cleanup_push(clean, &fd);
    int on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        listen(fd, 1) == 0) {
        made_while_pending++;
    }
    (void)connect(fd, (struct sockaddr *)&address, sizeof address);
    made_while_pending = -1;
    pthread_cleanup_pop(1);
    return NULL;
}

static void cancel_one(const char *name, void *(*body)(void *), bool wait)
{
    pthread_t thread;
    void *result = NULL;
    struct timespec moment = {.tv_nsec = 100000000};
    struct timespec from, to;
    cleaned = 0;
    check(pthread_create(&thread, NULL, body, NULL) == 0);
    if (wait) {
        nanosleep(&moment, NULL);
        check(pthread_tryjoin_np(thread, NULL) == EBUSY);
        check(pthread_cancel(thread) == 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    check(pthread_join(thread, &result) == 0);
    clock_gettime(CLOCK_MONOTONIC, &to);
    check(result == PTHREAD_CANCELED);
    check(cleaned == 1);
    check(to.tv_sec - from.tv_sec < 2);
    say("%s: cancelled, cleaned up\n", name);
}

int main(void)
{
    alarm(60);
    listener = listen_on_loopback(&address, 0);
    for (int round = 0; round < 3; round++) {
        cancel_one("accept", block_in_accept, true);
        cancel_one("accept4", block_in_accept4, true);
    }
    int filler[4];
    for (int i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(filler[i], (struct sockaddr *)&address, sizeof address);
    }
    for (int round = 0; round < 3; round++) {
        cancel_one("connect", block_in_connect, true);
    }
    cancel_one("pending", connect_when_pending, false);
    check(made_while_pending == 1);
    for (int i = 0; i < 4; i++) {
        close(filler[i]);
    }
    close(listener);
    say_connection("afterwards");
    say_descriptors("end");
    return 0;
}
