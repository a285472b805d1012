/* SPDX-License-Identifier: MIT */
/*
 * The sockets of a process, from /proc alone.
 */
#ifndef SOCKTUNE_PROCESS_SOCKETS_H
#define SOCKTUNE_PROCESS_SOCKETS_H

#include "process.h"

#include <sys/socket.h>

/* A descriptor of a process that is a socket, of whatever family. */
struct open_socket {
    uint64_t inode; /* the same for all descriptors of one socket, in whatever process */
    int fd;
    int first;  /* the lowest descriptor of the same socket */
    bool found; /* for the user of the list */
};

/* Those of one process: the descriptors of one socket side by side, and ordered by the lowest of
 * them. Release with open_sockets_free(). */
struct open_sockets {
    struct open_socket *items;
    size_t count, room;
    bool uring; /* among the descriptors is an io_uring */
};

/* List them. Returns 0, or -1 with errno: EACCES, ENOENT when there is no such process, ENOMEM. To
 * be freed in any case. */
int open_sockets_read(pid_t pid, struct open_sockets *open);
void open_sockets_free(struct open_sockets *open);

/* How many of the items from `first` on are descriptors of one socket. */
size_t descriptors_of_one(const struct open_sockets *open, size_t first);

/*
 * The remote address of a TCP socket by its inode, from /proc/PID/net: also of a connection that is
 * not established yet (SYN_SENT), of which getpeername(2) says nothing. IPv4 within an AF_INET6
 * socket is v4-mapped. Returns 0, or -1 if it is not found.
 */
int process_socket_remote(pid_t pid, uint64_t inode, struct sockaddr_storage *remote,
                          socklen_t *length);

/* Fill the members of `process` that are about its sockets; what may not be read is noted in
 * `unknown`. Returns 0, or -1 with errno when memory ends. */
int process_sockets_read(struct process *process);

#endif
