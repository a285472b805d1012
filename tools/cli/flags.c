/* SPDX-License-Identifier: MIT */
/*
 * From a table of flags to getopt_long() and back.
 */
#include "flags.h"
#include "commands.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>

/* getopt_long() answers with a flag's letter, or with this plus its row if it was spelt out. */
#define FIRST_ROW 256

static const struct flag *flag_of(const struct flag *flags, int answer)
{
    if (answer >= FIRST_ROW)
        return &flags[answer - FIRST_ROW];
    for (; flags->name; flags++)
        if (flags->letter == answer)
            return flags;
    return NULL;
}

static void carry_out(const struct flag *flag, const char *value)
{
    if (flag->kind == FLAG_SWITCH)
        *(bool *)flag->target = true;
    else
        *(const char **)flag->target = value ? value : "";
}

int parse_flags(int argc, char **argv, const struct flag *flags, enum operand_order order,
                int *status)
{
    static const int has_argument[] = {[FLAG_SWITCH] = no_argument,
                                       [FLAG_VALUE] = required_argument,
                                       [FLAG_OPTIONAL] = optional_argument};
    struct option long_options[FLAGS_MAX + 2] = {{NULL, 0, NULL, 0}};
    char letters[2 + 3 * (FLAGS_MAX + 1)] = "+";
    char *letter = letters + (order == OPERANDS_LAST);
    int row = 0;

    for (; flags[row].name; row++) {
        assert(row < FLAGS_MAX);
        long_options[row] =
            (struct option){flags[row].name, has_argument[flags[row].kind], NULL, FIRST_ROW + row};
        if (flags[row].letter)
            *letter++ = flags[row].letter;
        for (int colons = flags[row].letter ? has_argument[flags[row].kind] : 0; colons; colons--)
            *letter++ = ':';
    }
    long_options[row] = (struct option){"help", no_argument, NULL, 'h'};
    *letter++ = 'h';
    *letter = '\0';

    optind = 0; /* begins anew, whatever was parsed before */
    for (int answer; (answer = getopt_long(argc, argv, letters, long_options, NULL)) != -1;) {
        const struct flag *flag = flag_of(flags, answer);

        if (!flag) {
            *status = answer == 'h' ? command_help() : command_misuse(NULL);
            return -1;
        }
        carry_out(flag, optarg);
    }
    return optind;
}
