/* SPDX-License-Identifier: MIT */
/*
 * Names as text. A program's name may be any bytes; output is UTF-8 that neither moves the cursor
 * nor changes the text direction.
 */
#ifndef SOCKTUNE_HELPER_UTF8_H
#define SOCKTUNE_HELPER_UTF8_H

#include <stddef.h>

/* Returns the length in bytes of the first character of the text; 0 if it is invalid by RFC 3629
 * (an overlong form, a surrogate, above U+10FFFF). The final NUL has length 1. */
size_t utf8_length(const char *text);

/*
 * Returns a copy of `text` in which invalid UTF-8, control characters and format characters (U+202E
 * reverses a line) are written byte by byte as "\\xHH". A backslash before an "x" is also escaped,
 * so different texts always stay different. malloc()ed; NULL if there is no memory.
 */
char *utf8_escaped(const char *text);

/* Returns a copy of a message: as it is, or by utf8_escaped() if something in it must not be
 * printed. Names that have been escaped before are not escaped again. malloc()ed; NULL if there is
 * no memory. */
char *utf8_printable(const char *message);

#endif
