/* SPDX-License-Identifier: MIT */
/*
 * A policy made from rules that stand in the test.
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

#endif
