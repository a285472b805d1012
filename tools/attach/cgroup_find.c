/* SPDX-License-Identifier: MIT */
/*
 * The mount point is read from /proc/self/mounts: with systemd's hybrid layout it is not
 * /sys/fs/cgroup itself.
 */
#include "cgroup_find.h"

#include "unit_name.h"

#include <errno.h>
#include <fts.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int attach_fail(struct attach_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return -1;
}

static int find_mount(char mount[PATH_MAX], struct attach_error *error)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    struct mntent entry;
    char text[4 * PATH_MAX];
    mount[0] = '\0';
    if (mounts == NULL)
        return attach_fail(error, "/proc/self/mounts: %s", strerror(errno));
    while (mount[0] == '\0' && getmntent_r(mounts, &entry, text, sizeof text) != NULL)
        if (strcmp(entry.mnt_type, "cgroup2") == 0)
            snprintf(mount, PATH_MAX, "%s", entry.mnt_dir);
    endmntent(mounts);
    if (mount[0] == '\0')
        return attach_fail(error, "no cgroup version 2 hierarchy is mounted on this machine");
    return 0;
}

/* Returns what is wrong with the path; NULL: nothing. The path of a cgroup must be unique, so that
 * the pins of the cgroup are found. */
static const char *check_path(const char *path)
{
    if (path[0] == '\0')
        return "is empty; use --all for all programs of the machine";
    for (const char *at = path; *at != '\0';) {
        at += strspn(at, "/");
        size_t length = strcspn(at, "/");
        if (length > 0 && length <= 2 && strspn(at, ".") >= length)
            return "may not contain \".\" or \"..\"";
        at += length;
    }
    return NULL;
}

/* Copies the path with one slash before each component. False if there is no room. */
static bool normalize_path(const char *path, char *to, size_t size)
{
    size_t used = 0;
    to[used++] = '/';
    for (path += strspn(path, "/"); *path != '\0'; path += strspn(path, "/")) {
        size_t length = strcspn(path, "/");
        if (used + length + 2 > size)
            return false;
        if (used > 1)
            to[used++] = '/';
        memcpy(to + used, path, length);
        used += length;
        path += length;
    }
    to[used] = '\0';
    return true;
}

static int fill_cgroup(const char *mount, const char *path, struct attach_cgroup *cgroup,
                       struct attach_error *error)
{
    struct stat status;
    const char *wrong = check_path(path);
    if (wrong != NULL)
        return attach_fail(error, "the path of the cgroup %s", wrong);
    if (!normalize_path(path, cgroup->path, sizeof cgroup->path) ||
        snprintf(cgroup->directory, sizeof cgroup->directory, "%s%s", mount, cgroup->path) >=
            (int)sizeof cgroup->directory)
        return attach_fail(error, "%s: %s", path, strerror(ENAMETOOLONG));
    if (stat(cgroup->directory, &status) != 0 || !S_ISDIR(status.st_mode))
        return attach_fail(error, "no cgroup %s: there is no directory %s", cgroup->path,
                           cgroup->directory);
    cgroup->id = status.st_ino;
    return 0;
}

/* Returns what follows the mount point, if the path begins with it; otherwise the path. */
static const char *path_below(const char *mount, const char *path)
{
    size_t length = strlen(mount);
    if (strncmp(path, mount, length) == 0 && (path[length] == '/' || path[length] == '\0'))
        return path[length] == '\0' ? "/" : path + length;
    return path;
}

int cgroup_by_path(const char *path, struct attach_cgroup *cgroup, struct attach_error *error)
{
    char mount[PATH_MAX];
    if (find_mount(mount, error) != 0)
        return -1;
    return fill_cgroup(mount, path_below(mount, path), cgroup, error);
}

/* Calls `visit` for each directory, from the top; the walk ends when it returns true. */
static void walk_cgroups(const char *directory, bool (*visit)(const FTSENT *entry, void *context),
                         void *context)
{
    char copy[PATH_MAX];
    char *const roots[] = {copy, NULL};
    const FTSENT *entry;
    snprintf(copy, sizeof copy, "%s", directory);
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
    if (tree == NULL)
        return;
    while ((entry = fts_read(tree)) != NULL)
        if (entry->fts_info == FTS_D && visit(entry, context))
            break;
    fts_close(tree);
}

struct unit_search {
    const char *unit;
    char found[PATH_MAX];
    unsigned count;
};

static bool is_unit(const FTSENT *entry, void *context)
{
    struct unit_search *search = context;
    if (strcmp(entry->fts_name, search->unit) != 0)
        return false;
    if (search->count++ == 0)
        snprintf(search->found, sizeof search->found, "%s", entry->fts_path);
    return false;
}

int cgroup_by_unit(const char *unit, struct attach_cgroup *cgroup, struct attach_error *error)
{
    char mount[PATH_MAX], name[300];
    struct unit_search search = {.unit = name};
    if (strchr(unit, '/') != NULL || unit[0] == '\0')
        return attach_fail(error, "\"%s\" cannot be the name of a unit", unit);
    snprintf(name, sizeof name, "%s%s", unit, unit_name_rest(unit));
    if (find_mount(mount, error) != 0)
        return -1;
    walk_cgroups(mount, is_unit, &search);
    if (search.count == 0)
        return attach_fail(
            error, "the unit %s has no cgroup: it does not run, or there is no such unit", name);
    if (search.count > 1)
        return attach_fail(error, "%u cgroups are called %s; name one with --cgroup", search.count,
                           name);
    return fill_cgroup(mount, path_below(mount, search.found), cgroup, error);
}

struct process_visit {
    void (*visit)(int pid, void *context);
    void *context;
};

static bool visit_processes(const FTSENT *entry, void *context)
{
    const struct process_visit *visit = context;
    char path[PATH_MAX + 16];
    int pid;
    snprintf(path, sizeof path, "%s/cgroup.procs", entry->fts_path);
    FILE *file = fopen(path, "re");
    while (file != NULL && fscanf(file, "%d", &pid) == 1)
        visit->visit(pid, visit->context);
    if (file != NULL)
        fclose(file);
    return false;
}

void cgroup_each_process(const struct attach_cgroup *cgroup, void (*visit)(int pid, void *context),
                         void *context)
{
    struct process_visit each = {visit, context};
    walk_cgroups(cgroup->directory, visit_processes, &each);
}
