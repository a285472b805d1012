/* SPDX-License-Identifier: MIT */
/*
 * Asks systemctl(1) about a unit.
 */
#include "unit_facts.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_SIZE (256u << 10) /* a system call filter is listed call by call */

/* The standard output of a command, cut off at ANSWER_SIZE, malloc()ed; NULL if the command fails.
 */
static char *output_of(const char *const *argv)
{
    posix_spawn_file_actions_t actions;
    char *answer = malloc(ANSWER_SIZE);
    int ends[2], status = -1;
    pid_t pid;
    size_t length = 0;
    ssize_t got;
    if (answer == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        free(answer);
        return NULL;
    }
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
    if (error == 0 && waitpid(pid, &status, 0) == pid && status == 0)
        return answer;
    free(answer);
    return NULL;
}

/* The unit's name, or that of its template: "getty@.service" of "getty@tty1.service". */
static bool has_unit_file(const char *root, const char *unit)
{
    static const char *const folders[] = {"etc", "run", "usr/local/lib", "usr/lib", "lib"};
    const char *at = strchr(unit, '@');
    int length = at != NULL ? (int)(at + 1 - unit) : (int)strlen(unit);
    const char *suffix = at != NULL ? strrchr(unit, '.') : "";
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path;
        if (asprintf(&path, "%s/%s/systemd/system/%.*s%s", root, folders[i], length, unit, suffix) <
            0)
            return false;
        bool found = access(path, F_OK) == 0;
        free(path);
        if (found)
            return true;
    }
    return false;
}

void unit_facts_read(const struct unit_place *place, const char *unit, struct unit_facts *facts)
{
    char *instance = NULL;
    const char *at = strstr(unit, "@.");
    if (at != NULL && asprintf(&instance, "%.*s@socktune%s", (int)(at - unit), unit, at + 1) < 0)
        instance = NULL;
    const char *argv[] = {"systemctl", place->user ? "--user" : "--system", "show",
                          "--",        instance != NULL ? instance : unit,  NULL};
    *facts = (struct unit_facts){.unit = unit,
                                 .properties = place->root == NULL ? output_of(argv) : NULL};
    if (facts->properties != NULL)
        facts->known = strstr(facts->properties, "LoadState=not-found\n") == NULL;
    else
        facts->known = place->user || has_unit_file(place->root != NULL ? place->root : "", unit);
    free(instance);
}

void unit_facts_free(struct unit_facts *facts)
{
    free(facts->properties);
}

const char *unit_facts_next(const struct unit_facts *facts, const char *name, const char *from)
{
    size_t length = strlen(name);
    const char *line = from != NULL ? strchr(from, '\n') : facts->properties;
    while (line != NULL && *line != '\0') {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == '=')
            return line + length + 1;
        line = strchr(line, '\n');
    }
    return NULL;
}

char *unit_facts_value(const struct unit_facts *facts, const char *name)
{
    const char *value = unit_facts_next(facts, name, NULL);
    return value != NULL && *value != '\n' && *value != '\0' ? strndup(value, strcspn(value, "\n"))
                                                             : NULL;
}

char *unit_preload(const struct unit_facts *facts)
{
    static const char variable[] = "LD_PRELOAD=";
    char *environment = unit_facts_value(facts, "Environment"), *at = environment, *found = NULL;
    while (at != NULL && (at = strstr(at, variable)) != NULL) {
        if (at == environment || strchr(" \"", at[-1]) != NULL)
            found = at + strlen(variable);
        at += strlen(variable);
    }
    char *result = found != NULL ? strndup(found, strcspn(found, " \"")) : NULL;
    free(environment);
    return result;
}
