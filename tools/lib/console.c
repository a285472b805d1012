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

    return isatty(fileno(to)) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
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

int print_json(json_t *value)
{
    int failed = !value || json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) != 0;

    if (failed)
        fputs("socktune: cannot write JSON\n", stderr);
    else
        putchar('\n');
    json_decref(value);
    return failed;
}
