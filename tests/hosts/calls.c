/* SPDX-License-Identifier: MIT */
/*
 * A program that makes exactly the requested calls, through libc like any program, and reports
 * their exact results; tests/support/host.py drives it.
 *
 * A request is one line: the call's name and its arguments, each a decimal number, bytes as `x` and
 * hexadecimal digits, or `-` for NULL. The answer is one line: the result, errno, and the returned
 * bytes in hexadecimal after an `x`. Before each call errno is set to a number that no call sets,
 * so the answer shows whether the call changed it. All calls are made by the main thread; the
 * program ends at the end of its input.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 6, BYTES_MAX = 512, ERRNO_UNTOUCHED = 4095 };

struct argument {
    long number;
    socklen_t length;
    unsigned char bytes[BYTES_MAX];
    int null;
};

/* What a call returned besides its result. */
struct delivery {
    socklen_t length;
    unsigned char bytes[BYTES_MAX];
    int present;
};

typedef long (*call)(const struct argument *with, struct delivery *delivery);

#define NUMBER(i)  ((int)with[i].number)
#define ADDRESS(i) ((const struct sockaddr *)with[i].bytes)

/* The buffer for an address that the caller passes: as large as requested, or NULL twice. */
static struct sockaddr *room(const struct argument *wanted, struct delivery *delivery)
{
    delivery->present = !wanted->null;
    delivery->length = (socklen_t)wanted->number;
    return wanted->null ? NULL : (struct sockaddr *)delivery->bytes;
}

static socklen_t *room_length(struct delivery *delivery)
{
    return delivery->present ? &delivery->length : NULL;
}

static long do_socket(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return socket(NUMBER(0), NUMBER(1), NUMBER(2));
}

static long do_bind(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return bind(NUMBER(0), ADDRESS(1), with[1].length);
}

static long do_connect(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return connect(NUMBER(0), ADDRESS(1), with[1].length);
}

static long do_listen(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return listen(NUMBER(0), NUMBER(1));
}

static long do_accept(const struct argument *with, struct delivery *delivery)
{
    struct sockaddr *address = room(&with[1], delivery);
    return accept(NUMBER(0), address, room_length(delivery));
}

static long do_accept4(const struct argument *with, struct delivery *delivery)
{
    struct sockaddr *address = room(&with[1], delivery);
    return accept4(NUMBER(0), address, room_length(delivery), NUMBER(2));
}

static long do_setsockopt(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return setsockopt(NUMBER(0), NUMBER(1), NUMBER(2), with[3].null ? NULL : with[3].bytes,
                      with[3].length);
}

static long do_getsockopt(const struct argument *with, struct delivery *delivery)
{
    struct sockaddr *value = room(&with[3], delivery);
    return getsockopt(NUMBER(0), NUMBER(1), NUMBER(2), value, &delivery->length);
}

static long do_getsockname(const struct argument *with, struct delivery *delivery)
{
    struct sockaddr *address = room(&with[1], delivery);
    return getsockname(NUMBER(0), address, &delivery->length);
}

static long do_send(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return send(NUMBER(0), with[1].bytes, with[1].length, 0);
}

static long do_sendto(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return sendto(NUMBER(0), with[1].bytes, with[1].length, NUMBER(2),
                  with[3].null ? NULL : ADDRESS(3), with[3].length);
}

/* One message for sendmsg() or sendmmsg(). */
static struct msghdr message_of(const struct argument *bytes, const struct argument *address,
                                struct iovec *data)
{
    *data = (struct iovec){.iov_base = (void *)bytes->bytes, .iov_len = bytes->length};
    return (struct msghdr){.msg_name = address->null ? NULL : (void *)address->bytes,
                           .msg_namelen = address->length,
                           .msg_iov = data,
                           .msg_iovlen = 1};
}

static long do_sendmsg(const struct argument *with, struct delivery *delivery)
{
    struct iovec data;
    struct msghdr message = message_of(&with[1], &with[3], &data);
    (void)delivery;
    return sendmsg(NUMBER(0), &message, NUMBER(2));
}

static long do_sendmmsg(const struct argument *with, struct delivery *delivery)
{
    struct iovec data;
    struct mmsghdr messages[1] = {{.msg_hdr = message_of(&with[1], &with[3], &data)}};
    (void)delivery;
    return sendmmsg(NUMBER(0), messages, 1, NUMBER(2));
}

