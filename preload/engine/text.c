/* SPDX-License-Identifier: MIT */
/*
 * Text without stdio. Plain loops: the object imports no string functions, so that its start stays
 * cheap and hooks enter nothing of libc that others may have replaced.
 */
#include "text.h"

void text_put(struct text *text, const char *string)
{
    while (*string != 0 && text->length + 1 < text->size)
        text->bytes[text->length++] = *string++;
    text->bytes[text->length] = 0;
}

void text_put_number(struct text *text, long number)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    unsigned long left = number < 0 ? 0ul - (unsigned long)number : (unsigned long)number;
    digits[at] = 0;
    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    if (number < 0)
        digits[--at] = '-';
    text_put(text, digits + at);
}

bool text_equal(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        return false;
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

size_t text_length(const char *string)
{
    size_t length = 0;
    while (string[length] != 0)
        length++;
    return length;
}

bool text_ends(const char *string, const char *end)
{
    size_t length = text_length(string), tail = text_length(end);
    return length >= tail && text_equal(string + length - tail, end);
}

const char *text_basename(const char *path)
{
    const char *base = path;
    for (; *path != 0; path++)
        if (*path == '/')
            base = path + 1;
    return base;
}

const char *text_getenv(char *const *environment, const char *name)
{
    for (; *environment != NULL; environment++) {
        const char *entry = *environment, *n = name;
        while (*n != 0 && *n == *entry) {
            n++;
            entry++;
        }
        if (*n == 0 && *entry == '=')
            return entry + 1;
    }
    return NULL;
}
