/* SPDX-License-Identifier: MIT */
#include "word_list.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

char word_list_separator(const char *text, const char *more)
{
    const char *at = strpbrk(text, "|,;");
    if (at == NULL)
        at = strpbrk(text, more);
    return (char)(at != NULL ? *at : '\0');
}

const char *word_list_array(const char *text, char separator, char *array, size_t size)
{
    const char marks[] = {separator, ' ', '\0'};
    size_t used = (size_t)snprintf(array, size, "[");
    for (const char *at = text + strspn(text, marks); *at != '\0' && used < size;
         at += strspn(at, marks)) {
        size_t length = strcspn(at, marks);
        used += (size_t)snprintf(array + used, size - used, "%s \"%.*s\"", used > 1 ? "," : "",
                                 (int)length, at);
        at += length;
    }
    if (used < size)
        snprintf(array + used, size - used, " ]");
    return array;
}

bool word_list_is_any(const char *text)
{
    static const char *const words[] = {"any", "all", "both", "*", "everything", "every"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}
