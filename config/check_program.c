/* SPDX-License-Identifier: MIT */
/* Warnings about the criteria on programs: patterns that are valid globs but match no program, and
 * users that a daemon becomes too late. */
#include "check.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- patterns that are no globs --------------------------------------------------------------- */

enum { OF_PROGRAM = 1, OF_COMMAND = 2, OF_SCRIPT = 4, OF_UNIT = 8 };
enum { OF_NAMES = OF_PROGRAM | OF_SCRIPT | OF_UNIT };

/* The separator of several names in one string; 0 if there is none. */
static char separator_of(const char *text)
{
    const char *at = strpbrk(text, "|,;");
    return (char)(at != NULL ? *at : '\0');
}

static bool separates(const char *text)
{
    return separator_of(text) != '\0';
}

static bool has_blank(const char *text)
{
    return strpbrk(text, " \t\n") != NULL;
}

static bool has_braces(const char *text)
{
    return strpbrk(text, "{}") != NULL;
}

static bool is_anchored(const char *text)
{
    size_t length = strlen(text);
    return text[0] == '^' || text[length - 1] == '$';
}

static bool is_regular_expression(const char *text)
{
    return is_anchored(text) || text[0] == '$' || strncmp(text, ".*", 2) == 0 ||
           strpbrk(text, "()%") != NULL || strstr(text, "]+") != NULL ||
           strstr(text, "\\.") != NULL || strstr(text, "\\w") != NULL ||
           strstr(text, "\\d") != NULL;
}

static bool is_quoted(const char *text)
{
    return strpbrk(text, "'\"`") != NULL;
}

