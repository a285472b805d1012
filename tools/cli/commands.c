/* SPDX-License-Identifier: MIT */
/*
 * The table of commands, and running one of them.
 */
#include "commands.h"
#include "option.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define COMMAND(name) extern const struct command name##_command;
#include "commands.def"

#define COMMAND(name) &name##_command,
const struct command *const commands[] = {
#include "commands.def"
    NULL};

enum {
    COMMANDS = sizeof commands / sizeof(const struct command *) - 1, /* without the NULL */
};

static const struct command *running;
static bool wants_json;

const struct command *command_find(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

/* Names that other tools use for a command. */
static const struct {
    const char *word;
    const char *command;
} synonyms[] = {
    {"validate", "check"},  {"verify", "check"}, {"lint", "check"},       {"test", "check"},
    {"syntax", "check"},    {"exec", "run"},     {"start", "run"},        {"launch", "run"},
    {"build", "compile"},   {"why", "explain"},  {"simulate", "explain"}, {"list", "options"},
    {"show", "inspect"},    {"ss", "inspect"},   {"status", "ps"},        {"processes", "ps"},
    {"diagnose", "doctor"}, {"set", "apply"},    {"metrics", "stats"},    {"version", "--version"},
};

const char *command_nearest(const char *name)
{
    const char *names[COMMANDS + 1] = {NULL};
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
        if (strcasecmp(name, synonyms[i].word) == 0)
            return synonyms[i].command;
    for (size_t i = 0; commands[i] != NULL; i++)
        names[i] = commands[i]->name;
    return nearest_word(name, names);
}

/* Checked before the flags are parsed, because a flag may be wrong. */
static bool asks_for_json(const struct command *command, int argc, char **argv)
{
    const struct flag *flag = command->flags;
    while (flag->name != NULL && strcmp(flag->name, "json") != 0)
        flag++;
    for (int i = 1; flag->name != NULL && i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0 || (flag->letter != '\0' && argv[i][0] == '-' &&
                                               argv[i][1] == flag->letter && argv[i][2] == '\0'))
            return true;
    return false;
}

int command_call(const struct command *command, int argc, char **argv)
{
    char name[64]; /* getopt_long() takes the caller's name from argv[0] */
    snprintf(name, sizeof name, "socktune %s", command->name);
    argv[0] = name;
    running = command;
    wants_json = asks_for_json(command, argc, argv);
    failure_set_command(command->name);
    return command->run(argc, argv);
}

bool command_wants_json(void)
{
    return wants_json;
}

const struct command *command_running(void)
{
    return running;
}

int command_misuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    command_complain(format, arguments);
    va_end(arguments);
    fprintf(stderr, "Try `socktune %s --help`.\n", running->name);
    return EXIT_USAGE;
}
