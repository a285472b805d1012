/* SPDX-License-Identifier: MIT */
/*
 * The tokens of libconfig's syntax, as far as this parser must know them: to find an @include, to
 * keep the spelling of scalars, to explain a syntax error. Whether a text is right is libconfig's
 * decision alone. Pure; the text has no NUL before its end.
 */
#ifndef SOCKTUNE_TOKEN_H
#define SOCKTUNE_TOKEN_H

enum token_kind {
    TOKEN_SPACE, /* also comments */
    TOKEN_SCALAR,
    TOKEN_STRING,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_OTHER, /* words that are no scalar, punctuation, stray characters */
    TOKEN_UNCLOSED_STRING,
    TOKEN_UNCLOSED_COMMENT
};

/* The end of the token at `p`, which is before `end`. */
const char *token_next(const char *p, const char *end, enum token_kind *kind);

/* The end of the string whose opening quote is at `p`; NULL if it is not closed. */
const char *token_skip_string(const char *p, const char *end);

/* The newline at or after `p`, or `end`. */
const char *token_skip_line(const char *p, const char *end);

#endif
