/* SPDX-License-Identifier: MIT */
/*
 * Giving an open socket what the rules say: the outside's counterpart of preload/tune.h. What a
 * socket has already is not set again; what was set, and what could not be and why, is told.
 */
#ifndef SOCKTUNE_RETUNE_H
#define SOCKTUNE_RETUNE_H

#include "apply.h"
#include "describe.h"
#include "value.h"

/* A policy made ready for many sockets. Release with retuner_free(). */
struct retuner {
    const struct policy *policy;
    struct expectation *expected; /* by action: what getsockopt() answers once it is set */
    bool wants_fresh;             /* a `default` is among the rules */
    bool dry_run;                 /* tell what would be done, and do nothing */
};

enum retuned {
    RETUNED_CHANGED,
    RETUNED_SAME,   /* it had that value */
    RETUNED_KEPT,   /* a `default`, and the program has set the option itself */
    RETUNED_BLIND,  /* given, but the kernel does not tell what it had or has */
    RETUNED_FAILED, /* `late` or `error` tells why */
    RETUNED_COUNT
};

/* What became of one option. */
struct retuned_option {
    uint32_t action; /* index into policy->actions */
    enum retuned result;
    int error;                  /* RETUNED_FAILED: errno of setsockopt; 0: see `late` */
    const char *late;           /* why it cannot be set on this socket any more; NULL otherwise */
    bool unset;                 /* a buffer that nobody had sized: the kernel chose `before` */
    struct value before, after; /* as getsockopt() has them; empty: not told. After a dry run
                                   `after` is what is to be expected */
};

/* What became of a socket, in the order of setting. Large: allocate it before borrowing. */
struct retuned_socket {
    struct retuned_option options[POLICY_OPTIONS_MAX];
    uint32_t count;
};

/* Returns 0, or -1 with errno when memory ends. Borrows `policy`. */
int retuner_make(struct retuner *retuner, const struct policy *policy, bool dry_run);

void retuner_free(struct retuner *retuner);

/*
 * Match an observed socket against the active rules and give it what is missing. `fresh` is what a
 * fresh socket of its kind has (by policy->options), with which a `default` compares; NULL: that is
 * not known, and a `default` changes nothing but what autotuning chose. Makes system calls on `fd`
 * and nothing else.
 */
void retune(int fd, const struct observed *observed, const struct default_value *fresh,
            const struct retuner *retuner, const struct active *active,
            struct retuned_socket *result);

/* Why RETUNED_FAILED, and what would be needed: one line, no full stop. */
void retuned_reason(const struct policy *policy, const struct retuned_option *option, char *text,
                    size_t size);

/* True if the kernel alters the value by itself while such a socket is in use, or in its handshake.
 */
bool option_floats(const struct option *row, const struct sockinfo *sockinfo, bool unset);

#endif
