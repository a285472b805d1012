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
        return "a setting of a rule: it belongs in rules = ( { ... } ), outside of match, set and "
               "the "
               "like";
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

/* Where the name that `here` begins with belongs, unless it may stand here; or NULL. */
static const char *other_place(const char *here, const char *const *words)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(here, " ,"), here);
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
    if (known == NULL)
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

void parse_unknown(struct reader *reader, const config_setting_t *setting, const char *kind,
                   const char *word, const char *const *words)
{
    const char *name = config_setting_name(setting);
    const char *place = name != NULL && strcmp(name, word) == 0 ? place_of(word) : NULL;
    const char *right = nearest_word(word, words);
    char all[256] = "";
    if (place != NULL) {
        parse_error(reader, setting, "%s is %s", word, place);
        return;
    }
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
