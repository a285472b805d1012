/* SPDX-License-Identifier: MIT */
/*
 * sock_diag(7) of one network namespace, through one netlink socket: lookups by cookie, dumps, and
 * the kernel's multicast destroy events of TCP sockets and, on request, of UDP sockets.
 *
 * The socket may come from a program that keeps a duplicate. That program can block or lose
 * messages, which harms only its own reports. It cannot forge messages: those that the kernel did
 * not send are ignored. No function here blocks.
 */
#ifndef SOCKTUNE_SOCK_DIAG_H
#define SOCKTUNE_SOCK_DIAG_H

#include "flow.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SOCK_DIAG_BATCH 32u /* lookups per system call; more are not faster */

enum sock_diag_event {
    SOCK_DIAG_FOUND,    /* a socket, from a lookup or a dump */
    SOCK_DIAG_MISSING,  /* a lookup found nothing; only `target` is set */
    SOCK_DIAG_DESTROYED /* a socket was destroyed; state and tcp_info are its last */
};

/* Identifies a socket by its cookie and flow. */
struct sock_diag_target {
    uint64_t cookie;
    struct flow flow;
    uint32_t ifindex;
    bool any_cookie; /* in a lookup: accept any TCP socket with these ends; it may be a listener */
    bool udp;        /* the protocol is UDP */
};

struct sock_diag_answer {
    enum sock_diag_event event;
    bool mptcp; /* the socket's protocol is MPTCP */
    struct sock_diag_target target;
    unsigned state;
    uid_t uid;
    bool owned;             /* some process has it open, so `uid` is valid */
    uint32_t receive_queue; /* listeners: connections that wait for accept(), and the limit
                               (send_queue) */
    uint32_t
        send_queue; /* others: bytes unread (receive_queue), and not acknowledged by the peer */
    const uint8_t *info; /* NULL: none. Valid during the call. */
    size_t info_length;
    const char *congestion; /* NULL: none */
    uint32_t
        drops; /* listener: connections dropped since its creation; datagram socket: datagrams */
    uint64_t inode;         /* inode in /proc/PID/fd; 0: no process has it open */
    uint8_t timer;          /* enum sock_diag_timer: the running timer */
    const uint32_t *memory; /* SK_MEMINFO_VARS numbers (linux/sock_diag.h); NULL: none. Valid during
                               the call. */
};

/* The timers of a socket, numbered as in the kernel (inet_diag_msg.idiag_timer). */
enum sock_diag_timer {
    SOCK_DIAG_TIMER_NONE,
    SOCK_DIAG_TIMER_RETRANSMIT,
    SOCK_DIAG_TIMER_KEEPALIVE,
    SOCK_DIAG_TIMER_TIME_WAIT,
    SOCK_DIAG_TIMER_PROBE /* zero-window probe */
};

typedef void sock_diag_take(void *context, const struct sock_diag_answer *answer);

struct sock_diag;

/* Open a socket in our own network namespace. -1 with errno. */
int sock_diag_socket(void);

/* Check a received descriptor. Returns NULL if sock_diag_open() can use it, otherwise what is
 * wrong. `netns` becomes the cookie of its network namespace. */
const char *sock_diag_check(int fd, uint64_t *netns);

/* Join the destroy groups. Takes ownership of the descriptor, even on an error: NULL with errno. */
struct sock_diag *sock_diag_open(int fd, sock_diag_take *take, void *context);
void sock_diag_close(struct sock_diag *diag);

int sock_diag_fd(const struct sock_diag *diag);

/* Returns the number of destroy events that fit into the receive buffer. */
size_t sock_diag_room(const struct sock_diag *diag);

/* Start or stop receiving the destroy events of UDP sockets. */
void sock_diag_watch_udp(struct sock_diag *diag, bool on);

/* Look up to SOCK_DIAG_BATCH sockets up, and pass on the answers and all destroy events that arrive
 * before. -1 if the socket has failed. */
int sock_diag_lookup(struct sock_diag *diag, const struct sock_diag_target *targets,
                     unsigned count);

/*
 * Begin a dump of the sockets of a family and protocol (IPPROTO_TCP, IPPROTO_MPTCP, IPPROTO_UDP) in
 * these states (bits of 1 << state). For TCP, AF_UNSPEC means both families, in half the time. The
 * answers come with sock_diag_read(); those of MPTCP have no `info`, which would be no tcp_info. -1
 * with errno; EBUSY while another dump is in progress.
 */
int sock_diag_dump(struct sock_diag *diag, uint8_t family, uint16_t protocol, uint32_t states);
bool sock_diag_is_dumping(const struct sock_diag *diag);

/* Read the messages that have arrived, at most about `limit`; if there are more, the descriptor
 * stays readable. Returns 1 if there may be more, else 0; -1 if the socket has failed. */
int sock_diag_read(struct sock_diag *diag, unsigned limit);

/* Returns the exact number of messages that the kernel could not deliver since the last call. */
uint64_t sock_diag_overruns(struct sock_diag *diag);

/* The same functions as a table, so that their callers can be tested without a kernel. */
struct sock_diag_ops {
    struct sock_diag *(*open)(int fd, sock_diag_take *take, void *context);
    void (*close)(struct sock_diag *diag);
    int (*fd)(const struct sock_diag *diag);
    size_t (*room)(const struct sock_diag *diag);
    void (*watch_udp)(struct sock_diag *diag, bool on);
    int (*lookup)(struct sock_diag *diag, const struct sock_diag_target *targets, unsigned count);
    int (*dump)(struct sock_diag *diag, uint8_t family, uint16_t protocol, uint32_t states);
    bool (*is_dumping)(const struct sock_diag *diag);
    int (*read)(struct sock_diag *diag, unsigned limit);
    uint64_t (*overruns)(struct sock_diag *diag);
};
extern const struct sock_diag_ops sock_diag_kernel;

#endif
