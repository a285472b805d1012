/* SPDX-License-Identifier: MIT */
/* Reporting what libconfig refuses. */
#include "parse.h"
#include "syntax_fault.h"

#include <string.h>

/* libconfig's messages that are no syntax errors, in more words. */
static const struct {
    const char *terse;
    const char *explained;
} messages[] = {
    {"duplicate setting name", "the group has a setting of this name already"},
    {"mismatched element type in array",
     "an array [ ... ] has values of one type only; use a list ( ... )"},
    {"syntax error",
     "syntax error: a quote, comma, bracket, \"=\" or value is missing or too much, "
     "here or just before"},
};

static const char *explained(const char *terse)
{
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        if (strcmp(messages[i].terse, terse) == 0)
            return messages[i].explained;
    return terse;
}

/* The number of the line of the gathered text in which `offset` is; where the line begins. */
static unsigned line_of(const struct source *source, size_t offset, size_t *begin)
{
    unsigned line = 1;
    *begin = 0;
    for (size_t i = 0; i < offset; i++)
        if (source->text[i] == '\n') {
            *begin = i + 1;
            line++;
        }
    return line;
}

/* Call the sink for the line around `offset`. */
static void show_place(struct reader *reader, size_t begin, size_t offset)
{
    const char *text = reader->source.text + begin;
    size_t length = strcspn(text, "\n");
    if (reader->diagnostics->show == NULL)
        return;
    length -= length > 0 && text[length - 1] == '\r';
    reader->diagnostics->show(reader->diagnostics->context, arena_copy(reader->arena, text, length),
                              offset - begin);
}

static void report_fault(struct reader *reader, const struct syntax_fault *fault)
{
    size_t begin, opener_begin;
    struct location at =
        source_line(&reader->source, line_of(&reader->source, fault->offset, &begin));
    if (fault->has_opener) {
        struct location opener =
            source_line(&reader->source, line_of(&reader->source, fault->opener, &opener_begin));
        diagnose(reader->diagnostics, SEVERITY_ERROR, at, "%s; the \"%c\" on line %u is still open",
                 fault->message, reader->source.text[fault->opener], opener.line);
    } else {
        diagnose(reader->diagnostics, SEVERITY_ERROR, at, "%s", fault->message);
    }
    show_place(reader, begin, fault->offset);
}

void parse_syntax_error(struct reader *reader, struct location at, const char *otherwise)
{
    bool syntax =
        strcmp(otherwise, messages[0].terse) != 0 && strcmp(otherwise, messages[1].terse) != 0;
    struct syntax_fault fault;
    if (syntax && syntax_fault_find(reader->source.text, &fault))
        report_fault(reader, &fault);
    else
        diagnose(reader->diagnostics, SEVERITY_ERROR, at, "%s", explained(otherwise));
}
