/* SPDX-License-Identifier: MIT */
/* Recognizes two mistakes, so that a message can show the right spelling: several values in one
 * string, and words for any value. Pure. */
#ifndef SOCKTUNE_WORD_LIST_H
#define SOCKTUNE_WORD_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The first mark in the text that separates values: "|", ",", ";" or one of `more`; 0 if there is
 * none. */
char word_list_separator(const char *text, const char *more);

/* Writes "curl|wget" as the array that the user means, "[ "curl", "wget" ]", cut off at `size`.
 * Returns `array`. */
const char *word_list_array(const char *text, char separator, char *array, size_t size);

/* True for words that mean any value: "any", "all", "both", "*". */
bool word_list_is_any(const char *text);

#endif
