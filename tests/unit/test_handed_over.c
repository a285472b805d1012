/* SPDX-License-Identifier: MIT */
/*
 * Which inherited descriptors were passed on purpose.
 */
#include "handed_over.h"

#include <criterion/criterion.h>

static const struct {
    const char *pid, *fds;
    int end;
} rows[] = {
    {NULL, NULL, 3},
    {"LISTEN_PID=7", "LISTEN_FDS=2", 5},
    {"LISTEN_PID=8", "LISTEN_FDS=2", 3},
    {NULL, "LISTEN_FDS=2", 3},
    {"LISTEN_PID=7", "LISTEN_FDS=0", 3},
    {"LISTEN_PID=7", "LISTEN_FDS=", 3},
    {"LISTEN_PID=7", "LISTEN_FDS=-1", 3},
    {"LISTEN_PID=7", "LISTEN_FDS=99999999999999999999", 3},
    {"LISTEN_PID=7", "LISTEN_FDS=9999999999", 3},
};

Test(handed_over, by_the_environment)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *environment[3] = {0};
        size_t count = 0;
        if (rows[i].pid != NULL)
            environment[count++] = (char *)rows[i].pid;
        if (rows[i].fds != NULL)
            environment[count++] = (char *)rows[i].fds;
        cr_expect_eq(handed_over_end(environment, 7), rows[i].end, "row %zu", i);
    }
}
