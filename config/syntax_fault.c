/* SPDX-License-Identifier: MIT */
/*
 * Explaining a syntax error: libconfig's grammar by recursive descent over its tokens. At the first
 * token that does not fit, a fault_*() function looks at what stands around it.
 */
#include "syntax_fault.h"

#include "known_name.h"
#include "token.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { DEPTH_MAX = 32, QUOTED_MAX = 40 };

/* A piece of the text. */
struct span {
    const char *at;
    const char *end;
};

/* An open bracket, and the setting whose value it begins. */
struct bracket {
    const struct bracket *outer;
    const char *at;
    struct span name;
    unsigned depth;
};

struct explainer {
    const char *text;
    const char *end;
    struct span token; /* the one to be read next; empty at the end of the text */
    enum token_kind kind;
    const char *last_end;    /* end of the token before */
    bool last_was_number;    /* it was a number */
    const char *long_string; /* the first string that seems to swallow settings, or NULL */
    enum syntax_refusal refusal;
    const char *from; /* where names are looked at that a group may have already */
    struct syntax_fault *fault;
};

/* Reading tokens */

/* True for a string over several lines with a "=" in it: its end may be the next string's begin. */
static bool swallows_settings(struct span string)
{
    size_t length = (size_t)(string.end - string.at);
    return memchr(string.at, '\n', length) != NULL && memchr(string.at, '=', length) != NULL;
}

static void find_token(struct explainer *explainer, const char *at)
{
    const char *end = at;
    explainer->kind = TOKEN_SPACE;
    while (at < explainer->end && explainer->kind == TOKEN_SPACE) {
        at = end;
        if (at < explainer->end)
            end = token_next(at, explainer->end, &explainer->kind);
    }
    explainer->token = (struct span){at, end};
    if (explainer->long_string == NULL && at < explainer->end && *at == '"' &&
        swallows_settings(explainer->token))
        explainer->long_string = at;
}

static void next_token(struct explainer *explainer)
{
    explainer->last_end = explainer->token.end;
    explainer->last_was_number =
        explainer->kind == TOKEN_SCALAR && !isalpha((unsigned char)*explainer->token.at);
    find_token(explainer, explainer->token.end);
}

static bool at_end(const struct explainer *explainer)
{
    return explainer->token.at == explainer->token.end;
}

static bool is_char(const struct explainer *explainer, const char *chars)
{
    return !at_end(explainer) && explainer->token.end - explainer->token.at == 1 &&
           strchr(chars, *explainer->token.at) != NULL;
}

static bool is_name(const struct explainer *explainer)
{
    return !at_end(explainer) &&
           (isalpha((unsigned char)*explainer->token.at) || *explainer->token.at == '*');
}

static bool is_value(const struct explainer *explainer)
{
    return explainer->kind == TOKEN_SCALAR || explainer->kind == TOKEN_STRING ||
           explainer->kind == TOKEN_OPEN;
}

/* What was written in one piece where a value or name is expected: "10s", "10.0.0.0/8". */
static struct span run_at(const struct explainer *explainer, const char *at)
{
    const char *end = at;
    for (; end < explainer->end && strchr(" \t\r\f\n,;(){}[]\"'#=", *end) == NULL; end++)
        if (*end == '/' && end + 1 < explainer->end && strchr("/*", end[1]) != NULL)
            break;
    return (struct span){at, end};
}

/* The length of a span for "%.*s", in bounds. */
static int shown_length(struct span span)
{
    return span.end - span.at > QUOTED_MAX ? QUOTED_MAX : (int)(span.end - span.at);
}

