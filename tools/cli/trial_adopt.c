/* SPDX-License-Identifier: MIT */
/*
 * libconfig has parsed the text without an error, so brackets and quotes are balanced.
 */
#include "trial_adopt.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t skip_line(const char *text, size_t at)
{
    return at + strcspn(text + at, "\n");
}

/* The offset after blanks and comments. */
static size_t skip_blank(const char *text, size_t at)
{
    for (;;) {
        const char *end;
        at += strspn(text + at, " \t\r\n\f");
        if (text[at] == '#' || (text[at] == '/' && text[at + 1] == '/')) {
            at = skip_line(text, at);
            continue;
        }
        end = text[at] == '/' && text[at + 1] == '*' ? strstr(text + at + 2, "*/") : NULL;
        if (end == NULL)
            return at;
        at = (size_t)(end - text) + 2;
    }
}

static size_t skip_string(const char *text, size_t at)
{
    for (at++; text[at] != '\0' && text[at] != '"'; at++)
        if (text[at] == '\\' && text[at + 1] != '\0')
            at++;
    return text[at] == '"' ? at + 1 : at;
}

static bool is_word(char character)
{
    return isalnum((unsigned char)character) || strchr("_-*+.", character) != NULL;
}

/* The offset after one word, string or bracket. */
static size_t skip_token(const char *text, size_t at)
{
    if (text[at] == '"')
        return skip_string(text, at);
    if (!is_word(text[at]) || text[at] == '\0')
        return at + (text[at] != '\0');
    while (text[at] != '\0' && is_word(text[at]))
        at++;
    return at;
}

/* The offset after a value: a bracket with everything up to its partner, or a scalar; adjacent
 * strings are one value. */
static size_t skip_value(const char *text, size_t at)
{
    unsigned depth = 0;
    do {
        at = skip_blank(text, at);
        if (text[at] == '\0')
            return at;
        if (strchr("{([", text[at]) != NULL)
            depth++;
        else if (strchr("})]", text[at]) != NULL)
            depth--;
        at = skip_token(text, at);
    } while (depth > 0 || text[skip_blank(text, at)] == '"');
    return at;
}

/* The setting whose name begins here: returns its value, and the end after its semicolon or
 * comma. */
static struct text_span setting_value(const char *text, size_t name, size_t *end)
{
    struct text_span value;
    value.begin = skip_blank(text, skip_token(text, name));
    value.begin = skip_blank(text, value.begin + 1); /* = or : */
    value.end = skip_value(text, value.begin);
    *end = skip_blank(text, value.end);
    *end = text[*end] == ';' || text[*end] == ',' ? *end + 1 : value.end;
    return value;
}

static bool is_name(const char *text, size_t at, const char *name)
{
    size_t length = strlen(name);
    return strncmp(text + at, name, length) == 0 && !is_word(text[at + length]);
}

bool trial_find_text(const char *text, unsigned line, struct text_span *trial)
{
    size_t at = skip_blank(text, 0), counted = 0;
    unsigned now = 1;
    while (text[at] != '\0') {
        for (; counted < at; counted++)
            now += text[counted] == '\n';
        if (now == line && is_name(text, at, "trial")) {
            trial->begin = at;
            (void)setting_value(text, at, &trial->end);
            return true;
        }
        at = skip_blank(text, skip_token(text, at));
    }
    return false;
}

/* The next setting of a group, from `*at` on; false at the end of the group. */
static bool next_setting(const char *text, size_t *at, struct text_span *whole,
                         struct text_span *value)
{
    *at = skip_blank(text, *at);
    if (text[*at] == '}' || text[*at] == '\0')
        return false;
    whole->begin = *at;
    *value = setting_value(text, *at, &whole->end);
    *at = whole->end;
    return true;
}

/* Find where the group of the arm begins. */
static bool find_arm(const char *text, struct text_span trial, unsigned arm, size_t *group)
{
    size_t end, at = setting_value(text, trial.begin, &end).begin + 1;
    struct text_span whole, value;
    while (next_setting(text, &at, &whole, &value)) {
        if (!is_name(text, whole.begin, "arms"))
            continue;
        for (at = skip_blank(text, value.begin + 1); arm > 0; arm--) {
            at = skip_blank(text, skip_value(text, at));
            if (text[at] != ',')
                return false;
            at = skip_blank(text, at + 1);
        }
        *group = at;
        return text[at] == '{';
    }
    return false;
}

char *trial_arm_text(const char *text, struct text_span trial, unsigned arm, const char *indent)
{
    struct text_span whole, value;
    char *statements = NULL;
    size_t length, at;
    FILE *to;
    if (!find_arm(text, trial, arm, &at))
        return NULL;
    to = open_memstream(&statements, &length);
    if (to == NULL)
        return NULL;
    at++;
    while (next_setting(text, &at, &whole, &value))
        if (!is_name(text, whole.begin, "name") && !is_name(text, whole.begin, "share"))
            fprintf(to, "%s%.*s;", ftell(to) > 0 ? indent : "", (int)(value.end - whole.begin),
                    text + whole.begin);
    if (fclose(to) == 0)
        return statements;
    free(statements);
    return NULL;
}
