/* SPDX-License-Identifier: MIT */
/*
 * What handing over connections assumes about the kernel: the network namespace of an accepted Unix
 * socket, what interrupts the close() of a socket that lingers, and that MPTCP returns TCP_INFO.
 */
#include "sockets.h"

#include "compat.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t netns_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length), 0, "%s",
                 strerror(errno));
    return cookie;
}

/* Enter a new network namespace, connect, and send the namespace's cookie. Returns 2 if no
 * namespace can be created. */
static int connect_from_elsewhere(const struct sockaddr_un *helper)
{
    uint64_t own;
    int fd;
    if (unshare(CLONE_NEWNET) != 0)
        return 2;
    fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)helper, sizeof *helper) != 0)
        return 1;
    own = netns_of(fd);
    return write(fd, &own, sizeof own) == (ssize_t)sizeof own ? 0 : 1;
}

/* How the helper finds the namespace of a program that has no sock_diag. */
Test(handoff, accepted_unix_socket_is_in_the_namespace_of_who_connected)
{
    struct sockaddr_un helper = {.sun_family = AF_UNIX};
    char directory[] = "/tmp/socktune-platform-XXXXXX";
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0), accepted, status;
    uint64_t told;
    pid_t child;
    cr_assert_not_null(mkdtemp(directory));
    snprintf(helper.sun_path, sizeof helper.sun_path, "%s/socket", directory);
    cr_assert_eq(bind(listener, (struct sockaddr *)&helper, sizeof helper), 0);
    cr_assert_eq(listen(listener, 1), 0);
    child = fork();
    if (child == 0)
        _exit(connect_from_elsewhere(&helper));
    cr_assert_eq(waitpid(child, &status, 0), child);
    unlink(helper.sun_path);
    rmdir(directory);
    if (WEXITSTATUS(status) == 2)
        cr_skip("no network namespace can be made");
    cr_assert_eq(status, 0);
    accepted = accept(listener, NULL, NULL);
    cr_assert_eq(read(accepted, &told, sizeof told), (ssize_t)sizeof told);
    cr_expect_eq(netns_of(accepted), told);
    cr_expect_neq(netns_of(listener), told);
    close(accepted);
    close(listener);
}

static void wake(int number)
{
    (void)number;
}

/* The close() of another process's socket may wait for its data; a signal interrupts that. */
Test(handoff, signal_ends_a_close_that_lingers)
{
    const struct linger linger = {1, 60};
    const struct sigaction action = {.sa_handler = wake, .sa_flags = SA_RESTART};
    const struct itimerval soon = {{0, 50000}, {0, 50000}}, never = {{0, 0}, {0, 0}};
    static char data[65536];
    struct timespec before, after;
    int pair[2];
    open_pair(transport_named("tcp4"), pair);
    set_int(pair[1], SOL_SOCKET, SO_RCVBUF, 4096);
    cr_assert_eq(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    while (write(pair[0], data, sizeof data) > 0)
        continue;
    cr_assert_eq(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    cr_assert_eq(sigaction(SIGALRM, &action, NULL), 0);
    cr_assert_eq(setitimer(ITIMER_REAL, &soon, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &before);
    close(pair[0]);
    clock_gettime(CLOCK_MONOTONIC, &after);
    cr_assert_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    cr_expect_lt(after.tv_sec - before.tv_sec, 30, "it would wait for 60 s");
    close(pair[1]);
}

Test(handoff, mptcp_tells_tcp_info_of_a_path)
{
    const struct transport *mptcp = transport_named("mptcp4");
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    int pair[2];
    if (!transport_exists(mptcp))
        cr_skip("no MPTCP");
    open_pair(mptcp, pair);
    cr_assert_eq(getsockopt(pair[0], IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    cr_expect_eq(info.tcpi_state, TCP_ESTABLISHED);
    close(pair[0]);
    close(pair[1]);
}