static bool first_in_line(const struct explainer *explainer, const char *at)
{
    while (at > explainer->text && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    return at == explainer->text || at[-1] == '\n';
}

static bool same_line(const char *from, const char *to)
{
    return memchr(from, '\n', (size_t)(to - from)) == NULL;
}

/* Faults */

/* Each returns false, as do the functions that read. */
static bool __attribute__((format(printf, 4, 5)))
fault_at(struct explainer *explainer, const char *at, const struct bracket *bracket,
         const char *format, ...)
{
    struct syntax_fault *fault = explainer->fault;
    va_list arguments;
    fault->offset = (size_t)(at - explainer->text);
    fault->has_opener = bracket != NULL;
    fault->opener = bracket != NULL ? (size_t)(bracket->at - explainer->text) : 0;
    va_start(arguments, format);
    vsnprintf(fault->message, sizeof fault->message, format, arguments);
    va_end(arguments);
    return false;
}

#define fault_here(explainer, ...) fault_at(explainer, (explainer)->token.at, NULL, __VA_ARGS__)

static char closer_of(const struct bracket *bracket)
{
    switch (*bracket->at) {
    case '(':
        return ')';
    case '[':
        return ']';
    default:
        return '}';
    }
}

/* The text or a bracket ends while another one is open. */
static bool fault_not_closed(struct explainer *explainer, const struct bracket *bracket)
{
    if (at_end(explainer))
        return fault_at(explainer, bracket->at, NULL,
                        "this \"%c\" is never closed: \"%c\" is missing", *bracket->at,
                        closer_of(bracket));
    return fault_at(explainer, explainer->token.at, bracket,
                    "\"%c\" is missing before this \"%.*s\"", closer_of(bracket),
                    shown_length(explainer->token), explainer->token.at);
}

static bool fault_string(struct explainer *explainer)
{
    return fault_here(explainer, "this string is never closed: '\"' is missing");
}

/* Quotes of another kind: apostrophes, backquotes, typographic ones. */
static bool is_other_quote(const struct explainer *explainer)
{
    static const char *const quotes[] = {"'",
                                         "`",
                                         "\xE2\x80\x98",
                                         "\xE2\x80\x99",
                                         "\xE2\x80\x9A",
                                         "\xE2\x80\x9C",
                                         "\xE2\x80\x9D",
                                         "\xE2\x80\x9E",
                                         "\xC2\xAB"};
    for (size_t i = 0; i < sizeof quotes / sizeof quotes[0]; i++)
        if (strncmp(explainer->token.at, quotes[i], strlen(quotes[i])) == 0)
            return true;
    return false;
}

static bool fault_quote(struct explainer *explainer)
{
    const char *inner = explainer->token.at + 1;
    struct span word;
    while (inner < explainer->end &&
           ((unsigned char)*inner & 0xC0) == 0x80) /* rest of a character */
        inner++;
    word = (struct span){inner, inner + strcspn(inner, "\n'`\";,\xC2\xE2")};
    return fault_here(explainer, "use double quotes: write \"%.*s\"", shown_length(word), word.at);
}

/* "true" or "false" for the words that other languages have for them; NULL for others. */
static const char *boolean_for(struct span run)
{
    static const struct {
        const char *word;
        const char *value;
    } switches[] = {{"yes", "true"},    {"on", "true"},      {"no", "false"},
                    {"off", "false"},   {"enabled", "true"}, {"disabled", "false"},
                    {"enable", "true"}, {"disable", "false"}};
    size_t length = (size_t)(run.end - run.at);

    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++)
        if (strlen(switches[i].word) == length &&
            strncasecmp(switches[i].word, run.at, length) == 0)
            return switches[i].value;
    return NULL;
}

static bool is_word(struct span span, const char *word)
{
    return (size_t)(span.end - span.at) == strlen(word) && memcmp(span.at, word, strlen(word)) == 0;
}

/* True for the settings whose value is a list of groups. */
static bool holds_groups(struct span name)
{
    return is_word(name, "rules") || is_word(name, "raw") || is_word(name, "arms");
}

