/* SPDX-License-Identifier: MIT */
/*
 * Output: colours for people at a terminal, JSON for programs.
 */
#ifndef SOCKTUNE_CONSOLE_H
#define SOCKTUNE_CONSOLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_YELLOW, COLOUR_GREEN };

/* Returns the escape sequence for the colour (COLOUR_NONE: reset), or "" if `to` is no terminal or
 * if NO_COLOR (no-color.org) or TERM=dumb forbids colours. */
const char *colour(FILE *to, enum colour which);

/* Returns the ending of a noun after a number: "" for one, "s" for any other. */
const char *plural(size_t count);

/* Returns external text (a path, a name, part of a rule) as a JSON string; null for NULL. JSON has
 * no bytes: in text that is not UTF-8, everything but ASCII becomes `?`. NULL if there is no
 * memory. */
json_t *json_text(const char *text);

/* Returns the string at a key of an object; NULL if there is none. Not owned by the caller. */
const char *json_text_at(const json_t *object, const char *key);

/* Prints external text with what must not be printed escaped (utf8.h). */
void print_escaped(FILE *to, const char *text);

/* The version at the beginning of each JSON document of the command and the helper. It increases
 * when a member changes its meaning or is removed. */
enum { JSON_VERSION = 1 };

/* Returns the object with `"version"` in front. Releases the reference to `value`; NULL if there is
 * no memory. */
json_t *json_versioned(json_t *value);

/* Print an object with its version and a line feed on standard output, and release the reference.
 * Returns 0; or 1 if there was no memory (then `value` may be NULL) and nothing was printed. */
int print_json(json_t *value);

/* True after a document was printed. One thread. */
bool json_was_printed(void);

#endif
