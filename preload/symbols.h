/* SPDX-License-Identifier: MIT */
/*
 * Finds functions of the objects that are loaded after this one, as dlsym(RTLD_NEXT) does.
 *
 * dlsym(3) is not used: before glibc 2.34 it is in libdl, which few programs load.
 */
#ifndef SOCKTUNE_SYMBOLS_H
#define SOCKTUNE_SYMBOLS_H

#include <stddef.h>

struct symbol {
    const char *name;
    void *address; /* NULL on entry, and if it is not found */
};

/*
 * Set the address of each symbol to that in the first object after this one, in the load order of
 * ld.so, that defines it: another preloaded library, libpthread if it has functions of its own, or
 * libc. Only for the constructor: takes ld.so's lock. Allocates nothing.
 */
void symbols_find(struct symbol *symbols, size_t count);

/* The path by which ld.so loaded this object, or NULL. Only for the constructor. */
const char *symbols_own_path(void);

#endif
