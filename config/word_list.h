/* SPDX-License-Identifier: MIT */
/* Several values in one string, and words for any value: mistakes whose right spelling can be told.
 * Pure. */
#ifndef SOCKTUNE_WORD_LIST_H
#define SOCKTUNE_WORD_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The first mark in the text that separates values: "|", ",", ";" or one of `more`; 0 if there is
 * none. */
char word_list_separator(const char *text, const char *more);

/* "curl|wget" as the array that was meant, "[ "curl", "wget" ]", cut off at `size`. Returns
 * `array`. */
const char *word_list_array(const char *text, char separator, char *array, size_t size);

/* True for words that mean any value: "any", "all", "both", "*". */
bool word_list_is_any(const char *text);

#endif
