/* SPDX-License-Identifier: MIT */
/*
 * One message of a client, with the descriptors that came with it: taken in, and closed again.
 */
#ifndef SOCKTUNE_HELPER_CLIENT_MESSAGE_H
#define SOCKTUNE_HELPER_CLIENT_MESSAGE_H

#include "registration.h"

#include <stdbool.h>
#include <stddef.h>

struct client_message {
    char bytes[REGISTRATION_SIZE_MAX];
    size_t length;
    int fds[REGISTRATION_DESCRIPTORS];
    unsigned fd_count;
    bool more; /* other or more ancillary data than these descriptors, or cut off */
};

/* Receive without waiting. -1 with errno. Descriptors for which there is no room are let go by the
 * kernel, which asks no file system about it. */
int client_message_receive(int fd, struct client_message *message);

/* May closing one of its descriptors block? */
bool client_message_may_block(const struct client_message *message);

/* Close all its descriptors. */
void client_message_close(struct client_message *message);

#endif
