/* SPDX-License-Identifier: MIT */
/* Messages that a failing command keeps for its JSON document. */
#include "failure.h"

#include <criterion/criterion.h>
#include <string.h>

Test(failure, messages_are_joined)
{
    cr_assert_null(failure_noted());
    failure_note("first");
    failure_note("second");
    cr_assert_str_eq(failure_noted(), "first; second");
}

/* A rule file may have an error in each of its lines. */
Test(failure, only_the_first_are_kept)
{
    for (int i = 0; i < 100000; i++)
        failure_note("0123456789");
    cr_assert_lt(strlen(failure_noted()), 8300);
    cr_assert_str_eq(failure_noted() + strlen(failure_noted()) - 17, "; 0123456789; ...");
}
