/* SPDX-License-Identifier: MIT */
/*
 * What the receiver (receiver.h) tells the helper of one client: a message whose descriptors are
 * safe to hold, what was read of a handed-over connection, or why the client was refused. It goes
 * over a SOCK_SEQPACKET socket between two processes of one program, so structs go as they are.
 */
#ifndef SOCKTUNE_HELPER_PARCEL_H
#define SOCKTUNE_HELPER_PARCEL_H

#include "counts.h"
#include "handoff.h"
#include "registration.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum parcel_kind {
    PARCEL_REGISTRATION, /* `message`, with its descriptors */
    PARCEL_ATTACHMENT,   /* likewise */
    PARCEL_HANDOFF,      /* `handoff`; where `why` is "", `reading` too */
    PARCEL_REFUSED       /* `drop` and `why` */
};

#define PARCEL_WHY_SIZE 128u

struct parcel_head {
    enum parcel_kind kind;
    struct ucred who;
    uint64_t netns; /* of the client's socket */
    enum drop drop;
    char why[PARCEL_WHY_SIZE]; /* "": nothing is wrong */
    uint32_t length;           /* bytes of what follows */
};

struct parcel {
    struct parcel_head head;
    union {
        char message[REGISTRATION_SIZE_MAX];
        struct {
            struct handoff handoff;
            struct handoff_reading reading;
        } handed;
    } body;
    int fds[REGISTRATION_DESCRIPTORS]; /* of a registration; -1: none */
    int pidfd;                         /* -1: none */
};

/* Set kind, drop and reason; `why` NULL is "". */
void parcel_refuse(struct parcel *parcel, enum drop drop, const char *why);

/* Send one; the descriptors stay the caller's. Waits up to `patience_ms` for room. False: it could
 * not be sent. */
bool parcel_send(int to, const struct parcel *parcel, int patience_ms);

/* Receive one, without waiting. Its descriptors become the caller's. False: there is none. */
bool parcel_receive(int from, struct parcel *parcel);

/* Close all its descriptors. */
void parcel_close(struct parcel *parcel);

#endif
