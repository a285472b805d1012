/* SPDX-License-Identifier: MIT */
/*
 * Results and errno of each call that socktune interposes: errno is kept by calls that succeed, and
 * is the kernel's for calls that fail, on all kinds of sockets; accept() without an address; a
 * descriptor of 0.
 */
#include "host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/un.h>

#define MARK 4242

/* Print the outcome of a call: its result (for a descriptor, only that it is one) and errno. */
static int outcome(const char *what, int result)
{
    say("%s: %s errno %d\n", what, result < 0 ? "failed" : "done", errno);
    errno = MARK;
    return result;
}

static void sockets_of_all_kinds(void)
{
    static const struct {
        const char *name;
        int domain, type, protocol;
    } kinds[] = {
        {"tcp", AF_INET, SOCK_STREAM, 0},
        {"tcp, named", AF_INET, SOCK_STREAM, IPPROTO_TCP},
        {"tcp, flags", AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0},
        {"tcp6", AF_INET6, SOCK_STREAM, 0},
        {"udp", AF_INET, SOCK_DGRAM, 0},
        {"udp6, flags", AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0},
        {"raw", AF_INET, SOCK_RAW, IPPROTO_ICMP},
        {"raw, no protocol", AF_INET, SOCK_RAW, 0},
        {"ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
        {"unix stream", AF_UNIX, SOCK_STREAM, 0},
        {"unix datagram", AF_UNIX, SOCK_DGRAM, 0},
        {"unix seqpacket", AF_UNIX, SOCK_SEQPACKET, 0},
        {"netlink", AF_NETLINK, SOCK_RAW, 0},
        {"packet", AF_PACKET, SOCK_DGRAM, 0},
        {"no such family", 999, SOCK_STREAM, 0},
        {"no such type", AF_INET, 77, 0},
        {"type and protocol disagree", AF_INET, SOCK_STREAM, IPPROTO_UDP},
        {"negative", -1, -1, -1},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        errno = MARK;
        int fd = socket(kinds[i].domain, kinds[i].type, kinds[i].protocol);
        outcome(kinds[i].name, fd);
        if (fd >= 0) {
            say("  descriptor %d flags %d %d\n", fd, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
            close(fd);
        }
    }
}

static void calls_that_succeed(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof address;
    int on = 1;
    errno = MARK;
    int listener = outcome("socket", socket(AF_INET, SOCK_STREAM, 0));
    outcome("setsockopt", setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    outcome("bind", bind(listener, (struct sockaddr *)&address, sizeof address));
    outcome("listen", listen(listener, 8));
    outcome("listen again", listen(listener, 9));
    check(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    for (int round = 0; round < 4; round++) {
        int client = outcome("socket", socket(AF_INET, SOCK_STREAM, 0));
        outcome("connect", connect(client, (struct sockaddr *)&address, sizeof address));
        outcome("connect again", connect(client, (struct sockaddr *)&address, sizeof address));
        length = sizeof peer;
        int server = -1;
        switch (round) {
        case 0:
            server = accept(listener, NULL, NULL);
            break;
        case 1:
            server = accept(listener, (struct sockaddr *)&peer, &length);
            check(length == sizeof peer && peer.sin_family == AF_INET);
            break;
        case 2:
            server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
            check(fcntl(server, F_GETFD) == FD_CLOEXEC && fcntl(server, F_GETFL) & O_NONBLOCK);
            break;
        default:
            /* Room for only a part of the address: the kernel truncates it and returns its true
             * length. */
            memset(&peer, 0x55, sizeof peer);
            length = 4;
            server = accept4(listener, (struct sockaddr *)&peer, &length, 0);
            check(length == sizeof peer && peer.sin_addr.s_addr == 0x55555555);
        }
        outcome("accept", server);
        say("  client %d server %d\n", client, server);
        close(client);
        close(server);
    }
    close(listener);
}

static void calls_that_fail(void)
{
    struct sockaddr_in address;
    int on = 1;
    int listener = listen_on_loopback(&address, 1);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    errno = MARK;
    outcome("bind -1", bind(-1, (struct sockaddr *)&address, sizeof address));
    outcome("listen -1", listen(-1, 1));
    outcome("accept -1", accept(-1, NULL, NULL));
    outcome("connect -1", connect(-1, (struct sockaddr *)&address, sizeof address));
    outcome("setsockopt -1", setsockopt(-1, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on));
    outcome("connect, no address", connect(client, NULL, 0));
    outcome("connect, bad pointer", connect(client, (struct sockaddr *)8, sizeof address));
    outcome("connect, huge length", connect(client, (struct sockaddr *)&address, 100000));
    outcome("connect, short", connect(client, (struct sockaddr *)&address, 3));
    outcome("bind, bad pointer", bind(client, (struct sockaddr *)8, sizeof address));
    outcome("bind, no address", bind(client, NULL, 0));
    outcome("bind, taken", bind(client, (struct sockaddr *)&address, sizeof address));
    outcome("setsockopt, bad pointer",
            setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, (void *)8, sizeof on));
    outcome("setsockopt, no value", setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, NULL, 0));
    outcome("setsockopt, unknown", setsockopt(client, 123, 456, &on, sizeof on));
    outcome("accept, no listener", accept(client, NULL, NULL));
    outcome("accept4, bad flags", accept4(listener, NULL, NULL, 0x1000));
    outcome("accept4, none there", accept4(client, NULL, NULL, SOCK_NONBLOCK));
    int waiting = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    check(listen(waiting, 1) == 0);
    errno = MARK;
    outcome("accept, nobody there", accept(waiting, NULL, NULL));
    close(waiting);
    outcome("listen, stdin", listen(STDIN_FILENO, 1));
    outcome("connect, nonblocking", connect(client, (struct sockaddr *)&address, sizeof address));
    close(client);
    close(listener);
    client = socket(AF_INET, SOCK_STREAM, 0);
    errno = MARK;
    outcome("connect, refused", connect(client, (struct sockaddr *)&address, sizeof address));
    close(client);
}

/* The last `size` bytes of a page that is followed by unmapped memory. */
static char *end_of_memory(size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(pages != MAP_FAILED && munmap(pages + page, page) == 0);
    return pages + page - size;
}

/* Pointers to memory that is not mapped, or ends too early. */
static void addresses_that_are_not_there(void)
{
    struct sockaddr_in address;
    int listener = listen_on_loopback(&address, 4), on = 1;
    const struct {
        const char *name;
        size_t there;
    } rows[] = {{"nothing", 0}, {"the family", 2}, {"half", 8}, {"all", sizeof address}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *at = end_of_memory(rows[i].there);
        struct sockaddr *given = (struct sockaddr *)at;
        struct msghdr message = {.msg_name = at, .msg_namelen = sizeof address};
        memcpy(at, &address, rows[i].there);
        int client = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
        errno = MARK;
        outcome(rows[i].name, bind(other, given, sizeof address));
        outcome("sendto", (int)sendto(other, "x", 1, MSG_FASTOPEN, given, sizeof address));
        outcome("sendmsg", (int)sendmsg(other, &message, MSG_FASTOPEN));
        outcome("connect", connect(client, given, sizeof address));
        outcome("sendmsg", (int)sendmsg(other, (struct msghdr *)at, MSG_FASTOPEN));
        outcome("sendmmsg", sendmmsg(other, (struct mmsghdr *)at, 1, MSG_FASTOPEN));
        outcome("setsockopt",
                setsockopt(client, IPPROTO_TCP, TCP_KEEPIDLE, at + rows[i].there, sizeof on));
        close(client);
        close(other);
    }
    close(listener);
}

static void other_families(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct sockaddr_in nobody = {.sin_family = AF_UNSPEC};
    struct sockaddr_in address;
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof peer;
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "host-errnos-%d", (int)getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    errno = MARK;
    outcome("unix bind", bind(listener, (struct sockaddr *)&name, sizeof name));
    outcome("unix listen", listen(listener, 4));
    int client = outcome("unix socket", socket(AF_UNIX, SOCK_STREAM, 0));
    outcome("unix connect", connect(client, (struct sockaddr *)&name, sizeof name));
    int server = outcome("unix accept", accept(listener, (struct sockaddr *)&peer, &length));
    check(peer.ss_family == AF_UNIX);
    say("unix peer length %u descriptor %d\n", (unsigned)length, server);
    say("unix priority %d\n", option_of(server, SOL_SOCKET, SO_PRIORITY));
    close(server);
    close(client);
    close(listener);

    listener = listen_on_loopback(&address, 4);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    errno = MARK;
    outcome("udp connect", connect(udp, (struct sockaddr *)&address, sizeof address));
    outcome("udp disconnect", connect(udp, (struct sockaddr *)&nobody, sizeof nobody));
    outcome("udp connect again", connect(udp, (struct sockaddr *)&address, sizeof address));
    close(udp);
    client = connect_to(&address);
    errno = MARK;
    outcome("tcp disconnect", connect(client, (struct sockaddr *)&nobody, sizeof nobody));
    outcome("tcp reconnect", connect(client, (struct sockaddr *)&address, sizeof address));
    say_options("reconnected", client);
    close(client);
    close(listener);
}

/* If no descriptor is open, a program's first one is 0, which is valid. */
static void descriptor_zero(void)
{
    struct sockaddr_in address;
    int kept = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 50);
    close(STDIN_FILENO);
    int listener = listen_on_loopback(&address, 4);
    check(listener == 0);
    say_options("zero.listen", 0);
    listener = fcntl(listener, F_DUPFD_CLOEXEC, 60);
    close(0);
    check(connect_to(&address) == 0);
    say_options("zero.connect", 0);
    close(0);
    int client = fcntl(connect_to(&address), F_DUPFD_CLOEXEC, 70);
    close(0);
    int gone = accept(listener, NULL, NULL);
    check(gone == 0);
    close(gone);
    check(accept4(listener, NULL, NULL, SOCK_CLOEXEC) == 0);
    say_options("zero.accept", 0);
    close(client);
    close(listener);
    check(dup2(kept, STDIN_FILENO) == 0);
    close(kept);
}

int main(void)
{
    sockets_of_all_kinds();
    calls_that_succeed();
    calls_that_fail();
    addresses_that_are_not_there();
    other_families();
    descriptor_zero();
    say_descriptors("end");
    return 0;
}
