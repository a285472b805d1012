/* SPDX-License-Identifier: MIT */
/*
 * The preloaded library: its location, and how LD_PRELOAD names it.
 */
#ifndef SOCKTUNE_LIBRARY_H
#define SOCKTUNE_LIBRARY_H

#define LIBRARY_NAME "libsocktune.so"

/* The installation directory: LIBDIR/socktune. */
extern const char library_directory[];

/*
 * The path of the library: beside this executable (build tree), else in LIBDIR/socktune.
 * malloc()ed; NULL with errno, ENOENT if it is in neither place.
 */
char *library_path(void);

/*
 * The name of that library for LD_PRELOAD, malloc()ed: its path, or PREFIX/$LIB/... if the library
 * for the other word size is installed too; ld.so then chooses the right one for each program.
 */
char *library_for_ld_so(const char *path);

/*
 * The library for programs of an architecture, named as by uname(1) ("i386" for all 32-bit x86).
 * malloc()ed; NULL with errno, ENOENT if it is not installed.
 */
char *library_of_arch(const char *arch);

/*
 * `before` (the current LD_PRELOAD, or NULL) with the library appended; other libraries keep their
 * places. If a copy of our library is already named, `before` itself. malloc()ed; NULL with errno,
 * EINVAL if ld.so could not read such a path (it contains a space, a colon or another `$`).
 */
char *library_appended(const char *before, const char *library);

/* The same, but removes copies of our library that are already named. */
char *library_instead(const char *before, const char *library);

#endif
