/* SPDX-License-Identifier: MIT */
/* The table of names that people know from elsewhere. */
#include "known_name.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static const struct {
    const char *word;
    const char *here;
} known_names[] = {
#define KNOWN(word, here) {word, here},
#include "known_names.def"
};

static int folded(char letter)
{
    return letter == '-' ? '_' : tolower((unsigned char)letter);
}

static bool same_word(const char *word, size_t length, const char *known)
{
    for (size_t i = 0; i < length; i++)
        if (known[i] == '\0' || folded(word[i]) != folded(known[i]))
            return false;
    return known[length] == '\0';
}

const char *known_name_find(const char *word, size_t length)
{
    for (size_t i = length; i > 0; i--) /* a sysctl's last part */
        if (word[i - 1] == '.') {
            word += i;
            length -= i;
            break;
        }
    for (size_t i = 0; i < sizeof known_names / sizeof known_names[0]; i++)
        if (same_word(word, length, known_names[i].word))
            return known_names[i].here;
    return NULL;
}
