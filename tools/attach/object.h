/* SPDX-License-Identifier: MIT */
/*
 * The BPF object of the room: opened, its maps sized, loaded and filled.
 */
#ifndef SOCKTUNE_ATTACH_OBJECT_H
#define SOCKTUNE_ATTACH_OBJECT_H

#include "attach.h"

#include <bpf/libbpf.h>

/* Open it with no program to be loaded; NULL with `error`, also where this kernel has no BPF that
 * can be used. Closed with bpf_object__close(). */
struct bpf_object *object_open(struct attach_error *error);

/* Have a program loaded. */
void object_want(struct bpf_object *object, const char *program);

/* The number of entries of an array, at least 1. */
void object_size(struct bpf_object *object, const char *map, uint32_t count);

int object_load(struct bpf_object *object, struct attach_error *error);

/* Write an array's entries, after object_load(). */
int object_fill(const struct bpf_object *object, const char *map, const void *entries,
                size_t entry_size, uint32_t count, struct attach_error *error);

/* Write the programs' constants. */
int object_set_constants(const struct bpf_object *object, const struct attach_constants *constants,
                         struct attach_error *error);

int object_map(const struct bpf_object *object, const char *map);

struct bpf_program *object_program(const struct bpf_object *object, const char *program);

/* Run an iterator program to its end, in the network namespace of this thread. */
int object_iterate(const struct bpf_object *object, const char *program,
                   struct attach_error *error);

#endif
