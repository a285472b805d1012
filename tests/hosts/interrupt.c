/* SPDX-License-Identifier: MIT */
/*
 * Signals: accept() and connect() fail with EINTR after a handler without SA_RESTART; accept()
 * continues with SA_RESTART, and fails with EAGAIN after a time-out; SIGPIPE kills a process that
 * writes to a closed connection, or write() fails with EPIPE if the signal is ignored.
 */
#include "host.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile sig_atomic_t handled;

static void on_alarm(int number)
{
    (void)number;
    handled++;
}

static void handle_alarm(int flags)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    check(sigaction(SIGALRM, &action, NULL) == 0);
    handled = 0;
}

static void alarm_soon(void)
{
    struct itimerval timer = {.it_value.tv_usec = 100000};
    check(setitimer(ITIMER_REAL, &timer, NULL) == 0);
}

static void interrupt_accept(void)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address, 8);
    handle_alarm(0);
    alarm_soon();
    check(accept(listener, NULL, NULL) == -1 && errno == EINTR && handled == 1);
    handled = 0;
    alarm_soon();
    check(accept4(listener, NULL, NULL, SOCK_CLOEXEC) == -1 && errno == EINTR && handled == 1);

    /* With SA_RESTART accept() continues: a child connects after the signal. */
    handle_alarm(SA_RESTART);
    alarm_soon();
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        usleep(300 * 1000);
        close(connect_to(&address));
        _exit(0);
    }
    int server = accept(listener, NULL, NULL);
    check(server >= 0 && handled == 1);
    close(server);
    check(waitpid(child, NULL, 0) == child);

    struct timeval moment = {.tv_usec = 100000};
    check(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment) == 0);
    check(accept(listener, NULL, NULL) == -1 && errno == EAGAIN);
    close(listener);
    say("accept: EINTR, restarted, EAGAIN\n");
}

static void interrupt_connect(void)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address, 0);
    int filler[4];
    for (int i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(filler[i], (struct sockaddr *)&address, sizeof address);
    }
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    handle_alarm(0);
    alarm_soon();
    check(connect(fd, (struct sockaddr *)&address, sizeof address) == -1 && errno == EINTR);
    check(handled == 1);
    say_options("interrupted.connect", fd);
    alarm_soon();
    check(connect(fd, (struct sockaddr *)&address, sizeof address) == -1);
    say("connect: EINTR, then %s\n", strerror(errno));
    close(fd);
    for (int i = 0; i < 4; i++) {
        close(filler[i]);
    }
    close(listener);
}

/* Write to a connection that the other end has reset, until the kernel returns an error. */
static int write_to_closed(void)
{
    struct sockaddr_in address;
    struct linger reset = {.l_onoff = 1};
    int listener = listen_on_loopback(&address, 8);
    int client = connect_to(&address);
    int server = accept(listener, NULL, NULL);
    check(setsockopt(server, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    close(server);
    while (write(client, "x", 1) == 1 || errno == ECONNRESET) {
    }
    return errno;
}

static void broken_pipes(void)
{
    int status = 0;
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        write_to_closed();
        _exit(0);
    }
    check(waitpid(child, &status, 0) == child);
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    check(write_to_closed() == EPIPE);
    say("write: SIGPIPE, EPIPE\n");
}

int main(void)
{
    say("at start SIGPIPE is %s\n",
        signal(SIGPIPE, SIG_DFL) == SIG_IGN ? "ignored" : "not ignored");
    interrupt_accept();
    interrupt_connect();
    broken_pipes();
    say_connection("afterwards");
    return 0;
}
