/* SPDX-License-Identifier: MIT */
/*
 * A policy compiled from rules that a test contains.
 */
#ifndef SOCKTUNE_TEST_COMPILED_H
#define SOCKTUNE_TEST_COMPILED_H

#include "compile.h"
#include "match.h"

struct compiled {
    void *blob;
    size_t size;
    struct policy policy;
};

/* Compile the rules; the test fails if they have an error. */
struct compiled compiled_from(const char *rules);

void compiled_free(struct compiled *compiled);

/* The sockinfo before connect() to an address ("192.0.2.1:80"). */
struct sockinfo sockinfo_connecting_to(const char *remote);

#endif