/* What stands behind a colon is no value of libconfig's: `run`, of setting `name`. */
static bool fault_yaml(struct explainer *explainer, struct span name, struct span run)
{
    const char *colon = explainer->last_end - 1;
    bool key = run.end[-1] == ':' && run.end - run.at > 1 && run.end[-2] != ':';
    if (is_word(run, "-") || key)
        return fault_at(explainer, colon, NULL, "this is no YAML: write %.*s = %s;",
                        shown_length(name), name.at,
                        key                  ? "{ ... }"
                        : holds_groups(name) ? "( { ... }, { ... } )"
                                             : "[ ..., ... ]");
    if (is_word(run, "|") || is_word(run, ">"))
        return fault_at(explainer, run.at, NULL, "this is no YAML: write %.*s = \"...\";",
                        shown_length(name), name.at);
    return fault_at(explainer, run.at, NULL, "this is no YAML: write %.*s = \"%.*s\";",
                    shown_length(name), name.at, shown_length(run), run.at);
}

/* A value without quotes, of setting `name`. */
static bool fault_unquoted(struct explainer *explainer, struct span name, struct span run)
{
    if (boolean_for(run) != NULL)
        return fault_at(explainer, run.at, NULL, "write %s in place of %.*s", boolean_for(run),
                        shown_length(run), run.at);
    if (explainer->last_end[-1] == ':')
        return fault_yaml(explainer, name, run);
    return fault_at(explainer, run.at, NULL, "this value needs double quotes: write \"%.*s\"",
                    shown_length(run), run.at);
}

/* A word in a list, with "=" behind it: the list should be a group, or the group is missing. */
static bool fault_setting_in_list(struct explainer *explainer, const struct bracket *list)
{
    if (holds_groups(list->name) && *list->at == '(')
        return fault_here(explainer, "a rule is a group: \"{\" is missing before %.*s",
                          shown_length(explainer->token), explainer->token.at);
    return fault_at(explainer, list->at, NULL,
                    "\"%c\" begins a list of values: for settings such as %.*s write { ... }",
                    *list->at, shown_length(explainer->token), explainer->token.at);
}

/* Something that is no value stands where one is expected. `bracket`: the list around it, or NULL
 * for the value of setting `name`. */
static bool fault_no_value(struct explainer *explainer, struct span name,
                           const struct bracket *list)
{
    struct span run = run_at(explainer, explainer->token.at);
    if (explainer->kind == TOKEN_UNCLOSED_STRING)
        return fault_string(explainer);
    if (!at_end(explainer) && is_other_quote(explainer))
        return fault_quote(explainer);
    if (list != NULL && is_name(explainer)) {
        const char *behind = run.end + strspn(run.end, " \t");
        if (*behind == '=' && behind[1] != '>')
            return fault_setting_in_list(explainer, list);
    }
    if (run.end > run.at && !is_char(explainer, ">"))
        return fault_unquoted(explainer, list != NULL ? list->name : name, run);
    if (list != NULL)
        return fault_here(explainer, "a value is missing before this \"%.*s\"",
                          shown_length(explainer->token), explainer->token.at);
    if (is_char(explainer, "=>") && explainer->last_end == explainer->token.at)
        return fault_here(explainer, "write one \"=\" between a name and its value");
    return fault_at(explainer, explainer->last_end, NULL, "the value of %.*s is missing",
                    shown_length(name), name.at);
}

/* Faults between settings */

/* A bracket before any name: JSON, or "rules = (" is missing. */
static bool fault_outer_bracket(struct explainer *explainer)
{
    struct span bracket = explainer->token;
    bool first = explainer->last_end == explainer->text;
    next_token(explainer);
    if (explainer->kind == TOKEN_STRING && first)
        return fault_at(explainer, bracket.at, NULL,
                        "this is no JSON: write NAME = VALUE; without brackets around the file");
    return fault_at(explainer, bracket.at, NULL, "a setting is expected: write rules = %s",
                    *bracket.at == '(' ? "before this \"(\"" : "( { ... } );");
}

