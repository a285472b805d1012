/* SPDX-License-Identifier: MIT */
/*
 * Parses LISTEN_PID and LISTEN_FDS.
 */
#include "handed_over.h"

#include "text.h"

enum { FIRST_PASSED = 3, PASSED_MAX = 65536 };

/* Returns a decimal number of up to 10 digits, or -1. */
static long parse_process_id(const char *text)
{
    long number = 0;
    if (text == NULL || *text == 0 || text_length(text) > 10)
        return -1;
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        number = number * 10 + (*text - '0');
    }
    return number;
}

int handed_over_end(char *const *environment, long pid)
{
    long count = parse_process_id(text_getenv(environment, "LISTEN_FDS"));
    if (count < 0 || count > PASSED_MAX ||
        parse_process_id(text_getenv(environment, "LISTEN_PID")) != pid)
        return FIRST_PASSED;
    return FIRST_PASSED + (int)count;
}
