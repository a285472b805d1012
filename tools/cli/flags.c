/* SPDX-License-Identifier: MIT */
/*
 * Converts the table of flags for getopt_long(), and its results back.
 */
#include "flags.h"
#include "commands.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* getopt_long() returns a flag's letter, or this plus its row for a long flag. */
#define FIRST_ROW 256

#define LETTERS_SIZE (2 + 3 * (FLAGS_MAX + 1))

static const int has_argument[] = {[FLAG_SWITCH] = no_argument,
                                   [FLAG_VALUE] = required_argument,
                                   [FLAG_OPTIONAL] = optional_argument};

static const struct flag *flag_of(const struct flag *flags, int answer)
{
    if (answer >= FIRST_ROW)
        return &flags[answer - FIRST_ROW];
    for (; flags != NULL && flags->name != NULL; flags++)
        if (flags->letter == answer)
            return flags;
    return NULL;
}

static void flag_set(const struct flag *flag, const char *value, void *request)
{
    void *target = (char *)request + flag->target;
    if (flag->kind == FLAG_SWITCH)
        *(bool *)target = true;
    else
        *(const char **)target = value != NULL ? value : "";
}

/* Both arguments of getopt_long(). A "+" makes it stop at the first operand. */
static void make_getopt_tables(const struct command *command, struct option options[FLAGS_MAX + 2],
                               char letters[LETTERS_SIZE])
{
    const struct flag *flag = command->flags;
    if (command->operands_last)
        *letters++ = '+';
    for (int row = 0; flag->name != NULL; flag++, row++) {
        assert(row < FLAGS_MAX);
        *options++ = (struct option){flag->name, has_argument[flag->kind], NULL, FIRST_ROW + row};
        if (flag->letter == 0)
            continue;
        *letters++ = flag->letter;
        for (int colons = has_argument[flag->kind]; colons > 0; colons--)
            *letters++ = ':';
    }
    *options++ = (struct option){"help", no_argument, NULL, 'h'};
    *options = (struct option){NULL, 0, NULL, 0};
    *letters++ = 'h';
    *letters = '\0';
}

/* Report what getopt_long() found wrong, in its own words. getopt_long() does not print them
 * itself, so that --json can include them. */
static int misused_flag(const struct command *command, char **argv)
{
    const char *word = argv[optind - 1];
    const struct flag *flag = optopt != 0 ? flag_of(command->flags, optopt) : NULL;
    const bool spelt_out = strncmp(word, "--", 2) == 0;
    if (flag == NULL && spelt_out)
        return command_misuse("unrecognized option '%s'", word);
    if (flag == NULL)
        return command_misuse("invalid option -- '%c'", optopt);
    if (flag->kind == FLAG_SWITCH)
        return command_misuse("option '--%s' doesn't allow an argument", flag->name);
    return spelt_out ? command_misuse("option '%s' requires an argument", word)
                     : command_misuse("option requires an argument -- '%c'", optopt);
}

int parse_flags(int argc, char **argv, void *request, int *status)
{
    const struct command *command = command_running();
    struct option options[FLAGS_MAX + 2];
    char letters[LETTERS_SIZE];
    make_getopt_tables(command, options, letters);
    optind = 0; /* restarts getopt_long() */
    opterr = 0;
    for (int answer; (answer = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
        const struct flag *flag = flag_of(command->flags, answer);
        if (flag == NULL) {
            *status = answer == 'h' ? command_help(command) : misused_flag(command, argv);
            return -1;
        }
        flag_set(flag, optarg, request);
    }
    return optind;
}
