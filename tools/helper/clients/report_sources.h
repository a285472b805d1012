/* SPDX-License-Identifier: MIT */
/*
 * Attachments whose BPF programs report: connections of a cgroup's programs that begin and end.
 *
 * Connections come into the model as those of registered programs do. Their ends come with the
 * figures that BPF read, so that network namespaces can be followed of which the helper has no
 * sock_diag socket: those of containers. In the helper's own namespace, sock_diag samples them
 * meanwhile, and tells of the same ends once more, which does nothing.
 *
 * Who passed an attachment is root or the helper's own user, and what it reports is the kernel's
 * word: a connection needs no confirmation.
 */
#ifndef SOCKTUNE_HELPER_REPORT_SOURCES_H
#define SOCKTUNE_HELPER_REPORT_SOURCES_H

#include "client_table.h"

struct report_sources;

/* `parts` as for client_table_new(). NULL without memory. */
struct report_sources *report_sources_new(const struct client_table_parts *parts);

/* Tells the BPF programs that nobody reads any more. NULL does nothing. */
void report_sources_free(struct report_sources *sources);

/* Who passes an attachment's maps. */
struct report_passer {
    uid_t uid;
    int pidfd;   /* -1: not known; becomes the sources' */
    bool pinned; /* the attachment outlives the process */
};

/* Take an attachment in, unless it is known. All descriptors, `fds` ({ring buffer, channel}) and
 * the pidfd, are taken over, also on failure. Returns NULL, or a static English phrase that says
 * why not. */
const char *report_sources_add(struct report_sources *sources, const struct report_passer *who,
                               const int fds[2]);

/* Those that are pinned below /sys/fs/bpf, as far as this process may open them. */
void report_sources_find_pinned(struct report_sources *sources);

/* Take a bounded number of reports from each. */
void report_sources_read(struct report_sources *sources);

/* Tell the writers that somebody reads; let go what is over. Once a second. */
void report_sources_each_second(struct report_sources *sources);

size_t report_sources_count(const struct report_sources *sources);

#endif
