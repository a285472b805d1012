/* SPDX-License-Identifier: MIT */
/*
 * UTF-8, as what the helper answers must be, though names of programs may be any bytes.
 */
#ifndef SOCKTUNE_HELPER_UTF8_H
#define SOCKTUNE_HELPER_UTF8_H

#include <stddef.h>

/* U+FFFD, for a byte that is none. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* The bytes of the character that the text begins with; 0 if it begins with none that RFC 3629
 * allows (no overlong form, no surrogate, nothing above U+10FFFF). The end, NUL, is one byte. */
size_t utf8_length(const char *text);

#endif
