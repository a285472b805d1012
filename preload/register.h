/* SPDX-License-Identifier: MIT */
/*
 * Registering with the helper: registration.h is the message.
 */
#ifndef SOCKTUNE_REGISTER_H
#define SOCKTUNE_REGISTER_H

#include "registration.h"
#include "ring.h"

#include <sys/un.h>

/* What is needed for registering at any time. Made once, in the constructor. */
struct register_plan {
    struct sockaddr_un helpers[2]; /* tried in order; sun_family 0: none */
    /* The message is `head`, with the pid put in, and then `names`. */
    struct registration head;
    uint32_t names_size;
    char names[REGISTRATION_SIZE_MAX - sizeof(struct registration)];
};

/*
 * Make a ring, hand it to the helper, and keep nothing but its mapping: in the place of `old`, or
 * anywhere if that is NULL. Returns it; NULL: there is no helper, or no room. A failure after the
 * old ring was replaced returns the new one with a heartbeat of 0. Never waits. Async-signal-safe;
 * changes errno.
 */
struct ring *register_ring(const struct register_plan *plan, struct ring *old, uint32_t pid,
                           uint64_t now_ns);

#endif
