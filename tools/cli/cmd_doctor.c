/* SPDX-License-Identifier: MIT */
/*
 * socktune doctor: says whether preloading reaches a program, and what to do where it does not.
 */
#include "commands.h"
#include "console.h"
#include "doctor_report.h"
#include "front_end_limits.h"
#include "process_list.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *const doctor_kind_names[FINDING_KINDS] = {[FINDING_OBSTACLE] = "obstacle",
                                                      [FINDING_WARNING] = "warning",
                                                      [FINDING_INSTEAD] = "instead",
                                                      [FINDING_NOTE] = "note"};

void doctor_find(struct doctor_report *report, enum finding_kind kind, const char *id,
                 const char *advice, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    json_array_append_new(report->findings,
                          json_pack("{s:s, s:s, s:o, s:s?}", "kind", doctor_kind_names[kind], "id",
                                    id, "text", json_text(text), "advice", advice));
    free(text);
    report->obstructed |= kind == FINDING_OBSTACLE;
}

static int print_report(struct doctor_report *report, bool json)
{
    bool reachable = !report->obstructed && !report->unsure;
    json_object_set_new(report->root, "reachable",
                        !report->obstructed && report->unsure ? json_null()
                                                              : json_boolean(reachable));
    json_object_set_new(report->root, "verdict", json_string(doctor_verdict(report)));
    if (json) {
        if (print_json(json_incref(report->root)) != 0)
            return 1;
    } else {
        doctor_print_text(report);
    }
    return reachable ? 0 : 1;
}

struct doctor_arguments {
    const char *by;
    const char *rules;
    bool json;
};

static int cmd_doctor(int argc, char **argv)
{
    struct doctor_arguments arguments = {.rules = NULL};
    struct doctor_report report = {0};
    int status = 0;
    int first = parse_flags(argc, argv, &arguments, &status);
    pid_t pid;
    if (first < 0)
        return status;
    if (argc == first)
        return command_misuse("which program or process?");
    status = read_front_end(arguments.by, &report.by);
    if (status)
        return status;
    report.findings = json_array();
    report.root = json_pack("{s:O}", "findings", report.findings);
    if (argc - first != 1 || !read_pid(argv[first], &pid))
        pid = 0; /* a program */
    status = pid ? doctor_examine_process(&report, pid, arguments.rules)
                 : doctor_examine_program(&report, argv + first, arguments.rules);
    if (status == 0)
        status = print_report(&report, arguments.json);
    json_decref(report.findings);
    json_decref(report.root);
    return status;
}

static const struct flag flags[] = {
    FLAG_RULES(struct doctor_arguments, rules),
    FLAG_BY(struct doctor_arguments, by),
    FLAG_JSON(struct doctor_arguments, json),
    FLAGS_END,
};

const struct command doctor_command = {
    .name = "doctor",
    .summary = "find out whether preloading reaches a program",
    .synopsis = "[-c RULES] [--by WAY] [--json] PROGRAM [ARGUMENT...] | PID",
    .details =
        "PROGRAM is looked up in PATH, as a shell does; a number is a running process (for a "
        "program with such a name, write ./NUMBER). Prints what prevents preloading and what to "
        "do instead, which rules are for the program, and the sockets of a process.",
    .flags = flags,
    .notes = "The exit status is 0 if preloading reaches the program, 1 if it does not or if that "
             "cannot be determined, and 127 if there is no such program or process.",
    .operand = "<program>",
    .operands_last = true,
    .run = cmd_doctor,
};
