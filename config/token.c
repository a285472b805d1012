/* SPDX-License-Identifier: MIT */
/* The tokens of libconfig's syntax. */
#include "token.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && isdigit((unsigned char)*p))
        p++;
    return p;
}

/* "e+5" or nothing. */
static const char *skip_exponent(const char *p, const char *end)
{
    const char *digits = p + 1;
    if (p == end || (*p != 'e' && *p != 'E'))
        return p;
    if (digits < end && (*digits == '+' || *digits == '-'))
        digits++;
    return digits < end && isdigit((unsigned char)*digits) ? skip_digits(digits, end) : p;
}

static const char *skip_suffix(const char *p, const char *end)
{
    for (int i = 0; i < 2 && p < end && *p == 'L'; i++)
        p++;
    return p;
}

/* A number as libconfig scans it; returns `p` when there is none. */
static const char *skip_number(const char *p, const char *end)
{
    const char *digits = p < end && (*p == '+' || *p == '-') ? p + 1 : p;
    const char *behind = skip_digits(digits, end);
    /* libconfig 1.8 also takes binary and octal ones; for older ones these are errors. */
    if (end - p > 2 && p[0] == '0' && strchr("xXbBoO", p[1]) != NULL &&
        isxdigit((unsigned char)p[2])) {
        for (p += 2; p < end && isxdigit((unsigned char)*p);)
            p++;
        return skip_suffix(p, end);
    }
    if (behind < end && *behind == '.')
        return skip_exponent(skip_digits(behind + 1, end), end);
    if (behind == digits)
        return p;
    if (skip_exponent(behind, end) != behind)
        return skip_exponent(behind, end);
    return skip_suffix(behind, end);
}

const char *token_skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
            p++;
    }
    return NULL;
}

const char *token_skip_line(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p));
    return newline != NULL ? newline : end;
}

static const char *skip_word(const char *p, const char *end)
{
    while (p < end && (isalnum((unsigned char)*p) || strchr("-_*", *p) != NULL))
        p++;
    return p;
}

static enum token_kind word_kind(const char *word, size_t length)
{
    bool boolean = (length == 4 && strncasecmp(word, "true", 4) == 0) ||
                   (length == 5 && strncasecmp(word, "false", 5) == 0);
    return boolean ? TOKEN_SCALAR : TOKEN_OTHER;
}

const char *token_next(const char *p, const char *end, enum token_kind *kind)
{
    const char *behind;
    *kind = TOKEN_SPACE;
    if (strchr(" \t\r\f\n", *p) != NULL)
        return p + 1;
    if (*p == '#' || (*p == '/' && end - p > 1 && p[1] == '/'))
        return token_skip_line(p, end);
    if (*p == '/' && end - p > 1 && p[1] == '*') {
        behind = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
        if (behind == NULL)
            *kind = TOKEN_UNCLOSED_COMMENT;
        return behind == NULL ? end : behind + 2;
    }
    if (*p == '"') {
        behind = token_skip_string(p, end);
        *kind = behind == NULL ? TOKEN_UNCLOSED_STRING : TOKEN_STRING;
        return behind == NULL ? end : behind;
    }
    if (isalpha((unsigned char)*p) || *p == '*') {
        behind = skip_word(p, end);
        *kind = word_kind(p, (size_t)(behind - p));
        return behind;
    }
    behind = skip_number(p, end);
    *kind = behind != p                 ? TOKEN_SCALAR
            : strchr("({[", *p) != NULL ? TOKEN_OPEN
            : strchr(")}]", *p) != NULL ? TOKEN_CLOSE
                                        : TOKEN_OTHER;
    return behind != p ? behind : p + 1;
}
