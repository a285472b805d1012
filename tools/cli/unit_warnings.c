/* SPDX-License-Identifier: MIT */
/*
 * What keeps rules from the programs of a unit.
 */
#include "unit_warnings.h"

#include "match.h"
#include "obstacles.h"
#include "policy_file.h"
#include "utf8.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENVIRONMENT_LIMIT (1u << 20)
#define WORDS_MAX         64

/* With any of these, systemd (252) installs a seccomp filter before it starts the program.
 * DynamicUser= implies RestrictSUIDSGID=. */
static const char *const filters[] = {"SystemCallFilter",       "SystemCallArchitectures",
                                      "SystemCallLog",          "RestrictAddressFamilies",
                                      "RestrictNamespaces",     "RestrictRealtime",
                                      "RestrictSUIDSGID",       "LockPersonality",
                                      "MemoryDenyWriteExecute", "PrivateDevices",
                                      "ProtectClock",           "ProtectHostname",
                                      "ProtectKernelModules",   "ProtectKernelLogs",
                                      "ProtectKernelTunables"};

void unit_warn(const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    text = utf8_vprintable(format, arguments);
    va_end(arguments);
    if (text != NULL)
        fprintf(stderr, "socktune enable: warning: %s\n", text);
    free(text);
}

static void warn_of_filter(const struct unit_facts *facts, const char *rules)
{
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        char *value = unit_facts_value(facts, filters[i]);
        bool is_set = value != NULL && strcmp(value, "no") != 0;
        free(value);
        if (is_set) {
            unit_warn("%s starts under a seccomp filter (%s=): run `socktune compile %s` after "
                      "each change of the rules; socktuned gets no reports from it",
                      facts->unit, filters[i], rules);
            return;
        }
    }
}

static void warn_of_root(const struct unit_facts *facts)
{
    static const char *const roots[] = {"RootDirectory", "RootImage"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        char *value = unit_facts_value(facts, roots[i]);
        if (value != NULL && strcmp(value, "/") != 0)
            unit_warn(
                "%s runs in %s (%s=): the library and the rules must be there too; see socktune(7)",
                facts->unit, value, roots[i]);
        free(value);
    }
}

static bool sets_preload(const char *path)
{
    size_t size;
    char *text = read_file(path, ENVIRONMENT_LIMIT, &size);
    bool found = false;
    for (char *line = text; line != NULL && line < text + size; line += strcspn(line, "\n") + 1) {
        line += strspn(line, " \t");
        found = found || strncmp(line, "LD_PRELOAD=", strlen("LD_PRELOAD=")) == 0;
    }
    free(text);
    return found;
}

/* EnvironmentFile= overrides Environment=. */
static void warn_of_environment_files(const struct unit_facts *facts, const char *library)
{
    const char *value = NULL;
    while ((value = unit_facts_next(facts, "EnvironmentFiles", value)) != NULL) {
        char *path = strndup(value, strcspn(value, " \n"));
        if (path != NULL && sets_preload(path))
            unit_warn("%s sets LD_PRELOAD, which overrides the drop-in: add %s to that line", path,
                      library);
        free(path);
    }
}

/* The words of the first ExecStart=, in place in `line`, ended by NULL. False if there is none. */
static bool read_command(char *line, char *words[WORDS_MAX + 1])
{
    char *at = line != NULL ? strstr(line, " argv[]=") : NULL, *save = NULL;
    size_t count = 0;
    if (at == NULL)
        return false;
    at += strlen(" argv[]=");
    char *end = strstr(at, " ; ");
    if (end != NULL)
        *end = '\0';
    for (char *word = strtok_r(at, " ", &save); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &save))
        words[count++] = word;
    words[count] = NULL;
    return count > 0;
}

/* The user of the unit's program. With DynamicUser= it is not known yet, but it is not root. */
struct unit_user {
    uid_t uid;
    gid_t gid;
    bool known;
};

static struct unit_user read_user(const struct unit_facts *facts)
{
    struct unit_user user = {.known = true};
    char *name = unit_facts_value(facts, "User"), *dynamic = unit_facts_value(facts, "DynamicUser");
    const struct passwd *entry = name != NULL ? getpwnam(name) : NULL;
    if (entry != NULL)
        user = (struct unit_user){.uid = entry->pw_uid, .gid = entry->pw_gid, .known = true};
    else if (name != NULL || (dynamic != NULL && strcmp(dynamic, "yes") == 0))
        user = (struct unit_user){.uid = (uid_t)-2, .gid = (gid_t)-2};
    free(name);
    free(dynamic);
    return user;
}

static void warn_without_rule(const struct unit_facts *facts, const struct policy *policy,
                              const struct executable *executable, char *const *words,
                              const struct unit_user *user)
{
    uint32_t *rules = calloc(policy->rule_count + 1, sizeof *rules);
    char *slice = unit_facts_value(facts, "Slice"), *cgroup = NULL;
    const char **argv = executable_command_line(executable, words);
    if (asprintf(&cgroup, "/%s/%s", slice != NULL ? slice : "system.slice", facts->unit) < 0)
        cgroup = NULL;
    struct identity identity = {.executable = executable->file,
                                .argv = argv,
                                .uid = user->uid,
                                .gid = user->gid,
                                .cgroup = cgroup};
    if (rules != NULL && argv != NULL && active_rules(policy, &identity, rules) == 0)
        unit_warn("no rule is for %s, which %s starts; what it starts itself may have rules",
                  words[0], facts->unit);
    free(argv);
    free(cgroup);
    free(slice);
    free(rules);
}

static void warn_of_obstacles(const char *program, const struct executable *executable,
                              const char *library, const struct unit_user *user)
{
    struct launch launch = {.library = library, .uid = user->uid, .gid = user->gid};
    size_t count;
    const struct obstacle *table = obstacle_table(&count);
    unsigned obstacles = executable_obstacles(executable, &launch) & ~(unsigned)OBSTACLE_UNREADABLE;
    for (size_t i = 0; i < count; i++)
        if (obstacles & table[i].bit)
            unit_warn("%s %s: %s; see `socktune doctor %s`", program,
                      table[i].bit & OBSTACLES_PARTIAL ? "is tuned in part" : "runs untuned",
                      table[i].problem, program);
}

static void warn_of_program(const struct unit_facts *facts, const struct policy *policy,
                            const char *library)
{
    char *line = unit_facts_value(facts, "ExecStart"), *words[WORDS_MAX + 1];
    struct unit_user user = read_user(facts);
    struct executable executable;
    if (read_command(line, words)) {
        if (executable_read(words[0], &executable) == 0) {
            warn_of_obstacles(words[0], &executable, library, &user);
            if (user.known)
                warn_without_rule(facts, policy, &executable, words, &user);
        }
        executable_free(&executable);
    }
    free(line);
}

void unit_warnings(const struct unit_facts *facts, const struct policy *policy, const char *rules,
                   const char *library)
{
    if (facts->properties == NULL || !facts->known)
        return;
    warn_of_program(facts, policy, library);
    warn_of_filter(facts, rules);
    warn_of_root(facts);
    warn_of_environment_files(facts, library);
}