/* "{" or "(" where a setting should begin. */
static bool fault_bracket_for_name(struct explainer *explainer, const struct bracket *group)
{
    char bracket = *explainer->token.at;
    bool element = group != NULL && group->outer != NULL && *group->outer->at != '{';
    if (group == NULL)
        return fault_outer_bracket(explainer);
    if (explainer->last_end == group->at + 1 && !element && holds_groups(group->name))
        return fault_at(explainer, group->at, NULL,
                        "%.*s is a list of groups: write ( { ... }, { ... } )",
                        shown_length(group->name), group->name.at);
    if (explainer->last_end == group->at + 1)
        return fault_here(explainer, "remove this \"%c\": a group has one", bracket);
    return fault_at(explainer, explainer->token.at, group, "\"}\" is missing before this \"%c\"",
                    *explainer->token.at);
}

static bool fault_section(struct explainer *explainer, const struct bracket *group)
{
    const char *at = explainer->token.at + strspn(explainer->token.at, "[");
    struct span word = {at, at};
    while (word.end < explainer->end && strchr("]\n", *word.end) == NULL)
        word.end++;
    if (group != NULL)
        return fault_here(explainer, "there are no sections such as [%.*s]: write NAME = { ... };",
                          shown_length(word), word.at);
    return fault_here(explainer, "there are no sections such as [%.*s]: write rules = ( { ... } );",
                      shown_length(word), word.at);
}

/* A string where a name is expected. */
static bool fault_string_for_name(struct explainer *explainer)
{
    struct span string = explainer->token;
    const char *behind = string.end + strspn(string.end, " \t");
    if (*behind == '=' || *behind == ':')
        return fault_here(explainer, "a name has no quotes: write %.*s =", shown_length(string) - 2,
                          string.at + 1);
    return fault_here(explainer, "a setting is expected: write NAME = before this string");
}

static bool fault_terminator(struct explainer *explainer)
{
    const char *at = explainer->token.at;
    if (*at == ';' && first_in_line(explainer, at) && strcspn(at, "\n") > 1)
        return fault_here(explainer, "a comment begins with \"#\", not with \";\"");
    if (explainer->last_end > explainer->text && strchr(";,", explainer->last_end[-1]) != NULL)
        return fault_here(explainer, "remove this \"%c\": one is enough", *at);
    return fault_here(explainer, "a setting is expected before this \"%c\"", *at);
}

/* What stands where a setting should begin is no name. `name` is that of the setting before. */
static bool fault_no_name(struct explainer *explainer, struct span name,
                          const struct bracket *group)
{
    const char *at = explainer->token.at;
    if (explainer->kind == TOKEN_UNCLOSED_STRING)
        return fault_string(explainer);
    if (explainer->kind == TOKEN_CLOSE) {
        if (group != NULL)
            return fault_not_closed(explainer, group);
        return fault_here(explainer, "this \"%c\" closes nothing: no bracket is open", *at);
    }
    if (name.at != NULL && ((is_value(explainer) && *at != '{' && explainer->last_end[-1] == ',') ||
                            is_char(explainer, "|&")))
        return fault_here(explainer, "write several values in brackets: %.*s = [ ..., ... ]",
                          shown_length(name), name.at);
    if (*at == '[' && first_in_line(explainer, at) && isalpha((unsigned char)at[strspn(at, "[")]))
        return fault_section(explainer, group);
    if (explainer->kind == TOKEN_OPEN)
        return fault_bracket_for_name(explainer, group);
    if (explainer->kind == TOKEN_STRING && group != NULL && explainer->last_end == group->at + 1 &&
        strchr("=:", explainer->token.end[strspn(explainer->token.end, " \t")]) == NULL)
        return fault_at(explainer, group->at, NULL,
                        "\"{\" begins settings: for values write %.*s = [ ... ]",
                        shown_length(group->name), group->name.at);
    if (explainer->kind == TOKEN_STRING)
        return fault_string_for_name(explainer);
    if (is_char(explainer, ";,"))
        return fault_terminator(explainer);
    if (strncmp(at, "---", 3) == 0 && at[3 + strspn(at + 3, " \r")] == '\n')
        return fault_here(explainer, "this is no YAML: remove this line");
    if (strncmp(at, "--", 2) == 0 || strncmp(at, "<!--", 4) == 0)
        return fault_here(explainer, "a comment begins with \"#\"");
    if (*at == '<')
        return fault_here(explainer, "this is no XML: write rules = ( { ... } );");
    if (*at == '-' && at[1] == ' ' && first_in_line(explainer, at))
        return fault_here(explainer,
                          "this is no YAML: write a list as ( { ... }, { ... } ), without \"-\"");
    if (is_other_quote(explainer))
        return fault_here(explainer, "a name has no quotes");
    if (*at == '@')
        return fault_here(explainer, "@include \"FILE\" must stand alone on its line");
    if (explainer->last_was_number && same_line(explainer->last_end, at))
        return fault_here(explainer,
                          "a value that is more than a number needs double quotes, such as "
                          "\"8000-8999\" or \"10s\"");
    return fault_here(explainer, "a setting begins with a name, not with \"%.*s\"",
                      shown_length(run_at(explainer, at)), at);
}

