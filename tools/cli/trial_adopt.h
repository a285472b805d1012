/* SPDX-License-Identifier: MIT */
/*
 * Replaces a trial by the options of one of its arms in the text of a rule file. The rest of the
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
 * no trial begins there. */
bool trial_find_text(const char *text, unsigned line, struct text_span *trial);

/* The statements of the arm of that number, without its name and share, each on its own line after
 * `indent`; malloc()ed, "" if it has none. NULL: no such arm, or memory is exhausted. */
char *trial_arm_text(const char *text, struct text_span trial, unsigned arm, const char *indent);

#endif
