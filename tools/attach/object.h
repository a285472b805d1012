/* SPDX-License-Identifier: MIT */
/*
 * The BPF object: opened, its maps sized, loaded and filled. Functions return -1 with `error` on
 * failure.
 */
#ifndef SOCKTUNE_ATTACH_OBJECT_H
#define SOCKTUNE_ATTACH_OBJECT_H

#include "attach.h"

#include <bpf/libbpf.h>

/* Open it without any program to load; NULL with `error`, also if BPF is not usable on this kernel.
 * Close it with bpf_object__close(). */
struct bpf_object *object_open(struct attach_error *error);

/* Mark a program for loading. */
void object_want(struct bpf_object *object, const char *program);

/* Set the number of entries of an array, at least 1. */
void object_size(struct bpf_object *object, const char *map, uint32_t count);

int object_load(struct bpf_object *object, struct attach_error *error);

/* Write an array's entries; after object_load(). */
int object_fill(const struct bpf_object *object, const char *map, const void *entries,
                size_t entry_size, uint32_t count, struct attach_error *error);

/* Write the constants of the programs. */
int object_set_constants(const struct bpf_object *object, const struct attach_constants *constants,
                         struct attach_error *error);

int object_map(const struct bpf_object *object, const char *map);

struct bpf_program *object_program(const struct bpf_object *object, const char *program);

/* Run an iterator program to its end, in the network namespace of this thread. */
int object_iterate(const struct bpf_object *object, const char *program,
                   struct attach_error *error);

#endif
