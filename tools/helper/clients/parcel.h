/* SPDX-License-Identifier: MIT */
/*
 * What the receiver (receiver.h) sends to the helper about one client: a message with safe
 * descriptors, the reading of a handed-over connection, or why the client was refused. Parcels go
 * over a SOCK_SEQPACKET socket between two processes of the same program, so structs are sent as
 * they are.
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
    PARCEL_HANDOFF,      /* `handoff`; if `why` is "", also `reading` */
    PARCEL_REFUSED       /* `drop` and `why` */
};

#define PARCEL_WHY_SIZE 128u

struct parcel_head {
    enum parcel_kind kind;
    struct ucred who;
    uint64_t netns; /* of the client's socket */
    enum drop drop;
    char why[PARCEL_WHY_SIZE]; /* "": no error */
    uint32_t length;           /* bytes after this head */
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
    int fds[REGISTRATION_DESCRIPTORS]; /* of a registration or attachment; -1: none */
    int pidfd;                         /* -1: none */
};

/* Set kind, drop and reason. `why` NULL becomes "". */
void parcel_refuse(struct parcel *parcel, enum drop drop, const char *why);

/* Send a parcel. The descriptors stay the caller's. Waits up to `patience_ms` for room. False if it
 * could not be sent. */
bool parcel_send(int to, const struct parcel *parcel, int patience_ms);

/* Receive a parcel without waiting. The caller owns its descriptors. False if there is none. */
bool parcel_receive(int from, struct parcel *parcel);

/* Close all descriptors of the parcel. */
void parcel_close(struct parcel *parcel);

#endif
