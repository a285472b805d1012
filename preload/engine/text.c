/* SPDX-License-Identifier: MIT */
/*
 * Text without stdio, by plain loops: the object imports no string functions, so that it starts
 * fast, and hooks call no libc function that others may have replaced.
 */
#include "text.h"

void text_put(struct text *text, const char *string)
{
    while (*string != 0 && text->length + 1 < text->size)
        text->bytes[text->length++] = *string++;
    text->bytes[text->length] = 0;
}

/* Returns the length of the UTF-8 character at `s`, and its code point; 0 if it is not UTF-8. */
static unsigned utf8_read(const unsigned char *s, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned length = s[0] < 0x80             ? 1
                      : (s[0] & 0xe0) == 0xc0 ? 2
                      : (s[0] & 0xf0) == 0xe0 ? 3
                      : (s[0] & 0xf8) == 0xf0 ? 4
                                              : 0;
    if (length == 0)
        return 0;
    *character = length == 1 ? s[0] : s[0] & (0x7fu >> length);
    for (unsigned i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *character = *character << 6 | (s[i] & 0x3fu);
    }
    bool surrogate = *character >= 0xd800 && *character < 0xe000;
    return *character >= least[length] && *character <= 0x10ffff && !surrogate ? length : 0;
}

/* Excludes controls (C0, DEL, C1), direction marks and overrides, line and paragraph separators,
 * and the byte order mark. */
static bool is_printable(uint32_t character)
{
    static const struct {
        uint32_t from, to;
    } refused[] = {{0, 0x1f},        {0x7f, 0x9f},     {0x061c, 0x061c},
                   {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},
                   {0xfeff, 0xfeff}, {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
    for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (character >= refused[i].from && character <= refused[i].to)
            return false;
    return true;
}

void text_put_escaped(struct text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    while (*s != 0) {
        uint32_t character = 0;
        unsigned length = utf8_read(s, &character);
        bool printable = length != 0 && is_printable(character);
        for (unsigned i = length != 0 ? length : 1; i > 0; i--, s++) {
            char plain[] = {(char)*s, 0};
            char escaped[] = {'\\', 'x', "0123456789abcdef"[*s >> 4], "0123456789abcdef"[*s & 15],
                              0};
            text_put(text, printable ? plain : escaped);
        }
    }
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
