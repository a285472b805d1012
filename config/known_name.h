/* SPDX-License-Identifier: MIT */
/* Names from other systems and programs, and what they are called in rules. Pure. */
#ifndef SOCKTUNE_KNOWN_NAME_H
#define SOCKTUNE_KNOWN_NAME_H

#include <stddef.h>

/* What the word of `length` bytes is called here, for "that is ... here"; NULL if nothing is known.
 */
const char *known_name_find(const char *word, size_t length);

#endif
