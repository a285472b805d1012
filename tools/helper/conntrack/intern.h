/* SPDX-License-Identifier: MIT */
/*
 * Strings that many connections share: stored once, reference-counted, freed with the last
 * reference.
 */
#ifndef SOCKTUNE_HELPER_INTERN_H
#define SOCKTUNE_HELPER_INTERN_H

#include <stddef.h>

/* A set of strings; initially {0}. */
struct intern {
    struct intern_name *names;
    size_t memory; /* bytes */
};

/* Returns the single copy of `text` and adds a reference; NULL if there is no memory. */
const char *intern_hold(struct intern *set, const char *text);

/* Drop a reference. `text` is from intern_hold(); NULL does nothing. */
void intern_release(struct intern *set, const char *text);

/* Free all strings, whatever their references. */
void intern_clear(struct intern *set);

#endif
