/* SPDX-License-Identifier: MIT */
/*
 * The report of `socktune doctor`. All findings go into one JSON value: --json prints it, and the
 * text is made from it, so both agree. For cmd_doctor.c and doctor_*.c.
 */
#ifndef SOCKTUNE_DOCTOR_REPORT_H
#define SOCKTUNE_DOCTOR_REPORT_H

#include "front_ends.h"
#include "match.h"
#include "obstacles.h"

#include <jansson.h>
#include <sys/types.h>

enum finding_kind {
    FINDING_OBSTACLE, /* preloading does not reach the program */
    FINDING_WARNING,  /* part of its traffic may be missed, or something may fail */
    FINDING_INSTEAD,  /* a front end that works although preloading does not */
    FINDING_NOTE,
    FINDING_KINDS
};

struct doctor_report {
    json_t *root;
    json_t *findings; /* in root */
    bool obstructed;
    bool unsure;       /* an essential fact could not be read */
    enum front_end by; /* --by; FRONT_END_COUNT: all front ends */
};

/* "obstacle" ..., by enum finding_kind. */
extern const char *const doctor_kind_names[FINDING_KINDS];

/* Add a finding; `advice` may be NULL. */
void doctor_find(struct doctor_report *report, enum finding_kind kind, const char *id,
                 const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The path for LD_PRELOAD; the caller frees it. NULL, and a finding, if there is no library. */
char *doctor_find_library(struct doctor_report *report);

/* The facts about an executable, and its obstacles (enum obstacle_bit). */
void doctor_report_executable(struct doctor_report *report, const struct executable *executable,
                              unsigned obstacles);

/* Report which rules at `path` (NULL: there are none) match a program, and what each front end
 * cannot apply of them. */
void doctor_report_rules(struct doctor_report *report, const char *path,
                         const struct identity *identity);

/* Examine a program by its command line, which ends with NULL, or a running process. `rules`:
 * --rules, or NULL. Returns 0 if there is a report, else an exit status after a message. */
int doctor_examine_program(struct doctor_report *report, char *const *command, const char *rules);
int doctor_examine_process(struct doctor_report *report, pid_t pid, const char *rules);

/* One line about whether preloading reaches the program. Static text. */
const char *doctor_verdict(const struct doctor_report *report);

/* Print the report as text. */
void doctor_print_text(const struct doctor_report *report);

#endif
