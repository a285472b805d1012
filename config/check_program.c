/* SPDX-License-Identifier: MIT */
/* Warnings about the criteria on programs: patterns that are valid globs but match no program, and
 * users that a daemon becomes too late. */
#include "check.h"

#include "text.h"
#include "unit_name.h"
#include "word_list.h"

#include <ctype.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Patterns that are no globs */

/* A bit for each criterion that is a glob; 0 for others. */
enum {
    OF_PROGRAM = 1,
    OF_COMMAND = 2,
    OF_SCRIPT = 4,
    OF_UNIT = 8,
    OF_CGROUP = 16,
    OF_USER = 0,
    OF_GROUP = 0
};
enum {
    OF_NAMES = OF_PROGRAM | OF_SCRIPT | OF_UNIT,
    OF_ALL = OF_NAMES | OF_COMMAND | OF_CGROUP,
};

static bool separates_names(const char *text)
{
    return word_list_separator(text, "") != '\0';
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

static bool begins_any(const char *text)
{
    return strncmp(text, ".*", 2) == 0;
}

static bool is_anchored_or_any(const char *text)
{
    return is_anchored(text) || begins_any(text);
}

static bool is_regular_expression(const char *text)
{
    return is_anchored(text) || begins_any(text) || strpbrk(text, "()%") != NULL ||
           strstr(text, "]+") != NULL || strstr(text, "\\.") != NULL ||
           strstr(text, "\\w") != NULL || strstr(text, "\\d") != NULL;
}

/* A name, "{" or "(" behind one of the marks. */
static bool has_marked_name(const char *text, const char *marks)
{
    const char *mark = strpbrk(text, marks);
    return mark != NULL && (isalpha((unsigned char)mark[1]) || mark[1] == '{' || mark[1] == '(');
}

/* "$HOME", "${name}", "$(which psql)". */
static bool has_variable(const char *text)
{
    return has_marked_name(text, "$");
}

/* systemd.unit(5): "%h", "%i". */
static bool has_specifier(const char *text)
{
    return has_marked_name(text, "%");
}

/* "nginx:", as the titles begin that ps(1) shows, and "[php-fpm]", as it shows what has none. */
static bool is_title(const char *text)
{
    size_t length = strlen(text);
    return length > 1 && text[length - 1] == ':';
}

static bool is_in_brackets(const char *text)
{
    size_t length = strlen(text);
    return length > 4 && text[0] == '[' && strcspn(text, "]") == length - 1 &&
           (text[2] != '-' || length > 5);
}

/* True if the text ends in one of the suffixes, and something stands in front of it. */
static bool has_suffix(const char *text, const char *const *suffixes)
{
    const char *dot = strrchr(text, '.');
    for (; dot != NULL && dot != text && *suffixes != NULL; suffixes++)
        if (strcmp(dot, *suffixes) == 0)
            return true;
    return false;
}

/* "app@.service" */
static bool is_template(const char *text)
{
    const char *at = strchr(text, '@');
    return at != NULL && (at[1] == '.' || at[1] == '\0');
}

static bool is_unit(const char *text)
{
    return text[0] != '.' && unit_name_type(text) != NULL;
}

/* systemd.unit(5): these have no processes. */
static bool has_no_process(const char *text)
{
    static const char *const suffixes[] = {".timer",  ".target",    ".path",
                                           ".device", ".automount", NULL};
    return has_suffix(text, suffixes);
}

/* A "[" that no "]" ends. The program "[" is test(1). */
static bool is_open_set(const char *text)
{
    const char *open = strchr(text, '[');
    if (open == NULL || strcmp(text, "[") == 0 || (open > text && open[-1] == '\\'))
        return false;
    return open[1] == '\0' || strchr(open + 1 + (open[1] == '!') + 1, ']') == NULL;
}

static bool is_hierarchy_path(const char *text)
{
    return strncmp(text, "/sys/fs/cgroup", 14) == 0;
}

static bool ends_with_slash(const char *text)
{
    size_t length = strlen(text);
    return length > 1 && text[length - 1] == '/';
}

static bool is_quoted(const char *text)
{
    return strpbrk(text, "'\"`") != NULL;
}

static bool is_script(const char *text)
{
    static const char *const suffixes[] = {".py",  ".pyc", ".pyz", ".sh",  ".bash", ".zsh", ".ksh",
                                           ".pl",  ".rb",  ".js",  ".mjs", ".cjs",  ".ts",  ".php",
                                           ".lua", ".tcl", ".jar", ".war", ".awk",  ".R",   NULL};
    return has_suffix(text, suffixes);
}

static bool is_one_word(const char *text)
{
    return strpbrk(text, "*? [") == NULL;
}

static bool is_relative(const char *text)
{
    return strchr(text, '/') != NULL && strchr("/*?[", text[0]) == NULL;
}

/* The glob that a simple regular expression stands for. False: it is not that simple. */
static bool glob_of_expression(const char *text, char *glob, size_t size)
{
    size_t length = 0;
    text += text[0] == '^';
    for (; *text != '\0' && length + 1 < size; text++) {
        if (strncmp(text, ".*", 2) == 0 || strncmp(text, "\\.", 2) == 0)
            text++;
        else if (*text == '$' && text[1] == '\0')
            break;
        else if (strpbrk((const char[]){*text, '\0'}, "()+%$^\\*") != NULL)
            return false;
        glob[length++] = *text;
    }
    glob[length] = '\0';
    return length != 0;
}

static const struct oddity {
    unsigned criteria;
    bool (*shows)(const char *text);
    const char *advice;
} oddities[] = {
    {OF_ALL, has_variable, "variables and commands are not expanded: write what they stand for"},
    {OF_NAMES, has_specifier, "specifiers are not expanded: write what it stands for"},
    {OF_ALL, is_open_set,
     "this \"[\" is never closed, so it stands for itself: write \"\\\\[\" if you "
     "mean it"},
    {OF_NAMES, has_braces, "braces mean nothing in a glob: write an array, [ \"a\", \"b\" ]"},
    {OF_NAMES, is_regular_expression,
     "it is a glob, not a regular expression: \"*\" stands for any characters, and the whole name "
     "is compared"},
    {OF_COMMAND, is_anchored_or_any,
     "it is a glob, not a regular expression: the whole command line is compared as it is"},
    {OF_NAMES, separates_names, NULL /* the array to write */},
    {OF_NAMES, is_quoted, "a name has no quotes"},
    {OF_PROGRAM, has_blank,
     "the name of a program has no arguments: compare the command line with command = \"*...*\""},
    {OF_SCRIPT | OF_UNIT, has_blank, "it is compared with one name: write an array of names"},
    {OF_PROGRAM, is_script,
     "a script runs as its interpreter, so no program has that name: write script in place of "
     "program"},
    {OF_PROGRAM, is_unit, "it is the name of a unit: write unit in place of program"},
    {OF_UNIT, has_no_process,
     "a unit of that type has no processes: write the name of the service that it starts"},
    {OF_UNIT, is_template, "a template is not a unit: write \"NAME@*\" for all of its instances"},
    {OF_NAMES, is_title, "a name has no colon at its end: ps(1) shows titles that programs set"},
    {OF_PROGRAM, is_in_brackets,
     "brackets stand for one character of a set: write the name without them"},
    {OF_CGROUP, is_hierarchy_path,
     "paths are compared as /proc/PID/cgroup shows them: leave out \"/sys/fs/cgroup\""},
    {OF_CGROUP, ends_with_slash, "the path of a cgroup does not end in \"/\""},
    {OF_PROGRAM, is_relative,
     "a path that does not begin with \"/\" matches only a program that is called by it"},
    {OF_COMMAND, is_one_word,
     "the whole command line is compared, so this matches only a program without arguments: write "
     "\"*...*\""},
};

/* True if something was said. */
static bool check_oddities(const struct checker *checker, const char *criterion, unsigned bit,
                           const struct pattern *pattern)
{
    char array[256];
    for (size_t i = 0; i < sizeof oddities / sizeof oddities[0]; i++) {
        if ((oddities[i].criteria & bit) == 0 || !oddities[i].shows(pattern->text))
            continue;
        if (oddities[i].shows == is_regular_expression &&
            glob_of_expression(pattern->text, array, sizeof array))
            warn(checker, pattern->at, "%s: \"%s\" does not match what you mean: %s: write \"%s\"",
                 criterion, pattern->text, oddities[i].advice, array);
        else if (oddities[i].advice != NULL)
            warn(checker, pattern->at, "%s: \"%s\" does not match what you mean: %s", criterion,
                 pattern->text, oddities[i].advice);
        else
            warn(checker, pattern->at,
                 "%s: \"%s\" is one name, \"%c\" separates nothing: write an array, %s", criterion,
                 pattern->text, word_list_separator(pattern->text, ""),
                 word_list_array(pattern->text, word_list_separator(pattern->text, ""), array,
                                 sizeof array));
        return true;
    }
    return false;
}

/* Files that are no programs */

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

/* Users */

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
        const char *name = text_basename(list->items[i].text);
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

/* The whole */

/* Each value that the list includes is also excluded, or each value is. */
static bool nothing_left(const struct pattern_list *list)
{
    bool all = false;
    for (size_t i = 0; i < list->count; i++)
        all = all || (list->items[i].negate && strcmp(list->items[i].text, "*") == 0);
    if (all)
        return true;
    for (size_t i = 0; i < list->count; i++) {
        bool excluded = list->items[i].negate;
        for (size_t e = 0; e < list->count && !excluded; e++)
            excluded =
                list->items[e].negate && strcmp(list->items[e].text, list->items[i].text) == 0;
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
        unsigned bit;
    } criteria[PROGRAM_CRITERIA] = {
#define PROGRAM_CRITERION(name, NAME, needs, summary) [MATCHER_##NAME] = {#name, OF_##NAME},
#include "criteria.def"
    };

    for (unsigned i = 0; i < PROGRAM_CRITERIA; i++) {
        const struct pattern_list *list = &rule->programs[i];
        if (was_seen(checker, rule, i))
            continue;
        for (size_t p = 0; p < list->count && criteria[i].bit != 0; p++)
            check_pattern(checker, criteria[i].name, criteria[i].bit, &list->items[p]);
        if (nothing_left(list))
            warn(checker, list->items[0].at,
                 includes_pattern(list)
                     ? "rule \"%s\" never matches: all that %s includes is excluded, too"
                     : "rule \"%s\" never matches: %s excludes everything",
                 rule->name, criteria[i].name);
    }
    if (!was_seen(checker, rule, MATCHER_USER) || !was_seen(checker, rule, MATCHER_GROUP))
        check_users(checker, rule);
}
