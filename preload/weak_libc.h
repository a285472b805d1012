/* SPDX-License-Identifier: MIT */
/*
 * Declares everything that the object takes from libc as weak: a program may have a dynamic loader
 * but no libc (Go with -buildmode=pie and without cgo), and ld.so would end it because of an
 * undefined symbol. In such a program the constructor returns at once, and nothing calls the hooks.
 *
 * Every file of the object is compiled with this header included first (preload.mk).
 */
#ifndef SOCKTUNE_WEAK_LIBC_H
#define SOCKTUNE_WEAK_LIBC_H

#include <errno.h>
#include <link.h>
#include <sys/auxv.h>
#include <unistd.h>

extern __typeof__(__environ) __environ __attribute__((weak)); /* not in every libc, either */
extern __typeof__(__errno_location) __errno_location __attribute__((weak));
extern __typeof__(dl_iterate_phdr) dl_iterate_phdr __attribute__((weak));
extern __typeof__(getauxval) getauxval __attribute__((weak));
extern const char socktune_never_tune __attribute__((weak)); /* config/never_tune.h */

#endif
