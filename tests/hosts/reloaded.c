/* SPDX-License-Identifier: MIT */
/*
 * Sockets of threads, signal handlers, forked and vforked children while the rules change. Each
 * line of standard input is a number N, written after the rules that set N + 1 have come into
 * force: from then on each new socket must have those options. The answer is "ok".
 *
 * Other threads create sockets all the time. The options that a socket gets in one call must come
 * from one set of rules, whichever it is. Threads are cancelled in connect(), and a signal handler
 * leaves it with siglongjmp().
 */
#include "host.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { RUNNERS = 3, CHECKERS = 4 };

static struct sockaddr_in address, silent;
static int listener;
static pthread_barrier_t begin, end;
static int expected;
static sigjmp_buf out;

/* The options that the rules set at socket(): both or none, from one generation. */
static int at_socket(int fd)
{
    int one = option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT);
    check(one == option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL));
    return one;
}

/* Whether new sockets of all kinds have the options of rule N. Also called in a vfork() child. */
static bool are_of(int number)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool right = client >= 0 && at_socket(client) == number + 1;
    right &= connect(client, (struct sockaddr *)&address, sizeof address) == 0;
    right &= option_of(client, IPPROTO_TCP, TCP_KEEPIDLE) == number + 1;
    int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    right &= server >= 0 && option_of(server, IPPROTO_TCP, TCP_KEEPCNT) == number % 100 + 1;
    close(client);
    close(server);
    return right;
}

static void *run_freely(void *unused)
{
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        (void)at_socket(fd);
        close(fd);
    }
    return unused;
}

static void *check_rounds(void *unused)
{
    for (;;) {
        pthread_barrier_wait(&begin);
        check(are_of(expected));
        pthread_barrier_wait(&end);
    }
    return unused;
}

static void make_in_handler(int number)
{
    int saved = errno, fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)number;
    (void)at_socket(fd);
    close(fd);
    errno = saved;
}

static void leave_by_jump(int number)
{
    siglongjmp(out, number);
}

/* No accept() is called there, and the queue is full: connect() waits for seconds. */
static void fill_queue(void)
{
    (void)listen_on_loopback(&silent, 0);
    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fd, (struct sockaddr *)&silent, sizeof silent);
    }
}

static void *wait_in_connect(void *fd)
{
    (void)connect(*(int *)fd, (struct sockaddr *)&silent, sizeof silent);
    return NULL;
}

static void cancel_one(void)
{
    pthread_t thread;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    sigset_t jumps, before;
    sigfillset(&jumps);
    check(pthread_sigmask(SIG_BLOCK, &jumps, &before) == 0);
    check(pthread_create(&thread, NULL, wait_in_connect, &fd) == 0);
    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    usleep(2000);
    check(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
    close(fd);
}

static void jump_out_of_one(void)
{
    const struct itimerval soon = {.it_value.tv_usec = 2000};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (sigsetjmp(out, 1) == 0) {
        check(setitimer(ITIMER_REAL, &soon, NULL) == 0);
        (void)connect(fd, (struct sockaddr *)&silent, sizeof silent);
    }
    close(fd);
}

static void await_child(pid_t child)
{
    int status = 1;
    check(waitpid(child, &status, 0) == child);
    check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A child that was forked long before answers each number. */
static void answer_numbers(int numbers, int answers)
{
    int number;
    while (read(numbers, &number, sizeof number) == sizeof number) {
        bool right = are_of(number);
        check(write(answers, &right, 1) == 1);
    }
    _exit(0);
}

static int to_child[2], from_child[2];

static void check_all(int number)
{
    bool right = false;
    expected = number;
    check(are_of(number));
    check(write(to_child[1], &number, sizeof number) == sizeof number);
    check(read(from_child[0], &right, 1) == 1 && right);
    pthread_barrier_wait(&begin);
    pthread_barrier_wait(&end);
    pid_t child = fork();
    if (child == 0) {
        _exit(!are_of(number));
    }
    await_child(child);
    child = vfork();
    if (child == 0) {
        _exit(!are_of(number)); /* NOLINT(clang-analyzer-unix.Vfork): under test */
    }
    await_child(child);
    check(are_of(number));
}

int main(void)
{
    struct sigaction in_handler = {.sa_handler = make_in_handler, .sa_flags = SA_RESTART};
    struct sigaction jump = {.sa_handler = leave_by_jump};
    const struct itimerval often = {{0, 3000}, {0, 3000}};
    sigset_t jumps;
    int number;
    listener = listen_on_loopback(&address, 64);
    fill_queue();
    check(pipe(to_child) == 0 && pipe(from_child) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(to_child[1]);
        answer_numbers(to_child[0], from_child[1]);
    }
    check(pthread_barrier_init(&begin, NULL, CHECKERS + 1) == 0);
    check(pthread_barrier_init(&end, NULL, CHECKERS + 1) == 0);
    check(sigaction(SIGPROF, &in_handler, NULL) == 0 && sigaction(SIGALRM, &jump, NULL) == 0);
    /* Only the main thread may jump. */
    sigemptyset(&jumps);
    sigaddset(&jumps, SIGALRM);
    check(pthread_sigmask(SIG_BLOCK, &jumps, NULL) == 0);
    for (int i = 0; i < RUNNERS + CHECKERS; i++) {
        pthread_t thread;
        check(pthread_create(&thread, NULL, i < RUNNERS ? run_freely : check_rounds, NULL) == 0);
    }
    check(pthread_sigmask(SIG_UNBLOCK, &jumps, NULL) == 0);
    check(setitimer(ITIMER_PROF, &often, NULL) == 0);
    say("ready\n");
    while (scanf("%d", &number) == 1) {
        cancel_one();
        jump_out_of_one();
        check_all(number);
        say("ok\n");
    }
    close(to_child[1]);
    await_child(child);
    _exit(0);
}
