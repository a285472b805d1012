/* SPDX-License-Identifier: MIT */
/*
 * Colours and JSON on standard output.
 */
#include "console.h"
#include "utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool colours_wanted(FILE *to)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fileno(to)) && !(no_color != NULL && *no_color) &&
           !(term != NULL && strcmp(term, "dumb") == 0);
}

const char *colour(FILE *to, enum colour which)
{
    static const char *const sequences[] = {
        [COLOUR_NONE] = "\033[0m", [COLOUR_BOLD] = "\033[1m",    [COLOUR_DIM] = "\033[2m",
        [COLOUR_RED] = "\033[31m", [COLOUR_YELLOW] = "\033[33m", [COLOUR_GREEN] = "\033[32m",
    };
    return colours_wanted(to) ? sequences[which] : "";
}

const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

json_t *json_text(const char *text)
{
    char *escaped = text != NULL ? utf8_escaped(text) : NULL;
    json_t *value = text == NULL ? json_null() : escaped != NULL ? json_string(escaped) : NULL;
    free(escaped);
    return value;
}

void print_escaped(FILE *to, const char *text)
{
    char *escaped = utf8_escaped(text);
    fputs(escaped != NULL ? escaped : "?", to);
    free(escaped);
}

const char *json_text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

json_t *json_versioned(json_t *value)
{
    json_t *document = json_pack("{s:i}", "version", JSON_VERSION);
    if (document == NULL || value == NULL || json_object_update_missing(document, value) != 0) {
        json_decref(document);
        document = NULL;
    }
    json_decref(value);
    return document;
}

static bool printed;

bool json_was_printed(void)
{
    return printed;
}

int print_json(json_t *value)
{
    json_t *document = json_versioned(value);
    int failed =
        document == NULL || json_dumpf(document, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0;
    if (failed)
        fputs("socktune: cannot write JSON\n", stderr);
    else
        putchar('\n');
    printed = printed || !failed;
    json_decref(document);
    return failed;
}
