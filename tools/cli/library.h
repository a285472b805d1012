/* SPDX-License-Identifier: MIT */
/*
 * The preloaded library: where it is, and how a program is made to load it.
 */
#ifndef SOCKTUNE_LIBRARY_H
#define SOCKTUNE_LIBRARY_H

#define LIBRARY_NAME "libsocktune.so"

/* Where it is installed: LIBDIR/socktune. */
extern const char library_directory[];

/*
 * The path of the library: beside this executable (a build tree), else LIBDIR/socktune. malloc()ed;
 * NULL with errno, ENOENT if there is none at either place.
 */
char *library_path(void);

/*
 * The name of that library for LD_PRELOAD, malloc()ed: its path, or PREFIX/$LIB/... if the library
 * for the other word size is installed too. ld.so then chooses the right one for each
 * program.
 */
char *library_for_ld_so(const char *path);

/*
 * The library for programs of an architecture, as uname(1) calls it ("i386" stands for all 32-bit
 * x86). malloc()ed; NULL with errno, ENOENT if it is not installed.
 */
char *library_of_arch(const char *arch);

/*
 * `before` (LD_PRELOAD as it is, or NULL) with the library behind it; other libraries keep their
 * places. If ours is named there already, `before` itself. malloc()ed; NULL with errno, EINVAL if
 * ld.so could not read such a path (a space, a colon or a foreign `$` in it).
 */
char *library_appended(const char *before, const char *library);

/* The same, but any copy of our library that is named there already is left out. */
char *library_instead(const char *before, const char *library);

#endif