/* The name of a setting goes on with what no name has: `run`. */
static bool fault_long_name(struct explainer *explainer, struct span name, struct span run)
{
    static const char *const groups[] = {"match", "set",      "default", "force",
                                         "trial", "at_least", "at_most"};
    size_t length = (size_t)(run.end - run.at);
    const struct known_name *known = known_name_find(run.at, length, false);
    if (known != NULL && known->here != NULL)
        return fault_at(explainer, name.at, NULL, "%.*s%s: that is %s here", shown_length(run),
                        run.at, known_name_is_sysctl(run.at, length) ? " is a sysctl" : "",
                        known->here);
    if (known != NULL)
        return fault_at(explainer, name.at, NULL, "%.*s: %s", shown_length(run), run.at,
                        known->why);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        if (is_word(name, groups[i]) && *name.end == '.')
            return fault_at(explainer, name.at, NULL,
                            "write %.*s = { %.*s = VALUE; }; in place of %.*s", shown_length(name),
                            name.at, shown_length((struct span){name.end + 1, run.end}),
                            name.end + 1, shown_length(run), run.at);
    return fault_at(explainer, name.end, NULL,
                    "a name has letters, digits, \"_\" and \"-\" only, unlike %.*s",
                    shown_length(run), run.at);
}

/* Behind the name of a setting stands an operator of another language. True if one is found. */
static bool fault_operator(struct explainer *explainer, struct span name)
{
    static const struct {
        const char *text;
        const char *right; /* what to write behind "NAME = " */
    } operators[] = {{"!=", "\"!...\""},
                     {"=~", "\"*...*\", a glob"},
                     {"~", "\"*...*\", a glob"},
                     {">", "\"1024-65535\", a range"},
                     {"<", "\"1-1023\", a range"},
                     {"in", "[ ..., ... ]"},
                     {"is", "VALUE"},
                     {"+=", "VALUE"},
                     {"-=", "VALUE"},
                     {"->", "VALUE"}};
    const char *at = explainer->token.at;
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        size_t length = strlen(operators[i].text);
        if (strncmp(at, operators[i].text, length) != 0 ||
            (isalpha((unsigned char)*at) && at[length] != ' '))
            continue;
        fault_here(explainer, "there is no operator %s: write %.*s = %s", operators[i].text,
                   shown_length(name), name.at, operators[i].right);
        return true;
    }
    return false;
}

