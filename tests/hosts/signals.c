/* SPDX-License-Identifier: MIT */
/*
 * socket(), connect() and accept() in a signal handler that interrupts the main thread in malloc(),
 * stdio and those same calls: a library that locks or allocates memory in them would hang.
 */
#include "host.h"

#include <signal.h>
#include <sys/time.h>

#define ROUNDS 300

static struct sockaddr_in address;
static int listener;
static volatile sig_atomic_t rounds;
static volatile sig_atomic_t keepalives;
static volatile sig_atomic_t failures;

static void connect_in_handler(int number)
{
    (void)number;
    int saved = errno;
    errno = 0;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (client < 0 || connect(client, (struct sockaddr *)&address, sizeof address) != 0) {
        failures++;
    }
    int server = accept(listener, NULL, NULL);
    if (server < 0 || errno != 0) {
        failures++;
    }
    keepalives += option_of(client, SOL_SOCKET, SO_KEEPALIVE);
    keepalives += option_of(server, SOL_SOCKET, SO_KEEPALIVE);
    close(client);
    close(server);
    rounds++;
    errno = saved;
}

int main(void)
{
    struct sigaction action = {.sa_handler = connect_in_handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_interval.tv_usec = 500, .it_value.tv_usec = 500};
    struct itimerval off = {0};
    struct sockaddr_in own;
    listener = listen_on_loopback(&address, 64);
    int own_listener = listen_on_loopback(&own, 64);
    FILE *sink = fopen("/dev/null", "w");
    check(sink != NULL);
    alarm(60); /* ends a deadlock */
    check(sigaction(SIGPROF, &action, NULL) == 0);
    check(setitimer(ITIMER_PROF, &timer, NULL) == 0);
    for (unsigned i = 0; rounds < ROUNDS; i++) {
        void *memory[64];
        for (unsigned k = 0; k < 64; k++) {
            memory[k] = malloc((i * 7 + k * 131) % 5000 + 1);
            check(memory[k] != NULL);
        }
        fprintf(sink, "%u %s\n", i, "in stdio");
        for (unsigned k = 0; k < 64; k++) {
            free(memory[k]);
        }
        int client = connect_to(&own);
        int server = accept(own_listener, NULL, NULL);
        check(server >= 0);
        close(client);
        close(server);
    }
    check(setitimer(ITIMER_PROF, &off, NULL) == 0);
    check(failures == 0);
    say("option handler keepalives=%d\n", (int)(keepalives / rounds));
    say_connection("main");
    return 0;
}
