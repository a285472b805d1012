/* SPDX-License-Identifier: MIT */
/*
 * Strings that many connections share: kept once, counted, gone with the last that uses them.
 */
#ifndef SOCKTUNE_HELPER_INTERN_H
#define SOCKTUNE_HELPER_INTERN_H

#include <stddef.h>

/* A set of strings; begins as {0}. */
struct intern {
    struct intern_name *names;
    size_t memory; /* bytes */
};

/* The one copy of `text`, held once more; NULL without memory. */
const char *intern_hold(struct intern *set, const char *text);

/* One hold less. `text` is what intern_hold() returned; NULL does nothing. */
void intern_release(struct intern *set, const char *text);

/* Forget all, whoever holds them. */
void intern_clear(struct intern *set);

#endif
