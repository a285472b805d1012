/* SPDX-License-Identifier: MIT */
/*
 * All that the object takes from libc, as weak references: a program may have a dynamic loader and
 * yet no libc (Go with -buildmode=pie and without cgo), and ld.so would end it for a symbol that it
 * cannot find. The constructor returns at once there, and nothing calls the hooks.
 *
 * Every file of the object is compiled with this in front of it (preload.mk).
 */
#ifndef SOCKTUNE_WEAK_LIBC_H
#define SOCKTUNE_WEAK_LIBC_H

#pragma weak __environ /* not in every libc, either */
#pragma weak __errno_location
#pragma weak dlsym
#pragma weak getauxval

#endif
