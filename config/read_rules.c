/* SPDX-License-Identifier: MIT */
/* Reading rule files and directories into a ruleset, which owns all memory. */
#include "rules.h"

#include "parse.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What to read: a path, or a text under a name. */
struct origin {
    const char *path;
    const char *text;
};

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
        if (!policy_is_rule_file(entry->d_name))
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
    uint64_t hash = 0;
    reader->directory = opendir(path);
    if (reader->directory == NULL || fstat(dirfd(reader->directory), &status) != 0) {
        const char *name = arena_copy(reader->arena, path, strlen(path));
        diagnose(reader->diagnostics, SEVERITY_ERROR, (struct location){name, 0},
                 "cannot read the directory: %s", strerror(errno));
        return;
    }
    names = list_directory(reader, reader->directory, path, &count);
    for (size_t i = 0; i < count; i++)
        hash += policy_name_hash(strrchr(names[i], '/') + 1);
    source_record(reader, path, &status, hash);
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
    reader->ruleset->name = arena_copy(reader->arena, origin.path, strlen(origin.path));
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
