/* SPDX-License-Identifier: MIT */
/* Rulesets as a whole: reading files and directories, memory, and what statements stand for. */
#include "rules.h"

#include "parse.h"
#include "sockinfo.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char suffix[] = ".conf";

/* What to read: a path, or a text under a name. */
struct origin {
    const char *path;
    const char *text;
};

static bool is_rule_file(const char *name)
{
    size_t length = strlen(name);

    return name[0] != '.' && length > sizeof suffix - 1 &&
           strcmp(name + length - (sizeof suffix - 1), suffix) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void read_file(struct reader *reader, const char *path)
{
    if (source_read_file(reader, path))
        parse_source(reader);
}

/* The rule files of a directory, in name order. */
static const char **list_directory(struct reader *reader, DIR *directory, const char *path,
                                   size_t *count)
{
    size_t length = strlen(path);
    const char *slash = length > 0 && path[length - 1] == '/' ? "" : "/";
    const char **names = NULL;
    struct dirent *entry;

    *count = 0;
    while ((entry = readdir(directory)) != NULL) {
        if (!is_rule_file(entry->d_name))
            continue;
        names = arena_grow(reader->arena, names, *count, sizeof *names);
        names[(*count)++] = arena_print(reader->arena, "%s%s%s", path, slash, entry->d_name);
    }
    if (*count > 1)
        qsort(names, *count, sizeof *names, by_name);
    return names;
}

static void read_directory(struct reader *reader, const char *path)
{
    const char **names;
    size_t count;
    struct stat status;

    reader->directory = opendir(path);
    if (reader->directory == NULL || fstat(dirfd(reader->directory), &status) != 0) {
        const char *name = arena_copy(reader->arena, path, strlen(path));

        diagnose(reader->diagnostics, SEVERITY_ERROR, (struct location){name, 0},
                 "cannot read the directory: %s", strerror(errno));
        return;
    }
    source_record(reader, path, &status);
    names = list_directory(reader, reader->directory, path, &count);
    for (size_t i = 0; i < count; i++)
        read_file(reader, names[i]);
}

static void read_origin(struct reader *reader, struct origin origin)
{
    struct stat status;

    if (origin.text != NULL) {
        if (source_read_text(reader, origin.text, origin.path))
            parse_source(reader);
    } else if (stat(origin.path, &status) == 0 && S_ISDIR(status.st_mode)) {
        read_directory(reader, origin.path);
    } else {
        read_file(reader, origin.path);
    }
}

static void reader_close(struct reader *reader)
{
    if (reader->config_open)
        config_destroy(&reader->config);
    if (reader->fd >= 0)
        close(reader->fd);
    if (reader->directory != NULL)
        closedir(reader->directory);
}

/* False when memory ended. The reader is the caller's, so that a jump leaves it whole. */
static bool read_guarded(struct reader *reader, struct origin origin)
{
    if (setjmp(reader->arena->out_of_memory) != 0)
        return false;
    reader->ruleset = arena_alloc(reader->arena, sizeof *reader->ruleset);
    reader->ruleset->arena = reader->arena;
    read_origin(reader, origin);
    return true;
}

static struct ruleset *ruleset_make(struct origin origin, struct diagnostics *diagnostics)
{
    struct arena *arena = calloc(1, sizeof *arena);
    struct reader reader = {.arena = arena, .diagnostics = diagnostics, .fd = -1};
    bool complete;

    if (arena == NULL)
        return NULL;
    complete = read_guarded(&reader, origin);
    reader_close(&reader);
    if (complete)
        return reader.ruleset;
    arena_free(arena);
    free(arena);
    errno = ENOMEM;
    return NULL;
}

struct ruleset *ruleset_read(const char *path, struct diagnostics *diagnostics)
{
    return ruleset_make((struct origin){.path = path}, diagnostics);
}

struct ruleset *ruleset_read_text(const char *text, const char *name,
                                  struct diagnostics *diagnostics)
{
    return ruleset_make((struct origin){.path = name, .text = text}, diagnostics);
}

void ruleset_free(struct ruleset *ruleset)
{
    struct arena *arena;

    if (ruleset == NULL)
        return;
    arena = ruleset->arena;
    arena_free(arena);
    free(arena);
}

/* --- what rules and statements stand for ---------------------------------------------------- */

static struct setting_target target_of(const struct option *option)
{
    return (struct setting_target){option, option->level, option->optname};
}

size_t setting_targets(const struct setting *setting, struct setting_target *targets)
{
    const struct option *option = setting->option;

    if (option == NULL) {
        option = option_find_number(setting->raw_level, setting->raw_optname);
        targets[0] = (struct setting_target){option, setting->raw_level, setting->raw_optname};
        return 1;
    }
    if (option->kind == KIND_DSCP) {
        targets[0] = target_of(option_find_number(IPPROTO_IP, IP_TOS));
        targets[1] = target_of(option_find_number(IPPROTO_IPV6, IPV6_TCLASS));
        return 2;
    }
    targets[0] = target_of(option);
    return 1;
}

unsigned rule_roles(const struct rule *rule)
{
    return rule->roles & roles_of_protocols(rule->protocols);
}
