/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t utf8_length(const char *text)
{
    /* First bytes, and the second bytes that may follow them: the table of RFC 3629, section 4. */
    static const struct {
        unsigned char first, last, second_first, second_last, length;
    } forms[] = {
        {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    const unsigned char *bytes = (const unsigned char *)text;

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (bytes[0] < forms[i].first || bytes[0] > forms[i].last)
            continue;
        if (forms[i].length > 1 &&
            (bytes[1] < forms[i].second_first || bytes[1] > forms[i].second_last))
            return 0;
        for (size_t j = 2; j < forms[i].length; j++)
            if ((bytes[j] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

/* Returns the code point of the character of `length` bytes. */
static uint32_t character_at(const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    uint32_t character = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        character = character << 6 | (bytes[i] & 0x3fu);
    return character;
}

/* False for characters of Unicode's categories Cc, Cf, Zl and Zp, and tags: they are invisible, but
 * change how the rest is shown. */
static bool is_visible_code(uint32_t character)
{
    static const struct {
        uint32_t first, last;
    } hidden[] = {
        {0x0, 0x1f},      {0x7f, 0x9f},       {0xad, 0xad},       {0x600, 0x605},
        {0x61c, 0x61c},   {0x6dd, 0x6dd},     {0x70f, 0x70f},     {0x180e, 0x180e},
        {0x200b, 0x200f}, {0x2028, 0x202e},   {0x2060, 0x206f},   {0xfeff, 0xfeff},
        {0xfff9, 0xfffb}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
    };

    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (character >= hidden[i].first && character <= hidden[i].last)
            return false;
    return true;
}

bool utf8_is_visible(const char *text)
{
    size_t length = utf8_length(text);
    return length > 0 && is_visible_code(character_at(text, length));
}

void utf8_replace_invisible(char *text)
{
    char *end = text;
    while (*text != '\0') {
        size_t length = utf8_length(text);
        length = length > 0 ? length : 1;
        if (utf8_is_visible(text)) {
            memmove(end, text, length);
            end += length;
        } else {
            *end++ = '?';
        }
        text += length;
    }
    *end = '\0';
}

char *utf8_escaped(const char *text)
{
    /* each byte becomes four at most */
    char *escaped = malloc(strlen(text) * 4 + 1), *end = escaped;
    if (escaped == NULL)
        return NULL;
    while (*text) {
        size_t length = utf8_length(text);
        bool plain = utf8_is_visible(text) && !(text[0] == '\\' && text[1] == 'x');
        length = length > 0 ? length : 1;
        for (size_t i = 0; i < length; i++)
            if (plain)
                *end++ = text[i];
            else
                end += sprintf(end, "\\x%02x", (unsigned char)text[i]);
        text += length;
    }
    *end = '\0';
    return escaped;
}

char *utf8_printable(const char *message)
{
    for (const char *at = message; *at != '\0'; at += utf8_length(at))
        if (!utf8_is_visible(at))
            return utf8_escaped(message);
    return strdup(message);
}

char *utf8_vprintable(const char *format, va_list arguments)
{
    char *text, *printable;
    if (vasprintf(&text, format, arguments) < 0)
        return NULL;
    printable = utf8_printable(text);
    free(text);
    return printable;
}
