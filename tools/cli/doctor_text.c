/* SPDX-License-Identifier: MIT */
/*
 * The report of `socktune doctor` as text.
 */
#include "console.h"
#include "doctor_report.h"
#include "front_ends.h"
#include "library.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_WIDTH   80
#define TEXT_SOCKETS 12 /* sockets listed in the text; --json has all */

/* Print words after the text already on the line, within TEXT_WIDTH columns; further lines are
 * indented. */
static void print_wrapped(const char *text, int indent)
{
    int column = indent;
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > TEXT_WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        printf("%.*s", length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_finding(const json_t *finding)
{
    static const enum colour colours[] = {[FINDING_OBSTACLE] = COLOUR_RED,
                                          [FINDING_WARNING] = COLOUR_YELLOW,
                                          [FINDING_INSTEAD] = COLOUR_GREEN,
                                          [FINDING_NOTE] = COLOUR_DIM};
    const char *kind = json_text_at(finding, "kind");
    const char *advice = json_text_at(finding, "advice");
    enum colour mark = COLOUR_NONE;
    for (size_t i = 0; i < sizeof doctor_kind_names / sizeof *doctor_kind_names; i++)
        if (strcmp(kind, doctor_kind_names[i]) == 0)
            mark = colours[i];
    printf("  %s%-8s%s  ", colour(stdout, mark), kind, colour(stdout, COLOUR_NONE));
    print_wrapped(json_text_at(finding, "text"), 12);
    if (advice != NULL) {
        printf("%*s", 12, "-> ");
        print_wrapped(advice, 12);
    }
}

static bool is_same_limit(const json_t *one, const json_t *other)
{
    return strcmp(json_text_at(one, "by"), json_text_at(other, "by")) == 0 &&
           strcmp(json_text_at(one, "reason"), json_text_at(other, "reason")) == 0;
}

/* Print the limit with all its options, unless it was printed together with an earlier option. */
static void print_limit(const json_t *missed, size_t index)
{
    const json_t *limit = json_array_get(missed, index);
    struct option_names names = {.count = 0};
    char subject[sizeof names.before + 128], *text;
    for (size_t i = 0; i < index; i++)
        if (is_same_limit(json_array_get(missed, i), limit))
            return;
    for (size_t i = index; i < json_array_size(missed); i++)
        if (is_same_limit(json_array_get(missed, i), limit))
            option_names_add(&names, json_text_at(json_array_get(missed, i), "option"));
    option_names_subject(&names, subject, sizeof subject);
    if (asprintf(&text, "by %s, %s %s", json_text_at(limit, "by"), subject,
                 json_text_at(limit, "reason")) < 0)
        abort();
    printf("      ");
    print_wrapped(text, 8);
    free(text);
}

static void print_rule(const json_t *rule)
{
    const json_t *options = json_object_get(rule, "options");
    const json_t *missed = json_object_get(rule, "missed");
    char place[64];
    snprintf(place, sizeof place, ":%d", (int)json_integer_value(json_object_get(rule, "line")));
    printf("    %s  (%s%s)", json_text_at(rule, "rule"), json_text_at(rule, "file"), place);
    for (size_t i = 0; i < json_array_size(options); i++)
        printf("%s%s", i ? ", " : ": ", json_string_value(json_array_get(options, i)));
    putchar('\n');
    for (size_t i = 0; i < json_array_size(missed); i++)
        print_limit(missed, i);
}

static void print_rules(const json_t *rules)
{
    const json_t *active = json_object_get(rules, "active");
    if (json_array_size(active) == 0)
        return;
    printf("  %zu of the %lld rules of %s are for it:\n", json_array_size(active),
           (long long)json_integer_value(json_object_get(rules, "total")),
           json_text_at(rules, "path"));
    for (size_t i = 0; i < json_array_size(active); i++)
        print_rule(json_array_get(active, i));
}

static void print_endpoint(const json_t *endpoint)
{
    const char *address = json_text_at(endpoint, "address");
    bool brackets = address != NULL && strchr(address, ':') != NULL;
    if (address != NULL)
        printf("%s%s%s:%d", brackets ? "[" : "", address, brackets ? "]" : "",
               (int)json_integer_value(json_object_get(endpoint, "port")));
}

static void print_sockets(const json_t *sockets, json_int_t others)
{
    size_t count = json_array_size(sockets);
    if (count == 0)
        return;
    printf("  sockets:\n");
    for (size_t i = 0; i < count && i < TEXT_SOCKETS; i++) {
        const json_t *one = json_array_get(sockets, i);
        printf("    fd %-4d %-5s %-12s ", (int)json_integer_value(json_object_get(one, "fd")),
               json_text_at(one, "protocol"), json_text_at(one, "state"));
        print_endpoint(json_object_get(one, "local"));
        printf(" -> ");
        print_endpoint(json_object_get(one, "remote"));
        putchar('\n');
    }
    if (count > TEXT_SOCKETS)
        printf("    and %zu more (--json lists them)\n", count - TEXT_SOCKETS);
    if (others)
        printf("    and %lld of other kinds (unix, netlink)\n", (long long)others);
}

static void print_executable(const json_t *executable)
{
    const char *path = json_text_at(executable, "path"), *file = json_text_at(executable, "file");
    const char *machine = json_text_at(executable, "machine");
    const char *runs = json_text_at(executable, "runs"); /* the script that `file` runs */
    if (file == NULL)
        return;
    printf("  %s", file);
    if (machine != NULL)
        printf(" (%s, %s%s)", machine,
               strcmp(json_text_at(executable, "libc"), "none") == 0
                   ? "static"
                   : json_text_at(executable, "libc"),
               json_is_true(json_object_get(executable, "go")) ? ", Go" : "");
    if (json_is_true(json_object_get(executable, "script")))
        printf(" runs the script %s%s%s", runs, strcmp(runs, path) == 0 ? "" : ", which runs ",
               strcmp(runs, path) == 0 ? "" : path);
    putchar('\n');
}

const char *doctor_verdict(const struct doctor_report *report)
{
    const json_t *process = json_object_get(report->root, "process");
    if (report->obstructed)
        return "preloading cannot reach it";
    if (report->unsure)
        return "cannot tell whether preloading reaches it";
    if (process == NULL)
        return "preloading reaches it";
    return json_is_true(json_object_get(process, "loaded"))
               ? LIBRARY_NAME " is loaded in it"
               : "preloading reaches it once it is started again";
}

void doctor_print_text(const struct doctor_report *report)
{
    const json_t *root = report->root;
    const json_t *pid = json_object_get(json_object_get(root, "process"), "pid");
    const char *program = json_text_at(root, "program");
    enum colour mark = report->obstructed ? COLOUR_RED
                       : report->unsure   ? COLOUR_YELLOW
                                          : COLOUR_GREEN;
    printf("%s%s", colour(stdout, mark), pid != NULL ? text_basename(program) : program);
    if (pid != NULL)
        printf(" (%d)", (int)json_integer_value(pid));
    printf(": %s%s\n", doctor_verdict(report), colour(stdout, COLOUR_NONE));
    print_executable(json_object_get(root, "executable"));
    for (size_t i = 0; i < json_array_size(report->findings); i++)
        print_finding(json_array_get(report->findings, i));
    print_rules(json_object_get(root, "rules"));
    print_sockets(json_object_get(root, "sockets"),
                  json_integer_value(json_object_get(root, "other_sockets")));
}
