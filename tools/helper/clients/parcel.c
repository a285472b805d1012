/* SPDX-License-Identifier: MIT */
#include "parcel.h"
#include "clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FDS_MAX (REGISTRATION_DESCRIPTORS + 1) /* including the pidfd */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

/* Which descriptors are in the message; they are sent in this order. */
#define HAS_FD(i) (1u << (i))
#define HAS_PIDFD (1u << REGISTRATION_DESCRIPTORS)

struct wire_head {
    struct parcel_head head;
    uint32_t has;
};

void parcel_refuse(struct parcel *parcel, enum drop drop, const char *why)
{
    parcel->head.kind = PARCEL_REFUSED;
    parcel->head.drop = drop;
    parcel->head.length = 0;
    snprintf(parcel->head.why, sizeof parcel->head.why, "%s", why != NULL ? why : "");
}

static size_t put_descriptors(const struct parcel *parcel, union control *control, uint32_t *has)
{
    int fds[FDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < REGISTRATION_DESCRIPTORS; i++)
        if (parcel->fds[i] >= 0) {
            fds[count++] = parcel->fds[i];
            *has |= HAS_FD(i);
        }
    if (parcel->pidfd >= 0) {
        fds[count++] = parcel->pidfd;
        *has |= HAS_PIDFD;
    }
    if (count == 0)
        return 0;
    control->header.cmsg_level = SOL_SOCKET;
    control->header.cmsg_type = SCM_RIGHTS;
    control->header.cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(&control->header), fds, count * sizeof(int));
    return CMSG_SPACE(count * sizeof(int));
}

bool parcel_send(int to, const struct parcel *parcel, int patience_ms)
{
    struct wire_head head = {.head = parcel->head};
    union control control = {.bytes = {0}};
    size_t control_size = put_descriptors(parcel, &control, &head.has);
    struct iovec parts[] = {{&head, sizeof head}, {(void *)&parcel->body, parcel->head.length}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control_size > 0 ? &control : NULL,
                             .msg_controllen = control_size};
    struct pollfd room = {.fd = to, .events = POLLOUT};
    const uint64_t end = now_monotonic() + (uint64_t)patience_ms * MILLISECOND;
    do {
        if (sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return true;
        /* the timer of deferred_close.h interrupts calls */
        if (errno != EAGAIN && errno != EINTR)
            return false;
        (void)poll(&room, 1, patience_ms);
    } while (now_monotonic() < end);
    return false;
}

static void take_descriptors(struct parcel *parcel, struct msghdr *message, uint32_t has)
{
    const struct cmsghdr *part = CMSG_FIRSTHDR(message);
    int fds[FDS_MAX];
    size_t count = 0, at = 0;
    if (part != NULL && part->cmsg_type == SCM_RIGHTS)
        count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    if (count > 0)
        memcpy(fds, CMSG_DATA(part), count * sizeof(int));
    for (size_t i = 0; i < REGISTRATION_DESCRIPTORS; i++)
        parcel->fds[i] = (has & HAS_FD(i)) != 0 && at < count ? fds[at++] : -1;
    parcel->pidfd = (has & HAS_PIDFD) != 0 && at < count ? fds[at++] : -1;
}

bool parcel_receive(int from, struct parcel *parcel)
{
    struct wire_head head;
    union control control;
    struct iovec parts[] = {{&head, sizeof head}, {&parcel->body, sizeof parcel->body}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t length;
    do
        length = recvmsg(from, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length < (ssize_t)sizeof head)
        return false;
    parcel->head = head.head;
    take_descriptors(parcel, &message, head.has);
    return true;
}

void parcel_close(struct parcel *parcel)
{
    for (size_t i = 0; i < REGISTRATION_DESCRIPTORS; i++) {
        if (parcel->fds[i] >= 0)
            (void)close(parcel->fds[i]);
        parcel->fds[i] = -1;
    }
    if (parcel->pidfd >= 0)
        (void)close(parcel->pidfd);
    parcel->pidfd = -1;
}
