/* SPDX-License-Identifier: MIT */
/*
 * Connects and accepts through io_uring, or through ordinary calls if that is refused; prints
 * which. The listener is always created by ordinary calls. Linked to liburing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int must(int result, const char *what)
{
    if (result < 0) {
        printf("error: %s: %s\n", what, strerror(result == -1 ? errno : -result));
        exit(1);
    }
    return result;
}

/* Run the queued operations; returns the result of number 2: the accepted socket. */
static int complete(struct io_uring *ring)
{
    int accepted = -1;
    must(io_uring_submit(ring), "io_uring_submit");
    for (int i = 0; i < 2; i++) {
        struct io_uring_cqe *done;
        must(io_uring_wait_cqe(ring, &done), "io_uring_wait_cqe");
        must(done->res, done->user_data == 2 ? "accept" : "connect");
        if (done->user_data == 2)
            accepted = done->res;
        io_uring_cqe_seen(ring, done);
    }
    return accepted;
}

static void by_ring(struct io_uring *ring, int listener, int client, struct sockaddr_in *address)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    io_uring_prep_connect(entry, client, (struct sockaddr *)address, sizeof *address);
    entry->user_data = 1;
    entry = io_uring_get_sqe(ring);
    io_uring_prep_accept(entry, listener, NULL, NULL, 0);
    entry->user_data = 2;
    must(complete(ring), "accept");
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    struct io_uring ring;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    must(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    must(listen(listener, 8), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    int client = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
    int refused = io_uring_queue_init(8, &ring, 0);
    if (refused == -ENOSYS) {
        must(connect(client, (struct sockaddr *)&address, sizeof address), "connect");
        must(accept(listener, NULL, NULL), "accept");
        puts("ready, without io_uring");
    } else {
        must(refused, "io_uring_queue_init");
        by_ring(&ring, listener, client, &address);
        puts("ready, by io_uring");
    }
    fflush(stdout);
    pause();
    return 0;
}
