/* SPDX-License-Identifier: MIT */
/*
 * Receives one message of a client with its descriptors, and closes them.
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
    bool more; /* other or more ancillary data than these descriptors, or truncated */
};

/* Receive without waiting. -1 with errno. The kernel releases descriptors for which there is no
 * room, without calling their file systems. */
int client_message_receive(int fd, struct client_message *message);

/* True if closing one of the message's descriptors may block. */
bool client_message_may_block(const struct client_message *message);

/* Close all descriptors of the message. */
void client_message_close(struct client_message *message);

#endif
