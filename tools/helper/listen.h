/* SPDX-License-Identifier: MIT */
/*
 * The helper's listening sockets: made here, or passed by systemd (sd_listen_fds(3)); and telling
 * systemd how it goes (sd_notify(3)).
 */
#ifndef SOCKTUNE_HELPER_LISTEN_H
#define SOCKTUNE_HELPER_LISTEN_H

#include "config.h"

struct listeners {
    int registration;      /* D/helper.sock */
    int query;             /* D/query.sock */
    int metrics;           /* -1: none */
    bool own_registration; /* made here, so removed at the end */
    bool own_query;
};

/* Take what systemd passed, and make the rest. -1 with a message logged; then nothing is left. */
int listeners_open(struct listeners *listeners, const struct helper_config *config);

/* Is there such a directory, and may the helper keep files in it? Root's must lie where only root
 * can replace them. */
bool directory_may_hold_state(const char *directory);

/* Remove the socket files that were made. The descriptors are others' by then. */
void listeners_unlink(const struct listeners *listeners, const struct helper_config *config);

/* "READY=1" and the like; nothing where nobody wants to know. */
void service_notify(const char *state);

#endif
