/* SPDX-License-Identifier: MIT */
/*
 * socktune, the command: finds the requested subcommand and runs it.
 */
#include "commands.h"
#include "console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(FILE *to)
{
    fputs("Usage: socktune COMMAND [ARGUMENT...]\n"
          "       socktune help [COMMAND]\n"
          "       socktune --help | --version\n"
          "\n"
          "Sets socket options in programs by rules, without changing the programs.\n"
          "\n"
          "Commands:\n",
          to);
    for (size_t i = 0; commands[i] != NULL; i++)
        fprintf(to, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n"
          "`socktune COMMAND --help` explains a command, socktune(1) all of them.\n",
          to);
}

static int report_unknown(const char *what, const char *name)
{
    const char *near = command_nearest(name);
    fprintf(stderr, "socktune: unknown %s \"%s\"", what, name);
    if (near != NULL)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fputs("\nTry `socktune --help`.\n", stderr);
    return EXIT_USAGE;
}

/* socktune help [COMMAND] */
static int print_command_help(int count, char **names)
{
    const char *name = count > 0 ? names[0] : NULL;
    const struct command *command = name != NULL ? command_find(name) : NULL;
    if (count > 1) {
        fprintf(stderr, "socktune: unexpected argument \"%s\"\nTry `socktune --help`.\n", names[1]);
        return EXIT_USAGE;
    }
    if (command != NULL)
        return command_help(command);
    if (name != NULL && strcmp(name, "help") != 0 && strcmp(name, "--help") != 0 &&
        strcmp(name, "-h") != 0)
        return report_unknown("command", name);
    print_help(stdout);
    return EXIT_SUCCESS;
}

/* For the completion scripts: list the commands, or the flags of one. */
static int print_completion(const char *name)
{
    const struct command *command = name != NULL ? command_find(name) : NULL;
    if (command != NULL)
        command_print_completion(command);
    for (size_t i = 0; name == NULL && commands[i] != NULL; i++)
        printf("%s|%s\n", commands[i]->name, commands[i]->summary);
    return EXIT_SUCCESS;
}

/* A write error (a full disk, for example) must not be reported as success. */
static int close_output(int status)
{
    if (status != 0 && command_wants_json() && !json_was_printed() && failure_noted() != NULL)
        (void)print_json(json_pack("{s:o}", "error", json_text(failure_noted())));
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("socktune: standard output");
        return status != 0 ? status : EXIT_FAILURE;
    }
    return status;
}

int main(int argc, char **argv)
{
    const char *first = argc > 1 ? argv[1] : "", *second = argc > 2 ? argv[2] : NULL;
    const struct command *command = command_find(first);
    if (command != NULL)
        return close_output(command_call(command, argc - 1, argv + 1));
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0)
        return close_output(print_command_help(0, NULL));
    if (strcmp(first, "help") == 0)
        return close_output(print_command_help(argc - 2, argv + 2));
    if (strcmp(first, "--complete") == 0)
        return close_output(print_completion(second));
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        puts("socktune " SOCKTUNE_VERSION);
        return close_output(EXIT_SUCCESS);
    }
    return report_unknown(first[0] == '-' ? "option" : "command", first);
}
