/* SPDX-License-Identifier: MIT */
/*
 * socktune enable: writes the drop-in that puts a systemd unit under rules.
 */
#include "commands.h"
#include "library.h"
#include "policy_cache.h"
#include "print_diagnostic.h"
#include "unit_dropin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define LINE_SIZE 4600

struct enable_arguments {
    const char *rules;
    struct unit_place place;
    bool dry_run;
};

/* The rules by which a program of the unit finds its policy at its start: they are checked, and
 * compiled for programs that could not run the compiler themselves (system call filters). NULL
 * with `*status`. */
static char *prepare_rules(const char *rules, int *status)
{
    struct diagnostics diagnostics = {
        .report = print_diagnostic, .show = print_place, .context = stderr};
    struct check_context context = current_context();
    struct loaded loaded;
    char *path = absolute_path(rules);
    if (path == NULL) {
        *status = command_failure("%s", strerror(errno));
        return NULL;
    }
    if (load_rules(path, &context, &diagnostics, &loaded) != 0) {
        free(path);
        *status = EXIT_RULES;
        return NULL;
    }
    if (loaded.ruleset != NULL)
        policy_cache_keep(path, loaded.blob, loaded.size); /* else the first program compiles */
    loaded_free(&loaded);
    return path;
}

static void warn_of_hidden_rules(const char *rules)
{
    static const char *const hidden[] = {"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strncmp(rules, hidden[i], strlen(hidden[i])) == 0)
            fprintf(
                stderr,
                "socktune enable: warning: a unit with ProtectHome= or PrivateTmp= does not see "
                "%s; put the rules below /etc\n",
                rules);
}

/* The whole drop-in, malloc()ed; NULL with errno. */
static char *drop_in_text(const char *unit, const char *preload, const char *rules)
{
    char library[LINE_SIZE], where[LINE_SIZE] = "";
    char *text;
    if (!unit_environment_line(library, sizeof library, "LD_PRELOAD", preload) ||
        (rules != NULL && !unit_environment_line(where, sizeof where, "SOCKTUNE_RULES", rules))) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    int length = asprintf(&text,
                          "# Written by `socktune enable %s`; `socktune disable %s` removes it.\n"
                          "[Service]\n%s\n%s%s",
                          unit, unit, library, where, *where != '\0' ? "\n" : "");
    return length < 0 ? NULL : text;
}

/* Make the directories above `path`. */
static int make_directories(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int failed = mkdir(path, 0755);
        *slash = '/';
        if (failed && errno != EEXIST)
            return -1;
    }
    return 0;
}

static int write_drop_in(const struct unit_place *place, const char *unit, const char *text)
{
    char *path = unit_dropin_path(place, unit);
    int status = EXIT_SUCCESS;
    if (path == NULL || make_directories(path) != 0 || write_file(path, text, strlen(text)) != 0)
        status = command_failure("cannot write %s: %s", path != NULL ? path : "the drop-in",
                                 strerror(errno));
    else
        printf("Wrote %s. For it to take effect:\n\n"
               "    systemctl %sdaemon-reload\n    systemctl %srestart %s\n",
               path, place->user ? "--user " : "", place->user ? "--user " : "", unit);
    free(path);
    return status;
}

/* What the unit is to have in LD_PRELOAD; malloc()ed, NULL with errno. */
static char *preload_of(const struct unit_place *place, const char *unit)
{
    char *path = library_path(), *library = path != NULL ? library_for_ld_so(path) : NULL;
    bool known;
    char *before = unit_preload(place, unit, &known);
    char *list = library != NULL ? library_appended(before, library) : NULL;
    if (!known)
        fprintf(stderr, "socktune enable: warning: systemd does not know a unit %s\n", unit);
    free(before);
    free(library);
    free(path);
    return list;
}

static int enable_unit(const struct enable_arguments *arguments, const char *unit)
{
    const char *named = arguments->rules != NULL ? arguments->rules : default_rules();
    int status = EXIT_SUCCESS;
    char *rules = named != NULL ? prepare_rules(named, &status) : NULL;
    if (named == NULL)
        return command_misuse("which rules? Name them with -c");
    if (rules == NULL)
        return status;
    warn_of_hidden_rules(rules);
    char *preload = preload_of(&arguments->place, unit);
    char *text = preload != NULL
                     ? drop_in_text(unit, preload, arguments->rules != NULL ? rules : NULL)
                     : NULL;
    if (text == NULL)
        status = command_failure("cannot preload the library: %s", strerror(errno));
    else if (arguments->dry_run)
        fputs(text, stdout);
    else
        status = write_drop_in(&arguments->place, unit, text);
    free(text);
    free(preload);
    free(rules);
    return status;
}

static int cmd_enable(int argc, char **argv)
{
    struct enable_arguments arguments = {.rules = NULL};
    char unit[UNIT_NAME_SIZE];
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    status = unit_read_operand(argc - first, argv + first, unit);
    return status != 0 ? status : enable_unit(&arguments, unit);
}

static const struct flag flags[] = {
    FLAG_RULES(struct enable_arguments, rules),
    {"user", 0, FLAG_SWITCH, offsetof(struct enable_arguments, place.user), NULL,
     "a unit of your own systemd instance", NULL, NULL},
    {"root", 0, FLAG_VALUE, offsetof(struct enable_arguments, place.root), "DIR",
     "write below DIR, into the image of another system", "<file>", NULL},
    {"dry-run", 'n', FLAG_SWITCH, offsetof(struct enable_arguments, dry_run), NULL,
     "print the drop-in, and write nothing", NULL, NULL},
    FLAGS_END,
};

const struct command enable_command = {
    .name = "enable",
    .summary = "put a systemd unit under rules",
    .synopsis = "UNIT [-c RULES] [--user] [--root DIR] [--dry-run]",
    .details = "Checks the rules and writes the drop-in UNIT.d/socktune.conf, which preloads the "
               "library into the unit's programs. Prints what has to be restarted; nothing is "
               "restarted here. Without -c, the programs look for their rules as always.",
    .flags = flags,
    .notes = "The exit status is 78 if the rules are wrong.",
    .operand = "<unit>",
    .run = cmd_enable,
};
