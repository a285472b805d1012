/* SPDX-License-Identifier: MIT */
/* The table of names that people know from elsewhere. */
#include "known_name.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct known_name known_names[] = {
#define KNOWN(word, here)     {word, here, NULL, false},
#define CRITERION(word, here) {word, here, NULL, true},
#define ABSENT(word, why)     {word, NULL, why, false},
#include "known_names.def"
};

static const struct known_name any_sysctl = {
    "net.*", NULL, "it is a sysctl for the whole host, and no rule sets it: sysctl(8) does", false};

/* A word that is compared. */
struct word {
    const char *at;
    size_t length;
    bool squeezed; /* "_" and "-" do not count */
};

static int folded_letter(char letter)
{
    return letter == '-' ? '_' : tolower((unsigned char)letter);
}

static bool same_word(struct word word, const char *known)
{
    const char *end = word.at + word.length;
    for (;;) {
        while (word.squeezed && word.at < end && folded_letter(*word.at) == '_')
            word.at++;
        while (word.squeezed && *known == '_')
            known++;
        if (word.at == end || *known == '\0')
            return word.at == end && *known == '\0';
        if (folded_letter(*word.at++) != folded_letter(*known++))
            return false;
    }
}

static const struct known_name *find_row(struct word word, bool criterion)
{
    for (size_t i = 0; i < sizeof known_names / sizeof known_names[0]; i++)
        if (same_word(word, known_names[i].word) && (criterion || !known_names[i].criterion_only))
            return &known_names[i];
    return NULL;
}

bool known_name_is_sysctl(const char *word, size_t length)
{
    return length > 4 && strncmp(word, "net", 3) == 0 && (word[3] == '.' || word[3] == '/');
}

/* A sysctl's last part. */
static struct word last_part(struct word word)
{
    for (size_t i = word.length; i > 0; i--)
        if (word.at[i - 1] == '.' || word.at[i - 1] == '/')
            return (struct word){word.at + i, word.length - i, false};
    return word;
}

const struct known_name *known_name_find(const char *text, size_t length, bool criterion)
{
    bool sysctl = known_name_is_sysctl(text, length);
    struct word word = {text, length, false};
    const struct known_name *found;
    if (sysctl)
        word = last_part(word);
    if (word.length == 0)
        return NULL;
    found = find_row(word, criterion);
    word.squeezed = true;
    if (found == NULL)
        found = find_row(word, criterion);
    if (found == NULL && word.length > 3 && strncasecmp(word.at, "set", 3) == 0)
        found = find_row((struct word){word.at + 3, word.length - 3, true}, criterion);
    return found == NULL && sysctl ? &any_sysctl : found;
}
