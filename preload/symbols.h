/* SPDX-License-Identifier: MIT */
/*
 * Finding the functions of the objects that are loaded behind this one, as dlsym(RTLD_NEXT) does.
 *
 * dlsym(3) itself is not used: before glibc 2.34 it is part of libdl, which few programs load.
 */
#ifndef SOCKTUNE_SYMBOLS_H
#define SOCKTUNE_SYMBOLS_H

#include <stddef.h>

struct symbol {
    const char *name;
    void *address; /* NULL on entry and while it is not found */
};

/*
 * Set the address of each symbol to that in the first object behind this one, in the order in which
 * ld.so loaded them, that defines it: another preloaded library, libpthread where it has functions
 * of its own, or libc. For the constructor: takes ld.so's lock, and allocates nothing.
 */
void symbols_find(struct symbol *symbols, size_t count);

/* The path by which ld.so loaded this object, or NULL. For the constructor. */
const char *symbols_own_path(void);

#endif