static bool is_script(const char *text)
{
    static const char *const suffixes[] = {".py", ".sh",  ".bash", ".pl",  ".rb",  ".js", ".mjs",
                                           ".ts", ".php", ".lua",  ".tcl", ".jar", ".R"};
    const char *dot = strrchr(text, '.');
    for (size_t i = 0; dot != NULL && i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (strcmp(dot, suffixes[i]) == 0)
            return true;
    return false;
}

static bool is_one_word(const char *text)
{
    return strpbrk(text, "*? [") == NULL;
}

static bool is_relative(const char *text)
{
    return strchr(text, '/') != NULL && strchr("/*?[", text[0]) == NULL;
}

static const struct oddity {
    unsigned criteria;
    bool (*shows)(const char *text);
    const char *advice;
} oddities[] = {
    {OF_NAMES, has_braces, "braces mean nothing in a glob: write an array, [ \"a\", \"b\" ]"},
    {OF_NAMES, is_regular_expression,
     "it is a glob, not a regular expression: \"*\" stands for any characters, and the whole name "
     "is compared"},
    {OF_COMMAND, is_anchored,
     "it is a glob, not a regular expression: the whole command line is compared as it is"},
    {OF_NAMES, separates, NULL /* the array to write */},
    {OF_NAMES, is_quoted, "a name has no quotes"},
    {OF_PROGRAM, has_blank,
     "the name of a program has no arguments: compare the command line with command = \"*...*\""},
    {OF_SCRIPT | OF_UNIT, has_blank, "it is compared with one name: write an array of names"},
    {OF_PROGRAM, is_script,
     "a script runs as its interpreter, so no program has that name: write script in place of "
     "program"},
    {OF_PROGRAM, is_relative,
     "a path that does not begin with \"/\" matches only a program that is called by it"},
    {OF_COMMAND, is_one_word,
     "the whole command line is compared, so this matches only a program without arguments: write "
     "\"*...*\""},
};

/* "curl|wget" as the array that was meant. */
static const char *array_of(const char *text, char *array, size_t size)
{
    char marks[] = {separator_of(text), ' ', '\0'};
    size_t used = (size_t)snprintf(array, size, "[");
    for (const char *at = text + strspn(text, marks); *at != '\0' && used < size;
         at += strspn(at, marks)) {
        size_t length = strcspn(at, marks);
        used += (size_t)snprintf(array + used, size - used, "%s \"%.*s\"", used > 1 ? "," : "",
                                 (int)length, at);
        at += length;
    }
    if (used < size)
        snprintf(array + used, size - used, " ]");
    return array;
}

/* True if something was said. */
static bool check_oddities(const struct checker *checker, const char *criterion, unsigned bit,
                           const struct pattern *pattern)
{
    char array[256];
    for (size_t i = 0; i < sizeof oddities / sizeof oddities[0]; i++) {
        if ((oddities[i].criteria & bit) == 0 || !oddities[i].shows(pattern->text))
            continue;
        if (oddities[i].advice != NULL)
            warn(checker, pattern->at, "%s: \"%s\" does not match what you mean: %s", criterion,
                 pattern->text, oddities[i].advice);
        else
            warn(checker, pattern->at,
                 "%s: \"%s\" is one name, \"%c\" separates nothing: write an array, %s", criterion,
                 pattern->text, separator_of(pattern->text),
                 array_of(pattern->text, array, sizeof array));
        return true;
    }
    return false;
}

/* --- files that are no programs --------------------------------------------------------------- */

static bool begins_script(const char *path)
{
    char mark[2] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    if (read(fd, mark, sizeof mark) != (ssize_t)sizeof mark)
        mark[0] = '\0';
    close(fd);
    return memcmp(mark, "#!", sizeof mark) == 0;
}

/* A link stands for the file that it leads to (compile.c). */
static void check_file(const struct checker *checker, const struct pattern *pattern)
{
    const char *text = pattern->text;
    struct stat status;
    if (stat(text, &status) != 0)
        warn(checker, pattern->at, "program: this host has no file \"%s\"", text);
    else if (S_ISDIR(status.st_mode))
        warn(checker, pattern->at,
             "program: \"%s\" names a directory: the programs in it are \"%s/*\"", text, text);
    else if (S_ISREG(status.st_mode) && begins_script(text))
        warn(checker, pattern->at,
             "program: \"%s\" is a script, which runs as its interpreter: write script = \"%s\"",
             text, strrchr(text, '/') + 1);
}

static void check_pattern(const struct checker *checker, const char *criterion, unsigned bit,
                          const struct pattern *pattern)
{
    bool absolute = pattern->text[0] == '/' && strpbrk(pattern->text, "*?[\\") == NULL;
    bool here = bit == OF_PROGRAM && absolute && !checker->context->other_host;
    /* A file that exists may be called as it likes. */
    bool exists = here && access(pattern->text, F_OK) == 0;
    if (!exists && check_oddities(checker, criterion, bit, pattern))
        return;
    if (here)
        check_file(checker, pattern);
}

/* --- users ------------------------------------------------------------------------------------ */

static const struct daemon_user {
    const char *program;
    const char *users;
} daemon_users[] = {
#define DAEMON(program, users) {program, users},
#include "daemon_users.def"
};

/* The rule's name for a program that the daemon may be; NULL if it is for others. A rule that names
 * no program may be for any. */
static const char *daemon_of(const struct rule *rule, const struct daemon_user *daemon)
{
    const struct pattern_list *list = &rule->programs[MATCHER_PROGRAM];
    if (!includes_pattern(list))
        return daemon->program;
    for (size_t i = 0; i < list->count; i++) {
        const char *slash = strrchr(list->items[i].text, '/');
        const char *name = slash != NULL ? slash + 1 : list->items[i].text;
        if (!list->items[i].negate &&
            (fnmatch(name, daemon->program, 0) == 0 || fnmatch(daemon->program, name, 0) == 0))
            return name;
    }
    return NULL;
}

static void check_identity(const struct checker *checker, const struct rule *rule,
                           const char *criterion, const struct pattern *pattern, const char *name)
{
    for (size_t i = 0; i < sizeof daemon_users / sizeof daemon_users[0]; i++) {
        const char *program = daemon_of(rule, &daemon_users[i]);
        if (pattern->negate || name == NULL || program == NULL ||
            !has_word(daemon_users[i].users, name))
            continue;
        warn(checker, pattern->at,
             "%s: \"%s\" is compared when a program starts: %s starts as root, becomes %s later, "
             "and never matches, unless its unit has User= or it was started by that user",
             criterion, pattern->text, program, name);
        return;
    }
}

static void check_users(const struct checker *checker, const struct rule *rule)
{
    const struct pattern_list *users = &rule->programs[MATCHER_USER];
    const struct pattern_list *groups = &rule->programs[MATCHER_GROUP];
    for (size_t i = 0; i < users->count; i++) {
        const struct passwd *user = getpwuid(users->items[i].id);
        check_identity(checker, rule, "user", &users->items[i],
                       user != NULL ? user->pw_name : NULL);
    }
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *group = getgrgid(groups->items[i].id);
        check_identity(checker, rule, "group", &groups->items[i],
                       group != NULL ? group->gr_name : NULL);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Each value that the list includes is also excluded. */
static bool nothing_left(const struct pattern_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        bool excluded = list->items[i].negate;
        for (size_t e = 0; e < list->count && !excluded; e++)
            excluded =
                list->items[e].negate && (strcmp(list->items[e].text, "*") == 0 ||
                                          strcmp(list->items[e].text, list->items[i].text) == 0);
        if (!excluded)
            return false;
    }
    return includes_pattern(list);
}

/* A list that the file gives to all its rules is looked at once. */
static bool was_seen(const struct checker *checker, const struct rule *rule, unsigned criterion)
{
    for (const struct rule *other = checker->ruleset->rules; other < rule; other++)
        if (other->programs[criterion].items == rule->programs[criterion].items)
            return true;
    return false;
}

void check_programs(const struct checker *checker, const struct rule *rule)
{
    static const struct {
        const char *name;
        unsigned bit; /* 0: no glob over a name */
    } criteria[PROGRAM_CRITERIA] = {
        [MATCHER_PROGRAM] = {"program", OF_PROGRAM},
        [MATCHER_COMMAND] = {"command", OF_COMMAND},
        [MATCHER_SCRIPT] = {"script", OF_SCRIPT},
        [MATCHER_UNIT] = {"unit", OF_UNIT},
        [MATCHER_USER] = {"user", 0},
        [MATCHER_GROUP] = {"group", 0},
        [MATCHER_CGROUP] = {"cgroup", 0},
    };

    for (unsigned i = 0; i < PROGRAM_CRITERIA; i++) {
        const struct pattern_list *list = &rule->programs[i];
        if (was_seen(checker, rule, i))
            continue;
        for (size_t p = 0; p < list->count && criteria[i].bit != 0; p++)
            check_pattern(checker, criteria[i].name, criteria[i].bit, &list->items[p]);
        if (nothing_left(list))
            warn(checker, list->items[0].at,
                 "rule \"%s\" never matches: all that %s includes is excluded, too", rule->name,
                 criteria[i].name);
    }
    if (!was_seen(checker, rule, MATCHER_USER) || !was_seen(checker, rule, MATCHER_GROUP))
        check_users(checker, rule);
}
