/* SPDX-License-Identifier: MIT */
/*
 * Drop-in files of systemd (systemd.unit(5)), and asking systemctl(1).
 */
#include "unit_dropin.h"
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_SIZE  8192
#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"

static bool read_name(const char *word, char name[UNIT_NAME_SIZE])
{
    const char *suffix = strchr(word, '.') != NULL ? "" : ".service";
    size_t length = strlen(word);
    if (length == 0 || *word == '.' || *word == '-' || strspn(word, NAME_LETTERS) != length)
        return false;
    return snprintf(name, UNIT_NAME_SIZE, "%s%s", word, suffix) < UNIT_NAME_SIZE;
}

int unit_read_operand(int count, char *const *words, char name[UNIT_NAME_SIZE])
{
    if (count != 1)
        return command_misuse("expected the name of one unit");
    return read_name(*words, name) ? 0 : command_misuse("\"%s\" is not a unit's name", *words);
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

/* What a command writes, cut off at ANSWER_SIZE. False if it could not be run or failed. */
static bool run_command(const char *const *argv, char answer[ANSWER_SIZE])
{
    posix_spawn_file_actions_t actions;
    int ends[2], status = -1;
    pid_t pid;
    size_t length = 0;
    ssize_t got;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int error = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    while (error == 0 && (got = read(ends[0], answer + length, ANSWER_SIZE - 1 - length)) > 0)
        length += (size_t)got;
    answer[length] = '\0';
    close(ends[0]);
    return error == 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* The value of LD_PRELOAD in what `systemctl show` says of Environment; malloc()ed. */
static char *find_preload(const char *answer)
{
    static const char variable[] = "LD_PRELOAD=";
    const char *at = answer, *found = NULL;
    while ((at = strstr(at, variable)) != NULL) {
        if (at == answer || strchr(" \"=", at[-1]) != NULL)
            found = at + strlen(variable);
        at += strlen(variable);
    }
    return found != NULL ? strndup(found, strcspn(found, " \"\n")) : NULL;
}

char *unit_preload(const struct unit_place *place, const char *unit, bool *known)
{
    char answer[ANSWER_SIZE];
    const char *argv[] = {"systemctl", place->user ? "--user" : "--system",
                          "show",      "--property=LoadState,Environment",
                          unit,        NULL};
    *known = true;
    if (place->root != NULL || !run_command(argv, answer))
        return NULL;
    *known = strstr(answer, "LoadState=not-found") == NULL;
    return find_preload(answer);
}

bool unit_environment_line(char *text, unsigned size, const char *name, const char *value)
{
    unsigned length = (unsigned)snprintf(text, size, "Environment=\"%s=", name);
    for (; *value != '\0' && length + 4 < size; value++) {
        if (strchr("\"\\", *value) != NULL)
            text[length++] = '\\';
        if (*value == '%')
            text[length++] = '%';
        text[length++] = *value;
    }
    if (*value != '\0')
        return false;
    text[length++] = '"';
    text[length] = '\0';
    return true;
}