static long do_recv(const struct argument *with, struct delivery *delivery)
{
    void *into = room(&with[1], delivery);
    ssize_t got = recv(NUMBER(0), into, (size_t)with[1].number, 0);
    delivery->length = got > 0 ? (socklen_t)got : 0;
    return got;
}

static long do_poll(const struct argument *with, struct delivery *delivery)
{
    struct pollfd asked = {.fd = NUMBER(0), .events = (short)with[1].number};
    (void)delivery;
    int ready = poll(&asked, 1, NUMBER(2));
    return ready > 0 ? asked.revents : ready;
}

static long do_fcntl(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return fcntl(NUMBER(0), NUMBER(1), NUMBER(2));
}

static long do_close(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return close(NUMBER(0));
}

static long do_dup2(const struct argument *with, struct delivery *delivery)
{
    (void)delivery;
    return dup2(NUMBER(0), NUMBER(1));
}

static void on_alarm(int number)
{
    (void)number;
}

/* Raise SIGALRM once after so many microseconds, without SA_RESTART, to interrupt the next call if
 * it blocks. */
static long do_alarm(const struct argument *with, struct delivery *delivery)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {
        .it_value = {.tv_sec = with[0].number / 1000000, .tv_usec = with[0].number % 1000000}};
    (void)delivery;
    return sigaction(SIGALRM, &action, NULL) || setitimer(ITIMER_REAL, &timer, NULL) ? -1 : 0;
}

static const struct {
    const char *name;
    int arguments;
    call run;
} calls[] = {
    {"socket", 3, do_socket},
    {"bind", 2, do_bind},
    {"connect", 2, do_connect},
    {"listen", 2, do_listen},
    {"accept", 2, do_accept},
    {"accept4", 3, do_accept4},
    {"setsockopt", 4, do_setsockopt},
    {"getsockopt", 4, do_getsockopt},
    {"getsockname", 2, do_getsockname},
    {"send", 2, do_send},
    {"sendto", 4, do_sendto},
    {"sendmsg", 4, do_sendmsg},
    {"sendmmsg", 4, do_sendmmsg},
    {"recv", 2, do_recv},
    {"poll", 3, do_poll},
    {"fcntl", 3, do_fcntl},
    {"close", 1, do_close},
    {"dup2", 2, do_dup2},
    {"alarm", 1, do_alarm},
};

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Returns 0, or -1 if the text is too long for an argument. */
static int read_argument(const char *text, struct argument *argument)
{
    memset(argument, 0, sizeof *argument);
    argument->null = strcmp(text, "-") == 0;
    if (text[0] != 'x') {
        argument->number = atol(text);
        return 0;
    }
    size_t length = strlen(++text) / 2;
    if (length > sizeof argument->bytes)
        return -1;
    for (size_t i = 0; i < length; i++)
        argument->bytes[i] = (unsigned char)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    argument->length = (socklen_t)length;
    return 0;
}

static void answer(long result, int error, const struct delivery *delivery)
{
    socklen_t length = delivery->length < BYTES_MAX ? delivery->length : BYTES_MAX;
    printf("%ld %d", result, error == ERRNO_UNTOUCHED ? 0 : error);
    if (delivery->present && result >= 0) {
        printf(" x");
        for (socklen_t i = 0; i < length; i++)
            printf("%02x", delivery->bytes[i]);
    }
    putchar('\n');
    fflush(stdout);
}

/* Carry out one request. Returns 0, or -1 if it is invalid. */
static int obey(char *line)
{
    struct argument arguments[ARGUMENTS_MAX];
    struct delivery delivery = {0};
    char *rest = NULL;
    const char *name = strtok_r(line, " \n", &rest);
    int count = 0;
    for (char *word; (word = strtok_r(NULL, " \n", &rest)); count++)
        if (count == ARGUMENTS_MAX || read_argument(word, &arguments[count]) != 0)
            return -1;
    for (size_t i = 0; name != NULL && i < sizeof calls / sizeof *calls; i++) {
        if (strcmp(name, calls[i].name) != 0 || count != calls[i].arguments)
            continue;
        errno = ERRNO_UNTOUCHED;
        long result = calls[i].run(arguments, &delivery);
        answer(result, errno, &delivery);
        return 0;
    }
    return -1;
}

int main(void)
{
    static char line[4 * BYTES_MAX];
    while (fgets(line, sizeof line, stdin) != NULL)
        if (obey(line) != 0) {
            fprintf(stderr, "calls: not a call: %s\n", line);
            return 2;
        }
    return 0;
}
