/* SPDX-License-Identifier: MIT */
/*
 * The parts of an attachment.
 */
#ifndef SOCKTUNE_ATTACHMENT_H
#define SOCKTUNE_ATTACHMENT_H

#include "object.h"
#include "report_channel.h"

/* A program that is attached to the cgroup, and the condition for it. */
struct attach_hook {
    const char *program; /* its name in the object */
    const char *name;    /* "connect4"; also the name of its pin */
    size_t need;         /* offset of the bool in struct attach_needs */
};
extern const struct attach_hook attach_hooks[ATTACH_PROGRAMS_MAX];

struct attachment {
    struct bpf_object *object;
    int cgroup;
    struct bpf_link *links[ATTACH_PROGRAMS_MAX]; /* by attach_hooks; NULL: not needed */
    struct attach_channel *channel;              /* NULL: no rule reports */
    bool pinned;
};

/* Build the path of the directory with the pins of a cgroup. */
void attach_pin_directory(const struct attach_cgroup *cgroup, char directory[PATH_MAX]);

/* True if links are pinned in the directory; a command that was killed leaves one without links. */
bool attach_has_pins(const char *directory);

/* True if the cgroup of a link was removed: the link outlives it, but has no effect any more. */
bool link_is_stale(int link);

/* Tune the sockets that are already open, as far as possible. */
int attach_open_sockets(const struct bpf_object *object, const struct attach_cgroup *cgroup,
                        struct attach_error *error);

/* Create the directory of the pins; a BPF file system must be mounted. */
int pins_prepare(const struct attach_cgroup *cgroup, struct attach_error *error);

/* Replace the programs of the pinned links, attach and pin the others, and remove those no longer
 * needed. After a failure the pinned links have their former programs. */
int pins_replace(struct attachment *attachment, const struct attach_request *request,
                 struct attach_error *error);

#endif
