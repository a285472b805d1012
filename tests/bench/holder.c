/* SPDX-License-Identifier: MIT */
/*
 * Holds connections open: holder PAIRS [BYTES]. It connects to itself over loopback, sends BYTES
 * each way on each connection, prints "open", and closes all at the end of its standard input. Each
 * pair is two connections. The limit of descriptors is raised to the maximum.
 *
 * holder PAIRS BYTES PAUSE: short connections, one after the other. Each is closed at once,
 * followed by a pause of PAUSE microseconds.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BYTES_MAX = 4096 };

static void must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static void raise_limit(void)
{
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

static void pass(int from, int to, size_t bytes)
{
    static char buffer[BYTES_MAX];
    if (bytes == 0)
        return;
    must((int)send(from, buffer, bytes, 0), "send");
    must((int)recv(to, buffer, bytes, MSG_WAITALL), "recv");
}

/* `ends` receives the connecting and the accepted end. */
static void open_pair(int listener, const struct sockaddr_in *address, size_t bytes, int ends[2])
{
    int client = socket(AF_INET, SOCK_STREAM, 0);
    must(client, "socket");
    must(connect(client, (const struct sockaddr *)address, sizeof *address), "connect");
    int accepted = accept(listener, NULL, NULL);
    must(accepted, "accept");
    pass(client, accepted, bytes);
    pass(accepted, client, bytes);
    ends[0] = client;
    ends[1] = accepted;
}

static void close_pair(const int ends[2], long pause)
{
    const struct timespec time = {.tv_nsec = pause * 1000};
    must(close(ends[0]), "close");
    must(close(ends[1]), "close");
    if (pause > 0)
        (void)nanosleep(&time, NULL);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    unsigned long pairs = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    unsigned long bytes = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    long pause = argc > 3 ? strtol(argv[3], NULL, 10) : -1;
    int listener = socket(AF_INET, SOCK_STREAM, 0), ends[2];
    if (pairs == 0 || bytes > BYTES_MAX) {
        fputs("usage: holder PAIRS [BYTES [PAUSE]]\n", stderr);
        return 2;
    }
    raise_limit();
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (const struct sockaddr *)&address, sizeof address), "bind");
    must(listen(listener, 128), "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    for (unsigned long i = 0; i < pairs; i++) {
        open_pair(listener, &address, bytes, ends);
        if (pause >= 0)
            close_pair(ends, pause);
    }
    puts("open");
    fflush(stdout);
    while (read(STDIN_FILENO, &length, sizeof length) > 0)
        continue;
    return 0;
}
