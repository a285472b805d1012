/* SPDX-License-Identifier: MIT */
/* Numbered rule files, each with the findings that it must produce. */
#ifndef SOCKTUNE_TEST_FIXTURE_H
#define SOCKTUNE_TEST_FIXTURE_H

#include "rules.h"

#include <stdio.h>
#include <string.h>

/* Findings as printed, one per line: "file:line: error: message". */
struct transcript {
    char text[16384];
    size_t length;
};

/* Diagnostics that write into the transcript. */
struct diagnostics transcript_start(struct transcript *transcript);

/* The contents of a file as a string that the caller frees; NULL if it cannot be read. */
char *read_whole(const char *path);

/* The path of the test's own directory, which becomes the current one. */
extern char scratch[];
void enter_scratch(void);
void leave_scratch(void);

/*
 * Go into tests/fixtures/DIRECTORY and read each N-name.conf. If `context` is given and there is no
 * error, check it too. Compare the findings with N-name.expect. Returns the number of files.
 */
int each_fixture(const char *directory, const struct check_context *context);

#endif
