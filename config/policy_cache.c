/* SPDX-License-Identifier: MIT */
#include "policy_cache.h"

#include "policy_place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *policy_beside(const char *rules)
{
    char *absolute = absolute_path(rules);
    char *path = NULL;
    if (absolute != NULL && asprintf(&path, "%s" POLICY_SUFFIX, absolute) < 0)
        path = NULL;
    free(absolute);
    return path;
}

int policy_keep(const char *path, const void *blob, size_t size)
{
    size_t old_size;
    void *old = read_file(path, POLICY_SIZE_MAX, &old_size);
    bool same = old != NULL && old_size == size && memcmp(old, blob, size) == 0;
    free(old);
    return same ? 0 : write_file(path, blob, size);
}

static struct policy_owner this_owner(void)
{
    return (struct policy_owner){
        .uid = (uint32_t)geteuid(), .home = getenv("HOME"), .xdg = getenv("XDG_CACHE_HOME")};
}

/* Make the directory, and for a user's cache the one above it. False if it cannot be used, or if it
 * belongs to somebody else or others may write to it. */
static bool make_directory(char *directory, enum policy_place place)
{
    mode_t mode = place == PLACE_SYSTEM ? 0755 : 0700;
    char *slash = strrchr(directory, '/');
    struct stat status;
    if (place == PLACE_USER) {
        *slash = '\0';
        (void)mkdir(directory, mode);
        *slash = '/';
    }
    if (mkdir(directory, mode) == 0)
        (void)chmod(directory, mode); /* whatever the umask is */
    if (lstat(directory, &status) != 0)
        return false;
    errno = EPERM;
    return S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool keep_at(enum policy_place place, const struct policy_owner *owner, const char *rules,
                    const void *blob, size_t size)
{
    char directory_bytes[PATH_MAX], path_bytes[PATH_MAX];
    struct text directory = TEXT(directory_bytes), path = TEXT(path_bytes);
    if (place == PLACE_SYSTEM && owner->uid != 0)
        return false;
    return policy_place_directory(&directory, place, owner) &&
           policy_place_path(&path, place, owner, rules) &&
           make_directory(directory_bytes, place) && policy_keep(path_bytes, blob, size) == 0;
}

/* A regular file of root's or of this user, that nobody else may write: no link to another one. */
static bool is_own(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           (status.st_uid == 0 || status.st_uid == geteuid()) &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

int policy_cache_keep(const char *rules, const void *blob, size_t size)
{
    struct policy_owner owner = this_owner();
    char *beside = policy_beside(rules);
    if (beside != NULL && is_own(beside))
        (void)policy_keep(beside, blob, size);
    free(beside);
    for (enum policy_place place = PLACE_SYSTEM; place < PLACE_COUNT; place++)
        if (keep_at(place, &owner, rules, blob, size))
            return 0;
    return -1;
}

bool policy_cache_last(const char *rules, struct loaded *loaded)
{
    struct policy_owner owner = this_owner();
    struct diagnostics unheard = {.report = NULL};
    for (enum policy_place place = PLACE_BESIDE; place < PLACE_COUNT; place++) {
        char bytes[PATH_MAX];
        struct text path = TEXT(bytes);
        if (policy_place_path(&path, place, &owner, rules) && is_own(bytes) &&
            is_policy_file(bytes) && load_rules(bytes, NULL, &unheard, loaded) == 0)
            return true;
    }
    return false;
}
