/* SPDX-License-Identifier: MIT */
/*
 * Globs, as rules use them for program names and command lines: `*` any characters (a slash too),
 * `?` one, `[a-z]` and `[!a-z]` one of a set, `\` takes the next character literally. fnmatch(3)
 * is not used: it allocates, and depends on the locale.
 */
#ifndef SOCKTUNE_GLOB_H
#define SOCKTUNE_GLOB_H

#include <stdbool.h>

/*
 * Does the pattern match the words joined by single spaces? `words` ends with NULL. Pure,
 * async-signal-safe; time is at most pattern times text.
 */
bool glob_match_words(const char *pattern, const char *const *words);

/* Does the pattern match the text? */
bool glob_match(const char *pattern, const char *text);

#endif