/* Behind the name of a setting stands its value: write the whole as it should be. */
static bool fault_value_for_equals(struct explainer *explainer, struct span name)
{
    struct span run = run_at(explainer, explainer->token.at);
    const char *behind = run.end + strspn(run.end, " \t"), *value = boolean_for(run);
    int length = shown_length(name);
    if (fault_operator(explainer, name))
        return false;
    if (is_char(explainer, "{") && holds_groups(name))
        return fault_here(explainer, "\"=\" is missing after %.*s: write %.*s = ( { ... } );",
                          length, name.at, length, name.at);
    if (explainer->kind == TOKEN_OPEN)
        return fault_here(explainer, "\"=\" is missing after %.*s: write %.*s = %c ... %c;", length,
                          name.at, length, name.at, *explainer->token.at,
                          closer_of(&(struct bracket){.at = explainer->token.at}));
    if (explainer->kind == TOKEN_STRING && is_word(name, "include"))
        return fault_at(explainer, name.at, NULL, "write @include %.*s alone on its line",
                        shown_length(explainer->token), explainer->token.at);
    if (explainer->kind == TOKEN_STRING)
        return fault_here(explainer, "\"=\" is missing after %.*s: write %.*s = %.*s;", length,
                          name.at, length, name.at, shown_length(explainer->token),
                          explainer->token.at);
    if (run.end == run.at || strchr("=:{([", *behind) != NULL)
        return fault_here(explainer, "\"=\" is missing after %.*s", length, name.at);
    if (value != NULL)
        return fault_here(explainer, "\"=\" is missing after %.*s: write %.*s = %s;", length,
                          name.at, length, name.at, value);
    return fault_here(explainer, "\"=\" is missing after %.*s: write %.*s = %s%.*s%s;", length,
                      name.at, length, name.at, explainer->kind == TOKEN_SCALAR ? "" : "\"",
                      shown_length(run), run.at, explainer->kind == TOKEN_SCALAR ? "" : "\"");
}

/* Behind the name of a setting stands no "=". `before`: the setting before it; `listing`: the same,
 * if that ended with a comma; `number`: where a number before the name begins, or NULL. */
static bool fault_no_equals(struct explainer *explainer, struct span name, struct span before,
                            struct span listing, const char *number)
{
    struct span run = run_at(explainer, name.at);
    if (run.end > name.end)
        return fault_long_name(explainer, name, run);
    if (before.at != NULL && (is_word(name, "or") || is_word(name, "and")))
        return fault_at(explainer, name.at, NULL,
                        "write several values in brackets: %.*s = [ ..., ... ]",
                        shown_length(before), before.at);
    if (number != NULL && *name.at == '*')
        return fault_at(explainer, name.at, NULL, "nothing is calculated: write the result");
    if (number != NULL)
        return fault_at(explainer, number, NULL,
                        "a number with a unit needs double quotes: write \"%.*s\"",
                        shown_length((struct span){number, name.end}), number);
    if (listing.at != NULL && is_char(explainer, ";,"))
        return fault_at(explainer, name.at, NULL,
                        "write several values in brackets: %.*s = [ ..., ... ]",
                        shown_length(listing), listing.at);
    if (at_end(explainer) || is_char(explainer, ";,") || explainer->kind == TOKEN_CLOSE)
        return fault_at(explainer, name.at, NULL, "%.*s has no value: write %.*s = VALUE",
                        shown_length(name), name.at, shown_length(name), name.at);
    return fault_value_for_equals(explainer, name);
}

/* What the grammar allows */

/* The earlier setting of the same group that has this name, or NULL. */
static const char *earlier_setting(const struct explainer *explainer, const struct bracket *group,
                                   struct span name)
{
    const char *at = group != NULL ? group->at + 1 : explainer->text, *end;
    size_t length = (size_t)(name.end - name.at);
    unsigned depth = 0;
    for (; at < name.at; at = end) {
        enum token_kind kind;
        end = token_next(at, name.at, &kind);
        if (kind == TOKEN_OPEN)
            depth++;
        if (kind == TOKEN_CLOSE)
            depth--;
        if (depth == 0 && (size_t)(end - at) == length && memcmp(at, name.at, length) == 0 &&
            strchr("=:", end[strspn(end, " \t\r\n")]) != NULL)
            return at;
    }
    return NULL;
}

