/* SPDX-License-Identifier: MIT */
/*
 * The same rules by BPF programs on a cgroup: for static and Go programs, containers, io_uring.
 *
 * Functions that can fail return -1 and leave one line of text, without a line feed, in an
 * attach_error. None of them prints. Not thread-safe: open_sockets.c changes the network namespace
 * of the calling thread for a moment.
 */
#ifndef SOCKTUNE_ATTACH_H
#define SOCKTUNE_ATTACH_H

#include "cgroup_find.h"
#include "flatten.h"

#include <stddef.h>

#define ATTACH_PIN_ROOT "/sys/fs/bpf/socktune"

/* What this kernel takes */

/*
 * Try settings on listeners and connections of this process, which nobody can reach for long enough
 * to matter, and fill trials[].result: the first two are what counts for IPv4 and for IPv6 sockets.
 * Needs the privileges that attaching needs.
 */
int attach_try(struct attach_trial *trials, uint32_t count, struct attach_error *error);

/* The same for the actions of a policy: `results` has room for policy->action_count. */
int attach_try_policy(const struct policy *policy, struct attach_result *results,
                      struct attach_error *error);

/* Attaching */

struct attach_request {
    const struct attach_tables *tables;
    const struct attach_cgroup *cgroup;
    const char *rules; /* path, for --status */
    bool pin;          /* stay attached when this process ends */
};

/* What holds an attachment; attach_release() ends it, unless it is pinned. */
struct attachment;

/*
 * Load the programs, attach them to the cgroup and give the sockets that are open already what they
 * can still be given. With `pin`, a pinned attachment to the same cgroup is replaced, program by
 * program, with no moment in between. After a failure everything is as it was before. NULL on
 * failure. Otherwise `error` is empty, or says why the open sockets were left as they are.
 */
struct attachment *attach_rules(const struct attach_request *request, struct attach_error *error);

/* Does a rule report? Then call attach_pass_reports() about every second: it passes the reports to
 * the helper, where there is one that does not read them yet. */
bool attach_has_reports(const struct attachment *attachment);
void attach_pass_reports(struct attachment *attachment);

/* The same for all pinned attachments, for a helper that has just started. Returns how many were
 * passed; -1 with `error` if one of them was not, though there is a helper or since there is none.
 */
int attach_pass_pinned(struct attach_error *error);

void attach_release(struct attachment *attachment);

/* Remove the pinned attachment of a cgroup. Returns 1 if there was none. */
int attach_detach(const struct attach_cgroup *cgroup, struct attach_error *error);

/* What is attached */

enum { ATTACH_PROGRAMS_MAX = 6 };

struct attach_state {
    struct attach_about about;
    uint64_t cgroup_id;
    uint64_t given, failed; /* options, since it was attached */
    bool pinned;
    char programs[ATTACH_PROGRAMS_MAX][16]; /* "connect4" ... */
    uint32_t program_count;
};

/* All attachments of this machine, malloc()ed, in the order in which they were made. */
int attach_list(struct attach_state **states, size_t *count, struct attach_error *error);

/* Built without clang or libbpf, all of these fail. */
#ifndef ATTACH_BY_BPF
#include "without_bpf.h"
#endif

#endif
