/* SPDX-License-Identifier: MIT */
/*
 * Text without stdio: a line built in the caller's buffer. Async-signal-safe. Text that does not
 * fit is truncated.
 */
#ifndef SOCKTUNE_TEXT_H
#define SOCKTUNE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *bytes;
    size_t size;
    size_t length; /* < size; bytes[length] is NUL */
};

#define TEXT(buffer) ((struct text){.bytes = (buffer), .size = sizeof(buffer), .length = 0})

void text_put(struct text *text, const char *string);
/* The same for untrusted text (a path, argv[0], a rule's name): it can neither end a line nor
 * control a terminal. Control characters, bytes that are not UTF-8, and characters that change the
 * text direction or break lines are written as \xNN, byte by byte. */
void text_put_escaped(struct text *text, const char *string);
void text_put_number(struct text *text, long number);

/* True if both are equal; NULL is equal to nothing. */
bool text_equal(const char *a, const char *b);
bool text_ends(const char *string, const char *end);
size_t text_length(const char *string);
const char *text_basename(const char *path);

/* The value of NAME in an environment, or NULL. */
const char *text_getenv(char *const *environment, const char *name);

#endif
