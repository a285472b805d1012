/* SPDX-License-Identifier: MIT */
/*
 * Globs for program names and command lines: `*` matches any characters (also a slash), `?` one
 * character, `[a-z]` and `[!a-z]` one of a set; `\` makes the next character literal. fnmatch(3) is
 * not used: it allocates, and depends on the locale.
 */
#ifndef SOCKTUNE_GLOB_H
#define SOCKTUNE_GLOB_H

#include <stdbool.h>

/*
 * True if the pattern matches the words joined by single spaces. `words` ends with NULL. Pure,
 * async-signal-safe. Time is at most pattern length times text length.
 */
bool glob_match_words(const char *pattern, const char *const *words);

/* True if the pattern matches the text. */
bool glob_match(const char *pattern, const char *text);

#endif
