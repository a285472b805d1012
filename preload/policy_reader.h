/* SPDX-License-Identifier: MIT */
/*
 * Reading of a policy file what this program needs of it: the front, and at most one part
 * (policy.h). For the constructor.
 *
 * A policy is read into private memory, never mapped from the file: the file may be cut short or
 * overwritten while the program runs.
 */
#ifndef SOCKTUNE_POLICY_READER_H
#define SOCKTUNE_POLICY_READER_H

#include "own_executable.h"
#include "policy.h"

struct policy_reader {
    int fd;
    size_t size; /* of the file */
    struct policy front;
    void *mapped; /* the front, where it does not fit into `first`; else NULL */
    size_t have;  /* bytes in `first` */
    uint8_t first[4096] __attribute__((aligned(8)));
};

/* Read the beginning of the open file. True if it begins as a policy does. */
bool policy_reader_start(struct policy_reader *reader, int fd, uint64_t size);

/* Check the front and fill reader->front, which lives as long as the reader. NULL, or what is
 * wrong. */
const char *policy_reader_check(struct policy_reader *reader);

/*
 * The rules that could be for this program, after policy_reader_check(). `policy` lies in a private
 * mapping, and behind it, at *extra (aligned to 8), lie zeros for the caller to use: six bytes for
 * each rule and option. Where no rule could be for the program, there is no mapping: policy->blob
 * is NULL and rule_count 0. NULL, or what is wrong.
 */
const char *policy_reader_take(struct policy_reader *reader, struct own_executable *executable,
                               struct policy *policy, void **extra);

/* Release the front. The descriptor is the caller's. */
void policy_reader_end(struct policy_reader *reader);

/* Make what policy_reader_take() gave read-only, with what the caller has put behind it. */
void policy_protect(const struct policy *policy);

/* Unmap what policy_reader_take() gave. */
void policy_release(const struct policy *policy);

#endif
