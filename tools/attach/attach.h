/* SPDX-License-Identifier: MIT */
/*
 * The same rules applied by BPF programs on a cgroup: for static and Go programs, containers,
 * io_uring.
 *
 * Functions that can fail return -1, with one line of text, without a line feed, in an
 * attach_error. None of them prints. Not thread-safe: open_sockets.c temporarily changes the
 * network namespace of the calling thread.
 */
#ifndef SOCKTUNE_ATTACH_H
#define SOCKTUNE_ATTACH_H

#include "cgroup_find.h"
#include "flatten.h"

#include <stddef.h>

#define ATTACH_PIN_ROOT "/sys/fs/bpf/socktune"

/* Trials of settings */

/*
 * Try settings on listeners and connections of this process, which exist only for a moment, and
 * fill in trials[].result: the first two entries are for IPv4 and for IPv6 sockets. Needs the same
 * privileges as attaching.
 */
int attach_try(struct attach_trial *trials, uint32_t count, struct attach_error *error);

/* The same for the actions of a policy; `results` has room for policy->action_count. */
int attach_try_policy(const struct policy *policy, struct attach_result *results,
                      struct attach_error *error);

/* Attaching */

struct attach_request {
    const struct attach_tables *tables;
    const struct attach_cgroup *cgroup;
    const char *rules; /* path, for --status */
    bool pin;          /* stay attached after this process ends */
};

/* Holds an attachment; attach_release() ends it, unless it is pinned. */
struct attachment;

/*
 * Load the programs, attach them to the cgroup, and tune the sockets that are already open, as far
 * as possible. With `pin`, a pinned attachment to the same cgroup is replaced, program by program,
 * without a gap. After a failure everything is as before. NULL on failure; otherwise `error` is
 * empty, or says why the open sockets were left unchanged.
 */
struct attachment *attach_rules(const struct attach_request *request, struct attach_error *error);

/* True if a rule reports. Then call attach_pass_reports() about every second: it passes the maps to
 * the helper, if there is one that does not read them yet. */
bool attach_has_reports(const struct attachment *attachment);
void attach_pass_reports(struct attachment *attachment);

/* The same for all pinned attachments, for a helper that has just started. Returns how many were
 * passed; -1 with `error` if one was not passed, or if there is no helper. */
int attach_pass_pinned(struct attach_error *error);

/* False if the cgroup was removed: then no rule applies any more. */
bool attach_is_in_force(const struct attachment *attachment);

void attach_release(struct attachment *attachment);

/* Remove the pinned attachment of a cgroup. Returns 1 if there was none. */
int attach_detach(const struct attach_cgroup *cgroup, struct attach_error *error);

/* Remove the pins of all cgroups that no longer exist. Returns the number of these cgroups. */
unsigned attach_remove_stale(void);

/* Attachments of the machine */

enum { ATTACH_PROGRAMS_MAX = 6 };

struct attach_state {
    struct attach_about about;
    uint64_t cgroup_id;
    uint64_t given, failed; /* options, since attaching */
    bool pinned;
    char programs[ATTACH_PROGRAMS_MAX][16]; /* "connect4" ... */
    uint32_t program_count;
};

/* All attachments of this machine, malloc()ed, oldest first. */
int attach_list(struct attach_state **states, size_t *count, struct attach_error *error);

/* Built without clang or libbpf, all of these fail. */
#ifndef ATTACH_BY_BPF
#include "without_bpf.h"
#endif

#endif
