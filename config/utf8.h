/* SPDX-License-Identifier: MIT */
/*
 * Names as text. A program's name may be any bytes; output is UTF-8 that neither moves the cursor
 * nor changes the text direction.
 */
#ifndef SOCKTUNE_UTF8_H
#define SOCKTUNE_UTF8_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Returns the length in bytes of the first character of the text; 0 if it is invalid by RFC 3629
 * (an overlong form, a surrogate, above U+10FFFF). The final NUL has length 1. */
size_t utf8_length(const char *text);

/* True if the first character of the text is valid, and neither a control nor a format character
 * (U+202E reverses a line). */
bool utf8_is_visible(const char *text);

/* Replace each character that is not visible, and each invalid byte, by `?`. */
void utf8_replace_invisible(char *text);

/*
 * Returns a copy of `text` in which characters that are not visible, and invalid bytes, are written
 * byte by byte as "\\xHH". A backslash before an "x" is also escaped,
 * so different texts always stay different. malloc()ed; NULL if there is no memory.
 */
char *utf8_escaped(const char *text);

/* Returns a copy of a message: as it is, or by utf8_escaped() if something in it must not be
 * printed. Names that have been escaped before are not escaped again. malloc()ed; NULL if there is
 * no memory. */
char *utf8_printable(const char *message);

/* The same of a message that is formatted as by vprintf(3). */
char *utf8_vprintable(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

#endif