static bool fault_twice(struct explainer *explainer, struct span name, const char *first)
{
    fault_at(explainer, name.at, NULL, "%.*s is given twice", shown_length(name), name.at);
    explainer->fault->has_first = true;
    explainer->fault->remedy = explainer->kind == TOKEN_OPEN && *explainer->token.at != '['
                                   ? "put both into one"
                                   : "keep one";
    explainer->fault->first = (size_t)(first - explainer->text);
    return false;
}

/* The types that values of one array share: 's'tring, 'b'oolean, 'f'loat, 'l'ong, 'i'nteger. */
static char type_of_value(const struct explainer *explainer)
{
    size_t length = (size_t)(explainer->token.end - explainer->token.at);
    const char *at = explainer->token.at;
    bool decimal = length < 2 || at[0] != '0' || !isalpha((unsigned char)at[1]);
    if (explainer->kind == TOKEN_STRING)
        return 's';
    if (isalpha((unsigned char)*at))
        return 'b';
    if (decimal && (memchr(at, '.', length) != NULL || memchr(at, 'e', length) != NULL ||
                    memchr(at, 'E', length) != NULL))
        return 'f';
    if (at[length - 1] == 'L' || (decimal && length > 11))
        return 'l';
    return 'i';
}

static bool fault_mixed_array(struct explainer *explainer, const struct bracket *list)
{
    return fault_here(explainer,
                      "an array [ ... ] has values of one type only: write %.*s = ( ..., ... )",
                      shown_length(list->name), list->name.at);
}

/* Faults in lists */

/* Behind a value of a list stands neither a comma nor the list's end. */
static bool fault_after_value(struct explainer *explainer, const struct bracket *list)
{
    if (explainer->kind == TOKEN_CLOSE)
        return fault_not_closed(explainer, list);
    if (is_char(explainer, ";")) {
        const char *at = explainer->token.at;
        next_token(explainer);
        if (explainer->kind == TOKEN_CLOSE && *explainer->token.at != closer_of(list))
            return fault_not_closed(explainer, list);
        return explainer->kind == TOKEN_CLOSE
                   ? fault_at(explainer, at, NULL,
                              "remove this \";\" after the last value of the list")
                   : fault_at(explainer, at, NULL,
                              "use \",\" between the values of a list, not \";\"");
    }
    if (explainer->last_was_number && is_char(explainer, "-"))
        return fault_here(explainer, "a range needs double quotes, such as \"8000-8999\"");
    if (is_value(explainer) || is_name(explainer) || is_other_quote(explainer))
        return fault_at(explainer, explainer->last_end, NULL,
                        "a \",\" is missing between two values of the list");
    return fault_here(explainer, "a \",\" or \"%c\" is expected in place of \"%.*s\"",
                      closer_of(list), shown_length(run_at(explainer, explainer->token.at)),
                      explainer->token.at);
}

/* The grammar */

static bool scan_value(struct explainer *explainer, struct span name, const struct bracket *outer);

/* The values of an array or a list, behind its opening bracket. */
static bool scan_list(struct explainer *explainer, const struct bracket *list)
{
    char type = '\0';
    while (!is_char(explainer, (const char[]){closer_of(list), '\0'})) {
        bool array = *list->at == '[';
        if (at_end(explainer))
            return fault_not_closed(explainer, list);
        if (array && explainer->kind == TOKEN_OPEN)
            return fault_at(explainer, list->at, NULL,
                            "an array [ ... ] has plain values only: write ( ... ) around groups");
        if (!is_value(explainer))
            return explainer->kind == TOKEN_CLOSE && explainer->last_end[-1] != ','
                       ? fault_not_closed(explainer, list)
                       : fault_no_value(explainer, list->name, list);
        if (array && explainer->refusal == SYNTAX_MIXED_ARRAY && type != '\0' &&
            type_of_value(explainer) != type)
            return fault_mixed_array(explainer, list);
        type = type_of_value(explainer);
        if (!scan_value(explainer, list->name, list))
            return false;
        if (is_char(explainer, ",")) {
            const char *comma = explainer->token.at;
            next_token(explainer);
            if (explainer->kind == TOKEN_CLOSE)
                return fault_at(explainer, comma, NULL,
                                "remove this \",\" after the last value of the list");
        } else if (!is_char(explainer, (const char[]){closer_of(list), '\0'})) {
            return at_end(explainer) ? fault_not_closed(explainer, list)
                                     : fault_after_value(explainer, list);
        }
    }
    next_token(explainer);
    return true;
}

