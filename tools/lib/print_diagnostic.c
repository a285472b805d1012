/* SPDX-License-Identifier: MIT */
#include "print_diagnostic.h"

#include "console.h"
#include "failure.h"
#include "utf8.h"

#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct check_context current_context(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    struct check_context context = {.privileged = false};
    if (syscall(SYS_capget, &header, data) == 0)
        context.privileged =
            data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
    return context;
}

static void note_error(struct location at, const char *message)
{
    char line[16] = "", *text;
    if (at.line != 0)
        snprintf(line, sizeof line, ":%u", at.line);
    if (asprintf(&text, "%s%s: %s", at.file, line, message) < 0)
        return;
    failure_note(text);
    free(text);
}

void print_diagnostic(void *context, enum severity severity, struct location at,
                      const char *message)
{
    FILE *to = context;
    bool error = severity == SEVERITY_ERROR;
    if (error)
        note_error(at, message);
    fputs(colour(to, COLOUR_BOLD), to);
    print_escaped(to, at.file);
    putc(':', to);
    if (at.line)
        fprintf(to, "%u:", at.line);
    fprintf(to, " %s%s:%s %s\n", colour(to, error ? COLOUR_RED : COLOUR_YELLOW),
            error ? "error" : "warning", colour(to, COLOUR_NONE), message);
}

void print_error(void *context, enum severity severity, struct location at, const char *message)
{
    if (severity == SEVERITY_ERROR)
        print_diagnostic(context, severity, at, message);
}

/* Bytes before and after the place that are shown of a long line. */
enum { PLACE_BEFORE = 60, PLACE_BEHIND = 60 };

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

static size_t character_size(const char *at)
{
    size_t length = utf8_length(at);
    return length != 0 ? length : 1;
}

void print_place(void *context, const char *line, size_t place)
{
    FILE *to = context;
    size_t length = strlen(line);
    size_t begin = place > PLACE_BEFORE ? place - PLACE_BEFORE : 0;
    size_t end = length > place + PLACE_BEHIND ? place + PLACE_BEHIND : length;
    while (begin > 0 && continues_character(line[begin]))
        begin--;
    while (end < length && continues_character(line[end]))
        end++;
    fputs("    ", to);
    for (size_t i = begin; i < end; i += character_size(line + i))
        if (utf8_is_visible(line + i))
            fwrite(line + i, 1, character_size(line + i), to);
        else
            putc(line[i] == '\t' ? '\t' : '?', to);
    fputs("\n    ", to);
    for (size_t i = begin; i < place; i += i < length ? character_size(line + i) : 1)
        putc(i < length && line[i] == '\t' ? '\t' : ' ', to);
    fprintf(to, "%s^%s\n", colour(to, COLOUR_BOLD), colour(to, COLOUR_NONE));
}
