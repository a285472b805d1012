/* SPDX-License-Identifier: MIT */
/*
 * Glob matching without recursion or allocation. On a mismatch, go back to the last `*` and let it
 * match one more character. Earlier `*` need not be remembered: a longer match of an earlier one
 * cannot succeed where the later one failed.
 */
#include "glob.h"

#include <stddef.h>

/* A position in words that are read as if joined by spaces. */
struct cursor {
    const char *const *word;
    const char *at;
};

/* The character at the cursor, 0 at the end. */
static char character_at_cursor(const struct cursor *cursor)
{
    if (cursor->at == NULL)
        return 0;
    if (*cursor->at == 0 && cursor->word[1] != NULL)
        return ' ';
    return *cursor->at;
}

static void advance_cursor(struct cursor *cursor)
{
    if (*cursor->at != 0)
        cursor->at++;
    else
        cursor->at = *++cursor->word;
}

/* Matches one character against the bracket expression after "[" at `pattern`. Returns what follows
 * the expression, or NULL if it is not closed and so means a literal "[". */
static const char *match_set(const char *pattern, char c, bool *matched)
{
    bool negate = *pattern == '!' || *pattern == '^';
    if (negate)
        pattern++;
    bool in = false;
    for (const char *p = pattern; *p != 0; p++) {
        if (*p == ']' && p != pattern) {
            *matched = in != negate;
            return p + 1;
        }
        unsigned char low = (unsigned char)*p, high = low;
        if (p[1] == '-' && p[2] != ']' && p[2] != 0) {
            high = (unsigned char)p[2];
            p += 2;
        }
        if (low <= (unsigned char)c && (unsigned char)c <= high)
            in = true;
    }
    return NULL;
}

/* Matches one character against the next element of the pattern, which is not `*`. Returns what
 * follows the element, or NULL if it does not match. */
static const char *match_one(const char *pattern, char c)
{
    if (c == 0 || *pattern == 0)
        return NULL;
    if (*pattern == '?')
        return pattern + 1;
    if (*pattern == '[') {
        bool matched = false;
        const char *rest = match_set(pattern + 1, c, &matched);
        if (rest != NULL)
            return matched ? rest : NULL;
    }
    if (*pattern == '\\' && pattern[1] != 0)
        pattern++;
    return *pattern == c ? pattern + 1 : NULL;
}

bool glob_match_words(const char *pattern, const char *const *words)
{
    struct cursor text = {words, words[0]};
    const char *star = NULL;
    struct cursor resume = text;
    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
            continue;
        }
        char c = character_at_cursor(&text);
        if (c == 0 && *pattern == 0)
            return true;
        const char *rest = match_one(pattern, c);
        if (rest != NULL) {
            pattern = rest;
            advance_cursor(&text);
        } else if (star != NULL && character_at_cursor(&resume) != 0) {
            advance_cursor(&resume);
            text = resume;
            pattern = star;
        } else {
            return false;
        }
    }
}

bool glob_match(const char *pattern, const char *text)
{
    /* Fast path: most patterns are names of other programs. */
    while (*pattern == *text && *pattern != 0 && *pattern != '*' && *pattern != '?' &&
           *pattern != '[' && *pattern != '\\') {
        pattern++;
        text++;
    }
    if (*pattern != '*' && *pattern != '?' && *pattern != '[' && *pattern != '\\')
        return *pattern == *text;
    const char *const words[] = {text, NULL};
    return glob_match_words(pattern, words);
}