/* The settings of a group, behind its opening brace, or of the whole text. */
static bool scan_settings(struct explainer *explainer, const struct bracket *group)
{
    struct span name = {NULL, NULL}, before, listing;
    const char *first;
    while (!at_end(explainer) && !(group != NULL && is_char(explainer, "}"))) {
        bool split =
            explainer->last_was_number && same_line(explainer->last_end, explainer->token.at);
        const char *number = split ? explainer->last_end - 1 : NULL;
        while (split && number > explainer->text && strchr(" \t=:", number[-1]) == NULL)
            number--;
        if (!is_name(explainer))
            return fault_no_name(explainer, name, group);
        if (name.at == NULL || explainer->last_end[-1] != ',')
            listing = (struct span){NULL, NULL};
        else
            listing = name;
        before = name;
        name = explainer->token;
        next_token(explainer);
        if (!is_char(explainer, "=:"))
            return fault_no_equals(explainer, name, before, listing, number);
        next_token(explainer);
        first = explainer->refusal == SYNTAX_TWICE && name.at >= explainer->from
                    ? earlier_setting(explainer, group, name)
                    : NULL;
        if (first != NULL)
            return fault_twice(explainer, name, first);
        if (!scan_value(explainer, name, group))
            return false;
        if (is_char(explainer, ";,"))
            next_token(explainer);
    }
    if (group == NULL)
        return true;
    if (at_end(explainer))
        return fault_not_closed(explainer, group);
    next_token(explainer);
    return true;
}

static bool read_bracket(struct explainer *explainer, struct span name, const struct bracket *outer)
{
    struct bracket bracket = {.outer = outer,
                              .at = explainer->token.at,
                              .name = name,
                              .depth = outer != NULL ? outer->depth + 1 : 1};
    if (bracket.depth > DEPTH_MAX) {
        explainer->fault = NULL;
        return false;
    }
    next_token(explainer);
    return *bracket.at == '{' ? scan_settings(explainer, &bracket) : scan_list(explainer, &bracket);
}

/* One value of setting `name`; `outer` is the bracket that it stands in. */
static bool scan_value(struct explainer *explainer, struct span name, const struct bracket *outer)
{
    struct span run;
    if (explainer->kind == TOKEN_OPEN)
        return read_bracket(explainer, name, outer);
    if (explainer->kind == TOKEN_STRING) {
        while (explainer->kind == TOKEN_STRING)
            next_token(explainer);
        return true;
    }
    if (explainer->kind != TOKEN_SCALAR)
        return fault_no_value(explainer, name, NULL);
    run = run_at(explainer, explainer->token.at);
    if (run.end > explainer->token.end)
        return fault_unquoted(explainer, name, run);
    next_token(explainer);
    return true;
}

bool syntax_fault_find(const char *text, enum syntax_refusal refusal, size_t from,
                       struct syntax_fault *fault)
{
    struct syntax_fault found = {.offset = 0};
    struct explainer explainer = {.text = text,
                                  .end = text + strlen(text),
                                  .last_end = text,
                                  .refusal = refusal,
                                  .from = text + from,
                                  .fault = &found};
    find_token(&explainer, text);
    if (scan_settings(&explainer, NULL) || explainer.fault == NULL)
        return false;
    if (refusal == SYNTAX_REFUSED && explainer.long_string != NULL &&
        explainer.long_string < text + found.offset)
        fault_at(&explainer, explainer.long_string, NULL,
                 "this string goes on over several lines: is its closing '\"' missing?");
    *fault = found;
    return true;
}
