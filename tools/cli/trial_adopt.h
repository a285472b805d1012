/* SPDX-License-Identifier: MIT */
/*
 * Replace a trial by the options of one of its arms, in the text of a rule file. The rest of the
 * text does not change. Pure, except that it allocates memory.
 */
#ifndef SOCKTUNE_TRIAL_ADOPT_H
#define SOCKTUNE_TRIAL_ADOPT_H

#include <stdbool.h>
#include <stddef.h>

/* A part of a text. */
struct text_span {
    size_t begin;
    size_t end;
};

/* Find the setting `trial` that begins on that line (from 1), up to its semicolon. Returns false if
 * there is none. */
bool trial_find_text(const char *text, unsigned line, struct text_span *trial);

/* The statements of the arm of that number, without its name and share, each on a line of its own
 * behind `indent`; malloc()ed, "" where it has none. NULL: there is no such arm, or no memory. */
char *trial_arm_text(const char *text, struct text_span trial, unsigned arm, const char *indent);

#endif
