/* SPDX-License-Identifier: MIT */
/*
 * A program that restricts itself with seccomp to the calls that it makes: socket, connect, accept,
 * accept4, read, write, sendmsg, close, exit_group. A child that was forked before reads the
 * options of the sockets, which are passed to it.
 *
 * sandbox errno|kill: the filter's action for all other system calls.
 */
#include "host.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ALLOW(number)                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                           \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void confine(bool kill)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_socket),
        ALLOW(SYS_connect),
#ifdef SYS_accept
        ALLOW(SYS_accept),
#endif
        ALLOW(SYS_accept4),
        ALLOW(SYS_read),
        ALLOW(SYS_write),
        ALLOW(SYS_sendmsg),
        ALLOW(SYS_close),
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K,
                 kill ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | (ENOSYS & SECCOMP_RET_DATA)),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* Send a descriptor and its label to the inspector. Under the filter: only sendmsg(). */
static void show(int inspector, char *name, int fd)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec text = {.iov_base = name, .iov_len = strlen(name) + 1};
    struct msghdr message = {.msg_iov = &text,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    if (sendmsg(inspector, &message, 0) != (ssize_t)text.iov_len) {
        _exit(2);
    }
}

/* Print the options of each socket received, until the sender closes. */
static void inspect(int from)
{
    for (;;) {
        char name[32];
        union {
            struct cmsghdr header;
            char room[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec text = {.iov_base = name, .iov_len = sizeof name};
        struct msghdr message = {.msg_iov = &text,
                                 .msg_iovlen = 1,
                                 .msg_control = &control,
                                 .msg_controllen = sizeof control};
        ssize_t got = recvmsg(from, &message, 0);
        if (got == 0) {
            _exit(0);
        }
        check(got > 0 && message.msg_controllen >= CMSG_LEN(sizeof(int)));
        int fd;
        memcpy(&fd, CMSG_DATA(&control.header), sizeof fd);
        say_options(name, fd);
        close(fd);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;
    int pair[2];
    int status = 0;
    check(argc == 2);
    alarm(30);
    check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
    pid_t inspector = fork();
    check(inspector >= 0);
    if (inspector == 0) {
        close(pair[0]);
        inspect(pair[1]);
    }
    close(pair[1]);
    int listener = listen_on_loopback(&address, 8);
    int before = connect_to(&address);
    int accepted_before = accept(listener, NULL, NULL);
    check(accepted_before >= 0);
    show(pair[0], (char[]){"before.connect"}, before);
    show(pair[0], (char[]){"before.accept"}, accepted_before);

    /* The child is confined, so that the parent can see how it ended. */
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        confine(strcmp(argv[1], "kill") == 0);
        errno = 0;
        int client = socket(AF_INET, SOCK_STREAM, 0);
        if (client < 0 || errno != 0 ||
            connect(client, (struct sockaddr *)&address, sizeof address) != 0 || errno != 0) {
            _exit(3);
        }
        int server = accept(listener, NULL, NULL);
        if (server < 0 || errno != 0) {
            _exit(4);
        }
        char byte = 'x';
        if (write(client, &byte, 1) != 1 || read(server, &byte, 1) != 1) {
            _exit(5);
        }
        show(pair[0], (char[]){"confined.connect"}, client);
        show(pair[0], (char[]){"confined.accept"}, server);
        _exit(0);
    }
    check(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) {
        fail("killed by signal %d\n", WTERMSIG(status));
    }
    say("confined: ended with %d\n", WEXITSTATUS(status));
    close(pair[0]);
    check(waitpid(inspector, &status, 0) == inspector);
    check(status == 0);
    return 0;
}
