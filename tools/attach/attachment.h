/* SPDX-License-Identifier: MIT */
/*
 * An attachment in the making.
 */
#ifndef SOCKTUNE_ATTACHMENT_H
#define SOCKTUNE_ATTACHMENT_H

#include "object.h"
#include "report_channel.h"

/* A program that is attached to the cgroup, and when it is needed. */
struct attach_hook {
    const char *program; /* its name in the object */
    const char *name;    /* "connect4"; also that of its pin */
    size_t need;         /* offset of the bool in struct attach_needs */
};
extern const struct attach_hook attach_hooks[ATTACH_PROGRAMS_MAX];

struct attachment {
    struct bpf_object *object;
    int cgroup;
    struct bpf_link *links[ATTACH_PROGRAMS_MAX]; /* of attach_hooks; NULL: not needed */
    struct attach_channel *channel;              /* NULL: no rule reports */
    bool pinned;
};

/* The directory of the pins of a cgroup. */
void attach_pin_directory(const struct attach_cgroup *cgroup, char directory[PATH_MAX]);

/* Give the sockets that are open already what they can still be given. */
int attach_open_sockets(const struct bpf_object *object, const struct attach_cgroup *cgroup,
                        struct attach_error *error);

/* Make the directory of the pins; a BPF file system must be mounted. */
int pins_prepare(const struct attach_cgroup *cgroup, struct attach_error *error);

/* Replace the programs of the links that are pinned, attach and pin the others, and remove what is
 * no longer needed. After a failure the pinned links have their former programs. */
int pins_replace(struct attachment *attachment, const struct attach_request *request,
                 struct attach_error *error);

#endif
