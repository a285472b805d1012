/* SPDX-License-Identifier: MIT */
/*
 * Explaining a syntax error. libconfig decides whether a text is right, but says only "syntax
 * error" or "duplicate setting name". This reads a text that libconfig has refused once more and
 * names the likely mistake: a word without quotes, a comma that is missing, one bracket in place of
 * another, a setting that is given twice. Pure.
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
    bool has_first; /* a setting elsewhere has the same name: its offset */
    size_t first;
    const char *remedy;              /* what to do with the two */
    char message[SYNTAX_FAULT_SIZE]; /* one line, without the place */
};

/* What libconfig refuses. */
enum syntax_refusal {
    SYNTAX_REFUSED,    /* the text is not of its grammar */
    SYNTAX_TWICE,      /* a group has two settings of one name */
    SYNTAX_MIXED_ARRAY /* the values of an array are of several types */
};

/* Find the first mistake of that kind in `text`; of settings that are given twice, one whose second
 * name is not before the offset `from`. False: none is recognised, and `fault` is unchanged. */
bool syntax_fault_find(const char *text, enum syntax_refusal refusal, size_t from,
                       struct syntax_fault *fault);

#endif
