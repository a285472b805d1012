/* SPDX-License-Identifier: MIT */
/*
 * Finding a trial and its arms in the text of a rule file.
 */
#include "trial_adopt.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "# trial = { in a comment }\n"
                           "rules = ( { name = \"trial\"; /* } */\n"
                           "  trial : { unit = \"10s\"; // )\n"
                           "    arms = ( { name = \"as it \\\"is\"; },\n"
                           "      { name = \"b\"; share = 2; set = { SO_LINGER = \"}\" \"5s\"; },\n"
                           "        default = { TCP_NODELAY = true } } );\n"
                           "    guard = { rtt = \"+5%\"; }; };\n"
                           "  final = false; } );\n";

Test(trial_adopt, the_trial_ends_behind_its_semicolon)
{
    struct text_span trial;
    cr_assert_not(trial_find_text(text, 1, &trial), "a comment");
    cr_assert_not(trial_find_text(text, 2, &trial), "a string");
    cr_assert(trial_find_text(text, 3, &trial));
    cr_assert_eq(strncmp(text + trial.begin, "trial :", 7), 0);
    cr_assert_eq(strncmp(text + trial.end, "\n  final", 8), 0);
}

Test(trial_adopt, an_arm_gives_its_statements)
{
    struct text_span trial;
    char *arm;
    cr_assert(trial_find_text(text, 3, &trial));
    arm = trial_arm_text(text, trial, 0, "\n");
    cr_assert_str_empty(arm);
    free(arm);
    arm = trial_arm_text(text, trial, 1, "\n");
    cr_assert_str_eq(arm,
                     "set = { SO_LINGER = \"}\" \"5s\"; };\ndefault = { TCP_NODELAY = true };");
    free(arm);
    cr_assert_null(trial_arm_text(text, trial, 2, "\n"));
}
