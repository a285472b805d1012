/* SPDX-License-Identifier: MIT */
/*
 * Drop-in files of systemd (systemd.unit(5)).
 */
#include "unit_dropin.h"
#include "commands.h"
#include "unit_name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_WORD_SIZE 4600
#define NAME_LETTERS   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"

static const char first_line[] = "# Written by `socktune enable";

static bool read_name(const char *word, char name[UNIT_NAME_SIZE])
{
    size_t length = strlen(word);
    if (length == 0 || *word == '.' || *word == '-' || strspn(word, NAME_LETTERS) != length)
        return false;
    return snprintf(name, UNIT_NAME_SIZE, "%s%s", word, unit_name_rest(word)) < UNIT_NAME_SIZE;
}

int unit_read_operand(int count, char *const *words, char name[UNIT_NAME_SIZE])
{
    if (count != 1)
        return command_misuse("expected the name of one unit");
    if (!read_name(*words, name))
        return command_misuse("\"%s\" is not a unit's name", *words);
    if (strcmp(unit_name_type(name), ".service") != 0)
        return command_misuse(
            "%s is not a service: name the service whose programs are to be tuned", name);
    return 0;
}

char *unit_dropin_path(const struct unit_place *place, const char *unit)
{
    const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
    const char *root = place->root != NULL ? place->root : "";
    char *path;
    int length;
    if (!place->user)
        length = asprintf(&path, "%s/etc/systemd/system/%s.d/socktune.conf", root, unit);
    else if (config != NULL && *config == '/')
        length = asprintf(&path, "%s%s/systemd/user/%s.d/socktune.conf", root, config, unit);
    else if (home != NULL && *home == '/')
        length = asprintf(&path, "%s%s/.config/systemd/user/%s.d/socktune.conf", root, home, unit);
    else {
        errno = ENOENT;
        return NULL;
    }
    return length < 0 ? NULL : path;
}

bool unit_dropin_is_foreign(const char *path)
{
    char begin[sizeof first_line] = "";
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return errno != ENOENT && errno != ENOTDIR;
    size_t got = fread(begin, 1, sizeof begin - 1, file);
    fclose(file);
    return got != sizeof begin - 1 || strcmp(begin, first_line) != 0;
}

char *unit_dropin_text(const char *unit, const char *assignments)
{
    char *text;
    return asprintf(&text, "%s %s`; `socktune disable %s` removes it.\n[Service]\n%s", first_line,
                    unit, unit, assignments) < 0
               ? NULL
               : text;
}

void unit_print_restart(const struct unit_place *place, const char *unit)
{
    const char *flag = place->user ? "--user " : "", *at = strstr(unit, "@.");
    printf("    systemctl %sdaemon-reload\n", flag);
    if (at != NULL)
        printf("    systemctl %srestart '%.*s@*%s'\n", flag, (int)(at - unit), unit, at + 1);
    else
        printf("    systemctl %srestart %s\n", flag, unit);
}

/* Writes a word of a unit file in quotes, with the escapes of systemd; on a command line "$" is
 * escaped too. False if it does not fit. */
static bool put_word(char *text, unsigned size, const char *before, const char *value,
                     bool is_command)
{
    unsigned length = (unsigned)snprintf(text, size, "\"%s", before);
    for (; *value != '\0' && length + 4 < size; value++) {
        if (strchr("\"\\", *value) != NULL)
            text[length++] = '\\';
        if (*value == '%' || (*value == '$' && is_command))
            text[length++] = *value;
        text[length++] = *value;
    }
    if (*value != '\0')
        return false;
    text[length++] = '"';
    text[length] = '\0';
    return true;
}

bool unit_environment_line(char *text, unsigned size, const char *name, const char *value)
{
    char before[64];
    unsigned length = (unsigned)snprintf(text, size, "Environment=");
    return snprintf(before, sizeof before, "%s=", name) < (int)sizeof before &&
           put_word(text + length, size - length, before, value, false);
}

bool unit_attach_line(char *text, unsigned size, const char *command, const char *rules)
{
    char program[UNIT_WORD_SIZE], word[UNIT_WORD_SIZE];
    return put_word(program, sizeof program, "-+", command, false) &&
           put_word(word, sizeof word, "", rules, true) &&
           (unsigned)snprintf(text, size, "ExecStartPost=%s attach -c %s --unit %%n --pin", program,
                              word) < size;
}
