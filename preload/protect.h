/* SPDX-License-Identifier: MIT */
/*
 * Makes the object's own data read-only after the constructor has decided everything.
 */
#ifndef SOCKTUNE_PROTECT_H
#define SOCKTUNE_PROTECT_H

/* Make all data of the object read-only: pointers to the real functions, the state, the tables that
 * ld.so relocated. Data that changes later is in separate mappings. Call it at the end of the
 * constructor. Under musl, or if the kernel refuses, the data stays writable. Changes errno. */
void protect_data(void);

#endif
