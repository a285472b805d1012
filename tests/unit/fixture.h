/* SPDX-License-Identifier: MIT */
/* Numbered rule files, each with the findings that it must give. */
#ifndef SOCKTUNE_TEST_FIXTURE_H
#define SOCKTUNE_TEST_FIXTURE_H

#include "rules.h"

#include <stdio.h>
#include <string.h>

/* Findings as a person sees them, one a line: "file:line: error: message". */
struct transcript {
    char text[16384];
    size_t length;
};

/* Diagnostics that write into the transcript. */
struct diagnostics transcript_start(struct transcript *transcript);

/* The bytes of a file as a string that the caller frees; NULL when it cannot be read. */
char *read_whole(const char *path);

/* A directory of the test's own, to be the current one; its path. */
extern char scratch[];
void enter_scratch(void);
void leave_scratch(void);

/*
 * Go into tests/fixtures/DIRECTORY, read each N-name.conf there, check it if `context` is given
 * and it has no error, and compare what was found with N-name.expect. Returns how many there were.
 */
int each_fixture(const char *directory, const struct check_context *context);

#endif
