/* SPDX-License-Identifier: MIT */
/*
 * Explaining a syntax error. libconfig decides whether a text is right, but says only "syntax
 * error". This reads a text that libconfig has refused once more and names the likely mistake:
 * a word without quotes, a comma that is missing, one bracket in place of another. Pure.
 */
#ifndef SOCKTUNE_SYNTAX_FAULT_H
#define SOCKTUNE_SYNTAX_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum { SYNTAX_FAULT_SIZE = 256 };

struct syntax_fault {
    size_t offset;   /* of the place in the text; at most its length */
    bool has_opener; /* a bracket elsewhere is part of the mistake: its offset */
    size_t opener;
    char message[SYNTAX_FAULT_SIZE]; /* one line, without the place */
};

/* Find the first mistake in `text`. False: none is recognised, and `fault` is unchanged. */
bool syntax_fault_find(const char *text, struct syntax_fault *fault);

#endif
