/* SPDX-License-Identifier: MIT */
/*
 * socktune, the command: finds the command that is asked for and runs it.
 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_help(FILE *to)
{
    size_t count;
    const struct command *table = command_table(&count);

    fputs("Usage: socktune COMMAND [ARGUMENT...]\n"
          "       socktune --help | --version\n"
          "\n"
          "Tunes the sockets of programs by rules, without changing the programs.\n"
          "\n"
          "Commands:\n",
          to);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "  %-9s %s\n", table[i].name, table[i].summary);
    fputs("\n"
          "`socktune COMMAND --help` tells more of a command; so does socktune(1).\n",
          to);
}

static int unknown(const char *what, const char *name)
{
    const char *near = command_nearest(name);

    fprintf(stderr, "socktune: unknown %s \"%s\"", what, name);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?", near);
    fputs("\n\n", stderr);
    print_help(stderr);
    return EXIT_USAGE;
}

/* A write error (a full disk, say) must not pass for success. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("socktune: standard output");
        return status ? status : EXIT_FAILURE;
    }
    return status;
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return finish(EXIT_SUCCESS);
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("socktune " SOCKTUNE_VERSION);
        return finish(EXIT_SUCCESS);
    }
    command = command_find(argv[1]);
    if (!command)
        return unknown(argv[1][0] == '-' ? "option" : "command", argv[1]);
    return finish(command_run(command, argc - 1, argv + 1));
}
