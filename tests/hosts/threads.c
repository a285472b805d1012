/* SPDX-License-Identifier: MIT */
/*
 * Two hundred threads that create the program's first sockets at the same time, then again on the
 * smallest possible thread stack, and once on 8 KB provided by the program.
 */
#include "host.h"

#include <limits.h>
#include <pthread.h>
#include <ucontext.h>

#define THREADS 200

static int count = THREADS;
static pthread_barrier_t start;
static unsigned bad;
static unsigned tuned;

/* Connect within the thread, and check that both ends have keepalive. */
static void connect_once(void)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address, 4);
    int client = connect_to(&address);
    int server = accept(listener, NULL, NULL);
    errno = 0;
    int again = socket(AF_INET, SOCK_STREAM, 0);
    if (errno != 0 || server < 0 || again < 0) {
        __atomic_add_fetch(&bad, 1, __ATOMIC_RELAXED);
    }
    if (option_of(client, SOL_SOCKET, SO_KEEPALIVE) == 1 &&
        option_of(server, SOL_SOCKET, SO_KEEPALIVE) == 1) {
        __atomic_add_fetch(&tuned, 1, __ATOMIC_RELAXED);
    }
    close(client);
    close(server);
    close(again);
    close(listener);
}

static void *in_thread(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&start);
    connect_once();
    return NULL;
}

static void run_threads(const char *name, size_t stack)
{
    pthread_t threads[THREADS];
    pthread_attr_t attributes;
    tuned = 0;
    check(pthread_attr_init(&attributes) == 0);
    if (stack != 0) {
        check(pthread_attr_setstacksize(&attributes, stack) == 0);
    }
    check(pthread_barrier_init(&start, NULL, (unsigned)count) == 0);
    for (int i = 0; i < count; i++) {
        check(pthread_create(&threads[i], &attributes, in_thread, NULL) == 0);
    }
    for (int i = 0; i < count; i++) {
        check(pthread_join(threads[i], NULL) == 0);
    }
    check(bad == 0);
    say("option %s tuned=%u\n", name, tuned);
    pthread_barrier_destroy(&start);
    pthread_attr_destroy(&attributes);
}

static void run_on_8k(void)
{
    static _Alignas(16) char stack[8192];
    ucontext_t here, there;
    check(getcontext(&there) == 0);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &here;
    memset(stack, 0x5a, sizeof stack);
    makecontext(&there, connect_once, 0);
    tuned = 0;
    check(swapcontext(&here, &there) == 0);
    size_t untouched = 0;
    while (stack[untouched] == 0x5a) {
        untouched++;
    }
    check(untouched > 0 && bad == 0);
    say("option 8k tuned=%u\n", tuned);
}

/* The argument is a number of threads smaller than THREADS, for slow environments such as
 * valgrind. */
int main(int argc, char **argv)
{
    alarm(60);
    if (argc > 1) {
        count = atoi(argv[1]);
        check(count > 0 && count <= THREADS);
    }
    run_threads("first", 0);
    run_threads("16k", (size_t)sysconf(_SC_THREAD_STACK_MIN) > 16384
                           ? (size_t)sysconf(_SC_THREAD_STACK_MIN)
                           : 16384);
    run_on_8k();
    return 0;
}
