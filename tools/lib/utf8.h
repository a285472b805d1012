/* SPDX-License-Identifier: MIT */
/*
 * Names as text. A program's name may be any bytes; output is UTF-8
 * that neither moves the cursor nor changes the direction of writing.
 */
#ifndef SOCKTUNE_HELPER_UTF8_H
#define SOCKTUNE_HELPER_UTF8_H

#include <stddef.h>

/* The bytes of the character that the text begins with; 0 if it begins with none that RFC 3629
 * allows (no overlong form, no surrogate, nothing above U+10FFFF). The end, NUL, is one byte. */
size_t utf8_length(const char *text);

/*
 * A copy of `text` in which each byte of what is no UTF-8, of a control character and of a
 * character of format (U+202E turns a line round) is written as "\\xHH". A backslash before an "x"
 * is written so too. So two different texts never become the same. To be freed; NULL without
 * memory.
 */
char *utf8_escaped(const char *text);

#endif
