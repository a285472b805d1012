/* SPDX-License-Identifier: MIT */
/*
 * Attachments whose BPF programs report the begin and end of the connections of a cgroup's
 * programs.
 *
 * Connections enter the model like those of registered programs. Their ends come with figures that
 * BPF has read. So connections can be followed in network namespaces for which the helper has no
 * sock_diag socket: those of containers. In the helper's own namespace, sock_diag also samples them
 * and reports the same ends again, which has no effect.
 *
 * Only root or the helper's own user can pass an attachment, and its reports come from the kernel:
 * a connection needs no confirmation.
 */
#ifndef SOCKTUNE_HELPER_REPORT_SOURCES_H
#define SOCKTUNE_HELPER_REPORT_SOURCES_H

#include "client_table.h"

struct report_sources;

/* `parts` as for client_table_new(). NULL if there is no memory. */
struct report_sources *report_sources_new(const struct client_table_parts *parts);

/* Sets all heartbeats to 0, so that BPF programs know that nobody reads. NULL does nothing. */
void report_sources_free(struct report_sources *sources);

/* The process that passes an attachment's maps. */
struct report_passer {
    uid_t uid;
    int pidfd;   /* -1: unknown; ownership passes to the report sources */
    bool pinned; /* the attachment outlives the process */
};

/* Add an attachment, unless it is known. Takes ownership of `fds` ({ring buffer, channel}) and of
 * the pidfd, even on failure. Returns NULL, or a static English phrase that says why not. */
const char *report_sources_add(struct report_sources *sources, const struct report_passer *who,
                               const int fds[2]);

/* Add the attachments pinned below /sys/fs/bpf, as far as this process may open them. */
void report_sources_find_pinned(struct report_sources *sources);

/* Read a bounded number of reports from each. */
void report_sources_read(struct report_sources *sources);

/* Renew the heartbeats, and release ended sources. Call it once a second. */
void report_sources_each_second(struct report_sources *sources);

size_t report_sources_count(const struct report_sources *sources);

#endif
