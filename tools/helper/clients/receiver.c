/* SPDX-License-Identifier: MIT */
/*
 * The guard. A pipe whose other end only receivers have shows that a receiver has ended: that end
 * is closed at once, whatever the process still hangs in.
 */
#include "receiver.h"
#include "clock.h"
#include "compat.h"
#include "receiver_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WATCH_MS 250
#define HUNG_AFTER                                                                                 \
    (10 * SECOND)     /* no message takes so long, even on a machine that is overloaded */
#define PAUSE_US 1000 /* between two receivers, should they end at once */

/* Make this process end with its parent. */
static void end_with(pid_t parent, const char *name)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_NAME, name);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
}

/* Closes all descriptors but these two and standard error. */
static void close_others(int one, int other)
{
    const unsigned low = (unsigned)(one < other ? one : other);
    const unsigned high = (unsigned)(one < other ? other : one);
    if (low > 3)
        (void)syscall(SYS_close_range, 3, low - 1, 0);
    if (high > low + 1)
        (void)syscall(SYS_close_range, low + 1, high - 1, 0);
    (void)syscall(SYS_close_range, high + 1, ~0u, 0);
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGCHLD, SIG_IGN); /* no zombies: nobody waits for a process that hangs */
}

/* Starts a receiver. Returns its pid (-1 on failure), and in `alive` the pipe that shows its
 * end. */
static pid_t start_receiver(const struct receiver_job *job, int *alive)
{
    int ends[2];
    pid_t guard = getpid(), receiver;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    __atomic_store_n(&job->page->busy_since, 0, __ATOMIC_RELEASE);
    receiver = fork();
    if (receiver == 0) {
        end_with(guard, "socktuned-recv");
        (void)close(ends[0]);
        receiver_loop(job);
        _exit(EXIT_SUCCESS);
    }
    (void)close(ends[1]);
    *alive = ends[0];
    if (receiver < 0)
        (void)close(ends[0]);
    return receiver;
}

static bool receiver_hangs(const struct receiver_page *page)
{
    uint64_t since = __atomic_load_n(&page->busy_since, __ATOMIC_ACQUIRE);
    return since != 0 && now_monotonic() - since > HUNG_AFTER;
}

static void watch_receiver(const struct receiver_job *job, pid_t receiver, int alive)
{
    struct pollfd end = {.fd = alive, .events = POLLIN};
    int ready;
    while ((ready = poll(&end, 1, WATCH_MS)) == 0 || (ready < 0 && errno == EINTR)) {
        if (!receiver_hangs(job->page))
            continue;
        receiver_page_strike(job->page, job->page->busy_with, receiver, now_monotonic());
        (void)kill(receiver, SIGKILL);
        return;
    }
}

static void __attribute__((noreturn)) run_guard(const struct receiver_job *job)
{
    for (;;) {
        int alive;
        pid_t receiver = start_receiver(job, &alive);
        if (receiver > 0) {
            watch_receiver(job, receiver, alive);
            (void)close(alive);
        }
        (void)usleep(PAUSE_US);
    }
}

int receiver_start(int listening, pid_t *guard)
{
    int ends[2];
    pid_t parent = getpid();
    struct receiver_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        (void)munmap(page, sizeof *page);
        return -1;
    }
    *guard = fork();
    if (*guard == 0) {
        end_with(parent, "socktuned-guard");
        close_others(listening, ends[1]);
        reset_signals();
        run_guard(&(struct receiver_job){listening, ends[1], page});
    }
    (void)munmap(page, sizeof *page);
    (void)close(ends[1]);
    if (*guard > 0)
        return ends[0];
    (void)close(ends[0]);
    return -1;
}
