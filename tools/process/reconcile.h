/* SPDX-License-Identifier: MIT */
/*
 * Reconciles an open socket with the rules: an option that differs from what the rules say is set.
 * The result says what was changed, and what could not be set and why. preload/tune.h does the same
 * for a program's own sockets, at its calls.
 */
#ifndef SOCKTUNE_RECONCILE_H
#define SOCKTUNE_RECONCILE_H

#include "apply.h"
#include "describe.h"
#include "value.h"

/* A policy made ready for many sockets. Release with reconciler_free(). */
struct reconciler {
    const struct policy *policy;
    struct expectation *expected; /* by action: what getsockopt() answers once it is set */
    bool needs_defaults;          /* a `default` is among the rules */
    bool dry_run;                 /* say what would be done, and do nothing */
};

enum reconcile_result {
    RECONCILE_CHANGED,
    RECONCILE_SAME,   /* it had that value */
    RECONCILE_KEPT,   /* a `default`, and the program has set the option itself */
    RECONCILE_GIVEN,  /* set, but the value before or after cannot be read */
    RECONCILE_FAILED, /* `late` or `error` says why */
    RECONCILE_COUNT
};

/* What became of one option. */
struct reconciled_option {
    uint32_t action; /* index into policy->actions */
    enum reconcile_result result;
    int error;                  /* RECONCILE_FAILED: errno of setsockopt; 0: see `late` */
    const char *late;           /* why it cannot be set on this socket any more; NULL otherwise */
    bool unset;                 /* a buffer that nobody had sized: the kernel chose `before` */
    struct value before, after; /* as getsockopt() has them; empty: unknown. After a dry run
                                   `after` is what is to be expected */
};

/* What became of a socket, in the order of setting. Large: allocate it before duplicating. */
struct reconciled_socket {
    struct reconciled_option options[POLICY_OPTIONS_MAX];
    uint32_t count;
};

/* Returns 0, or -1 with errno when memory ends. Borrows `policy`. */
int reconciler_make(struct reconciler *reconciler, const struct policy *policy, bool dry_run);

void reconciler_free(struct reconciler *reconciler);

/*
 * Match a described socket against the active rules and set what differs. `defaults` are those of a
 * socket of its kind (by policy->options), which a `default` of the rules is compared with; NULL:
 * they are not known, and a `default` changes only what the kernel has tuned by itself. Reaches the
 * socket through `socket` alone and does nothing else.
 */
void reconcile_socket(const struct socket_handle *socket,
                      const struct socket_description *description,
                      const struct default_value *defaults, const struct reconciler *reconciler,
                      const struct active *active, struct reconciled_socket *result);

/* Why RECONCILE_FAILED, and what would be needed: one line, no full stop. */
void reconciled_reason(const struct policy *policy, const struct reconciled_option *option,
                       char *text, size_t size);

/* True if the kernel alters the value by itself while such a socket is in use, or in its handshake.
 */
bool option_floats(const struct option *row, const struct sockinfo *sockinfo, bool unset);

#endif
