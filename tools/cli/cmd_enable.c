/* SPDX-License-Identifier: MIT */
/*
 * socktune enable: writes the drop-in that puts a systemd unit under rules.
 */
#include "commands.h"
#include "library.h"
#include "policy_cache.h"
#include "print_diagnostic.h"
#include "unit_warnings.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_SIZE 4600

struct enable_arguments {
    const char *rules;
    const char *by;
    struct unit_place place;
    bool by_attach;
    bool dry_run;
};

/* Read and check the rules, and compile them for programs that could not run the compiler
 * themselves (system call filters). `*path` is where programs look for them, malloc()ed. Returns 0
 * or an exit status. */
static int prepare_rules(const char *rules, char **path, struct loaded *loaded)
{
    struct diagnostics diagnostics = {
        .report = print_diagnostic, .show = print_place, .context = stderr};
    struct check_context context = current_context();
    *path = absolute_path(rules);
    if (*path == NULL)
        return command_failure("%s", strerror(errno));
    if (load_rules(*path, &context, &diagnostics, loaded) != 0) {
        free(*path);
        return EXIT_RULES;
    }
    if (loaded->ruleset != NULL)
        policy_cache_keep(*path, loaded->blob, loaded->size); /* else the first program compiles */
    return 0;
}

static void warn_of_hidden_file(const char *path)
{
    static const char *const hidden[] = {"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"};
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strncmp(path, hidden[i], strlen(hidden[i])) == 0)
            unit_warn("a unit with ProtectHome= or PrivateTmp= does not see %s", path);
}

/* The lines of a drop-in that preloads, malloc()ed; NULL with errno. `rules` may be NULL. */
static char *preload_lines(const char *preload, const char *rules)
{
    char library[LINE_SIZE], where[LINE_SIZE] = "", *lines;
    if (!unit_environment_line(library, sizeof library, "LD_PRELOAD", preload) ||
        (rules != NULL && !unit_environment_line(where, sizeof where, "SOCKTUNE_RULES", rules))) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return asprintf(&lines, "%s\n%s%s", library, where, *where != '\0' ? "\n" : "") < 0 ? NULL
                                                                                        : lines;
}

/* The lines of a drop-in that attaches, malloc()ed; NULL with errno. */
static char *attach_lines(const char *rules)
{
    char self[PATH_MAX], line[2 * LINE_SIZE], *lines;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return NULL;
    self[length] = '\0';
    if (!unit_attach_line(line, sizeof line, self, rules)) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return asprintf(&lines, "%s\n", line) < 0 ? NULL : lines;
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
    if (path != NULL && unit_dropin_is_foreign(path))
        status =
            command_failure("%s is there already, and not by `socktune enable`: rename it", path);
    else if (path == NULL || make_directories(path) != 0 ||
             write_file(path, text, strlen(text)) != 0)
        status = command_failure("cannot write %s: %s", path != NULL ? path : "the drop-in",
                                 strerror(errno));
    else {
        printf("Wrote %s. For it to take effect:\n\n", path);
        unit_print_restart(place, unit);
    }
    free(path);
    return status;
}

/* Writes or prints the drop-in; frees `lines`, which may be NULL (with errno). */
static int put_drop_in(const struct enable_arguments *arguments, const char *unit, char *lines)
{
    char *text = lines != NULL ? unit_dropin_text(unit, lines) : NULL;
    int status = EXIT_SUCCESS;
    if (text == NULL)
        status = command_failure("cannot make the drop-in: %s", strerror(errno));
    else if (arguments->dry_run)
        fputs(text, stdout);
    else
        status = write_drop_in(&arguments->place, unit, text);
    free(text);
    free(lines);
    return status;
}

/* `named`: the drop-in names the rules; else programs find them by themselves. */
static int enable_preload(const struct enable_arguments *arguments, const struct unit_facts *facts,
                          const struct policy *policy, const char *rules, bool named)
{
    char *file = library_path(), *library = file != NULL ? library_for_ld_so(file) : NULL;
    char *before = unit_preload(facts),
         *preload = library != NULL ? library_instead(before, library) : NULL;
    int status;
    if (preload != NULL) {
        warn_of_hidden_file(rules);
        warn_of_hidden_file(file);
        unit_warnings(facts, policy, rules, library);
        status = put_drop_in(arguments, facts->unit, preload_lines(preload, named ? rules : NULL));
    } else if (library == NULL) {
        status = command_failure(
            "cannot find " LIBRARY_NAME " beside the socktune command or in %s", library_directory);
    } else {
        status = command_failure("ld.so cannot preload %s: %s", library, strerror(errno));
    }
    free(preload);
    free(before);
    free(library);
    free(file);
    return status;
}

static int enable_unit(const struct enable_arguments *arguments, const char *unit,
                       const char *named)
{
    const char *variable = getenv("SOCKTUNE_RULES");
    bool is_named = arguments->rules != NULL || (variable != NULL && *variable != '\0');
    struct loaded loaded;
    struct unit_facts facts;
    char *rules;
    int status = prepare_rules(named, &rules, &loaded);
    if (status != 0)
        return status;
    unit_facts_read(&arguments->place, unit, &facts);
    if (!facts.known)
        unit_warn("systemd does not know a unit %s", unit);
    status = arguments->by_attach
                 ? put_drop_in(arguments, unit, attach_lines(rules))
                 : enable_preload(arguments, &facts, &loaded.policy, rules, is_named);
    unit_facts_free(&facts);
    loaded_free(&loaded);
    free(rules);
    return status;
}

/* Read --by. Returns 0, or an exit status after a message. */
static int read_way(struct enable_arguments *arguments)
{
    arguments->by_attach = arguments->by != NULL && strcmp(arguments->by, "attach") == 0;
    if (arguments->by != NULL && !arguments->by_attach && strcmp(arguments->by, "preload") != 0)
        return command_misuse("--by \"%s\": there are preload and attach", arguments->by);
    if (arguments->by_attach && arguments->place.user)
        return command_misuse("--by attach needs root, which units of a user do not have");
    return 0;
}

static int cmd_enable(int argc, char **argv)
{
    struct enable_arguments arguments = {.rules = NULL};
    char unit[UNIT_NAME_SIZE];
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    const char *named = arguments.rules != NULL ? arguments.rules : default_rules();
    status = unit_read_operand(argc - first, argv + first, unit);
    if (status == 0)
        status = read_way(&arguments);
    if (status != 0)
        return status;
    if (named == NULL)
        return command_misuse("which rules? Name them with -c, or write /etc/socktune.d/NAME.conf");
    if (rules_are_standard_input(named))
        return command_misuse(
            "a unit cannot read rules from standard input: write them into a file");
    return enable_unit(&arguments, unit, named);
}

static const struct flag flags[] = {
    FLAG_RULES(struct enable_arguments, rules),
    {"by", 0, FLAG_VALUE, offsetof(struct enable_arguments, by), "WAY",
     "how the rules are applied: preload, or attach for programs that preloading does not reach",
     "preload attach", NULL},
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
    .synopsis = "UNIT [-c RULES] [--by WAY] [--user] [--root DIR] [--dry-run]",
    .details = "Checks the rules and writes the drop-in UNIT.d/socktune.conf, which preloads the "
               "library into the unit's programs, or, with --by attach, attaches the rules to the "
               "unit when it has started. Prints what has to be restarted; nothing is restarted "
               "here. Without -c, the programs look for their rules as always.",
    .flags = flags,
    .notes = "The exit status is 78 if the rules are wrong.",
    .operand = "<unit>",
    .run = cmd_enable,
};
