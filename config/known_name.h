/* SPDX-License-Identifier: MIT */
/* Names from other systems and programs, and what they are called in rules. Pure. */
#ifndef SOCKTUNE_KNOWN_NAME_H
#define SOCKTUNE_KNOWN_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* One row of known_names.def. */
struct known_name {
    const char *word;
    const char *here;    /* what it is called here, for "that is ... here"; NULL: nothing is */
    const char *why;     /* a clause that says so; NULL where `here` is not */
    bool criterion_only; /* meant only where a criterion is asked for */
};

/* The row for a word of `length` bytes; NULL if nothing is known. `criterion`: a criterion is asked
 * for. Of a sysctl, "net.ipv4.tcp_rmem", the last part counts; there is always a row for it. */
const struct known_name *known_name_find(const char *word, size_t length, bool criterion);

/* True for "net.ipv4.tcp_rmem" and "net/core/rmem_max". */
bool known_name_is_sysctl(const char *word, size_t length);

#endif
