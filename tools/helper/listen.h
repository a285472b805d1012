/* SPDX-License-Identifier: MIT */
/*
 * The helper's listening sockets: created here, or passed by systemd (sd_listen_fds(3)). Also
 * notifies systemd (sd_notify(3)).
 */
#ifndef SOCKTUNE_HELPER_LISTEN_H
#define SOCKTUNE_HELPER_LISTEN_H

#include "config.h"

struct listeners {
    int registration;      /* D/helper.sock */
    int query;             /* D/query.sock */
    int metrics;           /* -1: none */
    bool own_registration; /* created here, so removed at the end */
    bool own_query;
};

/* Take what systemd passed, and create the rest. -1 with a message logged; then all are closed. */
int listeners_open(struct listeners *listeners, const struct helper_config *config);

/* True if the directory exists and the helper may keep files in it: root's must be where only root
 * can replace them. */
bool directory_may_hold_state(const char *directory);

/* Remove the socket files that were created. Does not close the descriptors, which have other
 * owners by then. */
void listeners_unlink(const struct listeners *listeners, const struct helper_config *config);

/* Send "READY=1" and the like to the service manager, if there is one. */
void service_notify(const char *state);

#endif
