/* SPDX-License-Identifier: MIT */
/* Names that do not exist where they stand: misspelt ones, right ones at a wrong place, and names
 * from other systems. */
#include "known_name.h"
#include "left_out.h"
#include "parse.h"

#include <stdio.h>
#include <string.h>

/* Where a right name belongs that stands at a wrong place; NULL if there is no such name. */
static const char *place_of(const char *word)
{
    if (is_criterion(word))
        return "a criterion: it belongs in match = { ... } of a rule";
    if (option_find(word) != NULL || strcmp(word, "raw") == 0)
        return "an option: it belongs in set, default or force = { ... } of a rule";
    if (is_rule_keyword(word))
        return "a setting of a rule: it belongs directly in its braces, rules = ( { ... } )";
    if (strcmp(word, "rules") == 0 || strcmp(word, "live") == 0)
        return "a setting of the file: it belongs outside of all rules";
    return NULL;
}

/* "a, b, c" */
static void join_words(const char *const *words, char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; words[i] != NULL && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i == 0 ? "" : ", ", words[i]);
}

static bool is_among(const char *word, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

/* The first word of what something is called here. */
static void first_word(const char *here, char name[64])
{
    snprintf(name, 64, "%.*s", (int)strcspn(here, " ,"), here);
}

/* True where a value is asked for, and not a name. */
static bool is_value(const char *kind)
{
    return strcmp(kind, "role") == 0 || strcmp(kind, "protocol") == 0 ||
           strcmp(kind, "family") == 0;
}

/* True if one of the words stands in what something is called here. */
static bool leads_to(const char *here, const char *const *words)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
    for (const char *at = here; *at != '\0'; at += strspn(at, letters)) {
        char word[64];
        at += strcspn(at, letters);
        snprintf(word, sizeof word, "%.*s", (int)strspn(at, letters), at);
        if (is_among(word, words))
            return true;
    }
    return false;
}

/* Where the name that `here` begins with belongs, unless it may stand here; or NULL. */
static const char *other_place(const char *here, const char *const *words)
{
    char name[64];
    first_word(here, name);
    if (words == NULL ? option_find(name) != NULL : is_among(name, words))
        return NULL;
    return place_of(name);
}

bool parse_familiar(struct reader *reader, const config_setting_t *setting, const char *kind,
                    const char *word, const char *const *words)
{
    const struct known_name *known =
        known_name_find(word, strlen(word), strcmp(kind, "criterion") == 0);
    const struct left_out *left_out = left_out_find(word);
    const char *place;
    if (left_out != NULL) {
        parse_error(reader, setting, "%s is left to the program: %s", left_out->name,
                    left_out->why);
        return true;
    }
    if (known == NULL || (known->here != NULL && is_value(kind) && !leads_to(known->here, words)))
        return false;
    place = known->here != NULL ? other_place(known->here, words) : NULL;
    if (known->here == NULL)
        parse_error(reader, setting, "there is no %s \"%s\": %s", kind, word, known->why);
    else if (place == NULL)
        parse_error(reader, setting, "there is no %s \"%s\": that is %s here", kind, word,
                    known->here);
    else
        parse_error(reader, setting, "there is no %s \"%s\": that is %s here, %s", kind, word,
                    known->here, place);
    return true;
}

bool parse_misplaced(struct reader *reader, const config_setting_t *setting, const char *word)
{
    const char *place = place_of(word);
    if (place != NULL)
        parse_error(reader, setting, "%s is %s", word, place);
    return place != NULL;
}

void parse_unknown(struct reader *reader, const config_setting_t *setting, const char *kind,
                   const char *word, const char *const *words)
{
    const char *name = config_setting_name(setting);
    const char *right = nearest_word(word, words);
    char all[256] = "";
    if (name != NULL && strcmp(name, word) == 0 && parse_misplaced(reader, setting, word))
        return;
    if (parse_familiar(reader, setting, kind, word, words))
        return;
    if (right != NULL) {
        parse_error(reader, setting, "there is no %s \"%s\": did you mean \"%s\"?", kind, word,
                    right);
        return;
    }
    join_words(words, all, sizeof all);
    parse_error(reader, setting, "there is no %s \"%s\": expected %s", kind, word, all);
}
