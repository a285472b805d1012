/* SPDX-License-Identifier: MIT */
/*
 * A connection that a program has handed over (struct handoff of preload/wire/registration.h). It
 * is checked, read, and closed at once: as long as it is open here, the program's close() does not
 * end the connection.
 */
#ifndef SOCKTUNE_HELPER_HANDOFF_H
#define SOCKTUNE_HELPER_HANDOFF_H

#include "connections.h"
#include "registration.h"

#define HANDOFF_OPTIONS_ROOM 4096u /* bytes; the whole table takes about 600 */

/* What was read from the connection. */
struct handoff_reading {
    uint64_t netns; /* 0: unknown */
    uid_t owner;
    uint8_t state;
    size_t info_length;
    uint8_t info[CONNECTION_INFO_ROOM];
    char congestion[CONGESTION_NAME_SIZE];
    size_t options_length; /* in the format of struct connection_options */
    uint8_t options[HANDOFF_OPTIONS_ROOM];
};

/* True if the first bytes are those of a handoff message. Pure. */
bool handoff_is(const void *message, size_t size);

/* Check a whole message. Returns NULL, or a static English phrase that says what is wrong. Pure;
 * `message` need not be aligned. */
const char *handoff_parse(const void *message, size_t size, struct handoff *handoff);

/* Check that `fd` is the connection of the record, and read it. Only makes system calls. Returns
 * like handoff_parse(). The descriptor stays the caller's. */
const char *handoff_read(int fd, const struct record *record, struct handoff_reading *handed);

#endif
