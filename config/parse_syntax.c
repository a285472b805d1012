/* SPDX-License-Identifier: MIT */
/* Reporting what libconfig refuses. */
#include "parse.h"
#include "syntax_fault.h"

#include <string.h>

/* libconfig's messages, and what is said in their place where the mistake is not found. */
static const struct refusal_message {
    const char *terse;
    enum syntax_refusal refusal;
    const char *explained;
} messages[] = {
    {"duplicate setting name", SYNTAX_TWICE, "the group has a setting of this name already"},
    {"mismatched element type in array", SYNTAX_MIXED_ARRAY,
     "an array [ ... ] has values of one type only; use a list ( ... )"},
    {"syntax error", SYNTAX_REFUSED,
     "syntax error: a quote, comma, bracket, \"=\" or value is missing or too much, "
     "here or just before"},
};

static const struct refusal_message *message_for(const char *terse)
{
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++)
        if (strcmp(messages[i].terse, terse) == 0)
            return &messages[i];
    return NULL;
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
    size_t begin, other_begin;
    struct location at =
        source_line(&reader->source, line_of(&reader->source, fault->offset, &begin));
    if (fault->has_opener) {
        struct location opener =
            source_line(&reader->source, line_of(&reader->source, fault->opener, &other_begin));
        diagnose(reader->diagnostics, SEVERITY_ERROR, at, "%s; the \"%c\" on line %u is still open",
                 fault->message, reader->source.text[fault->opener], opener.line);
    } else if (fault->has_first) {
        struct location first =
            source_line(&reader->source, line_of(&reader->source, fault->first, &other_begin));
        bool same_file = strcmp(first.file, at.file) == 0;
        diagnose(reader->diagnostics, SEVERITY_ERROR, at, "%s, first on line %u%s%s: %s",
                 fault->message, first.line, same_file ? "" : " of ", same_file ? "" : first.file,
                 fault->remedy);
    } else {
        diagnose(reader->diagnostics, SEVERITY_ERROR, at, "%s", fault->message);
    }
    show_place(reader, begin, fault->offset);
}

/* Where line `line` of a text begins, or its end. */
static size_t offset_of_line(const char *text, int line)
{
    const char *at = text;
    for (; line > 1 && *at != '\0'; line--)
        at += strcspn(at, "\n") + (at[strcspn(at, "\n")] == '\n');
    return (size_t)(at - text);
}

/* Some lines before the one where libconfig has stopped: it reads a little ahead. */
static size_t offset_of_refusal(const struct reader *reader)
{
    return reader->config_open
               ? offset_of_line(reader->source.text, config_error_line(&reader->config) - 3)
               : 0;
}

void parse_syntax_error(struct reader *reader, struct location at, const char *otherwise)
{
    const struct refusal_message *message = message_for(otherwise);
    struct syntax_fault fault;
    if (syntax_fault_find(reader->source.text, message != NULL ? message->refusal : SYNTAX_REFUSED,
                          offset_of_refusal(reader), &fault))
        report_fault(reader, &fault);
    else
        diagnose(reader->diagnostics, SEVERITY_ERROR, at, "%s",
                 message != NULL ? message->explained : otherwise);
}
