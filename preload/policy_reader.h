/* SPDX-License-Identifier: MIT */
/*
 * Reads from a policy file what this program needs: the front, and at most one part (policy.h).
 * Only for the constructor.
 *
 * A policy is read into private memory and never mapped from the file, since the file may be
 * truncated or overwritten while the program runs.
 */
#ifndef SOCKTUNE_POLICY_READER_H
#define SOCKTUNE_POLICY_READER_H

#include "own_executable.h"
#include "policy.h"

struct policy_reader {
    int fd;
    size_t size; /* of the file */
    struct policy front;
    void *mapped; /* the front, if it does not fit into `first`; else NULL */
    size_t have;  /* bytes in `first` */
    uint8_t first[4096] __attribute__((aligned(8)));
};

/* Read the beginning of the open file. True if it begins like a policy. */
bool policy_reader_start(struct policy_reader *reader, int fd, uint64_t size);

/* Check the front and fill reader->front, which lives as long as the reader. Returns NULL, or what
 * is wrong (a static text). */
const char *policy_reader_check(struct policy_reader *reader);

/*
 * Load the rules that could be for this program. Call it after policy_reader_check(). `policy` is
 * in a private mapping. *extra points behind it (aligned to 8), to zeroed memory for the caller: at
 * least four bytes for each rule and two for each option. If no rule could be for the program,
 * nothing is mapped: policy->blob is NULL and rule_count is 0. Returns NULL, or what is wrong.
 */
const char *policy_reader_take(struct policy_reader *reader, struct own_executable *executable,
                               struct policy *policy, void **extra);

/* Release the front. The caller closes the descriptor. */
void policy_reader_end(struct policy_reader *reader);

/* Make the mapping of policy_reader_take() read-only, including the caller's part of it. */
void policy_protect(const struct policy *policy);

/* Unmap what policy_reader_take() mapped. */
void policy_release(const struct policy *policy);

#endif
