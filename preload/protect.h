/* SPDX-License-Identifier: MIT */
/*
 * The object's own data, read-only once the constructor has decided everything.
 */
#ifndef SOCKTUNE_PROTECT_H
#define SOCKTUNE_PROTECT_H

/* Make all data of the object read-only: the pointers to the real functions, the state, the tables
 * that ld.so relocated. For the end of the constructor. What changes later lies in mappings of its
 * own. Under musl, and where the kernel refuses, the data
 * stays writable. Changes errno. */
void protect_data(void);

#endif
