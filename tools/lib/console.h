/* SPDX-License-Identifier: MIT */
/*
 * Output that suits its reader: colours for people at a terminal, JSON for programs.
 */
#ifndef SOCKTUNE_CONSOLE_H
#define SOCKTUNE_CONSOLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum colour { COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_YELLOW, COLOUR_GREEN };

/* The escape sequence for the colour (COLOUR_NONE: back to normal), or "" where `to` is no
 * terminal, or NO_COLOR (no-color.org) or TERM=dumb asks for none. */
const char *colour(FILE *to, enum colour which);

/* What follows a noun behind a number: "" for one, "s" for any other. */
const char *plural(size_t count);

/* Text from outside (a path, a name, what a rule says) as a JSON string; null for NULL. JSON has no
 * bytes: in what is not UTF-8, all but ASCII is shown as `?`. NULL when memory ends. */
json_t *json_text(const char *text);

/* The string at a key of an object; NULL if there is none. Borrowed. */
const char *json_text_at(const json_t *object, const char *key);

/* The version that each JSON document of the command and of the helper begins with. It grows when a
 * member gets another meaning or goes. */
enum { JSON_VERSION = 1 };

/* The object with `"version"` in front. Drops the reference; NULL when memory ends. */
json_t *json_versioned(json_t *value);

/* Print an object as a document with its version on standard output, a line feed behind it, and
 * drop the reference. Returns 0, or 1 when memory ended on the way (then it may be NULL) and
 * nothing was printed. */
int print_json(json_t *value);

/* True once a document was printed. One thread. */
bool json_was_printed(void);

#endif
