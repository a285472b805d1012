/* SPDX-License-Identifier: MIT */
/*
 * Keeping compiled policies.
 */
#include "policy_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *policy_beside(const char *rules)
{
    char *absolute = absolute_path(rules);
    char *path = NULL;

    if (absolute && asprintf(&path, "%s" POLICY_SUFFIX, absolute) < 0)
        path = NULL;
    free(absolute);
    return path;
}

int policy_keep(const char *path, const struct loaded *loaded)
{
    size_t size;
    void *old = read_file(path, POLICY_SIZE_MAX, &size);
    bool same = old && size == loaded->size && memcmp(old, loaded->blob, size) == 0;

    free(old);
    return same ? 0 : policy_write(path, loaded->blob, loaded->size);
}

/* FNV-1a: spreads path names, resists nobody; the cache is its user's own. */
static uint64_t hash(const char *text)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (; *text; text++)
        sum = (sum ^ (unsigned char)*text) * 0x100000001b3u;
    return sum;
}

/* The user's cache for us, made if need be; malloc()ed. NULL if there is none, or if others may
 * write to it. */
static char *cache_directory(void)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    bool by_home = !cache || *cache != '/'; /* a relative one is to be ignored, says the standard */
    char *directory = NULL;
    struct stat status;

    if (by_home && (!home || *home != '/'))
        return NULL;
    if (asprintf(&directory, "%s%s", by_home ? home : cache, by_home ? "/.cache" : "") < 0)
        return NULL;
    (void)mkdir(directory, 0700);
    free(directory);
    if (asprintf(&directory, "%s%s/socktune", by_home ? home : cache, by_home ? "/.cache" : "") < 0)
        return NULL;
    (void)mkdir(directory, 0700);
    if (lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
        !(status.st_mode & (S_IWGRP | S_IWOTH)))
        return directory;
    free(directory);
    return NULL;
}

/* The path of the policy in the cache after it was written there; NULL if it could not be. */
static char *store_in_cache(const char *rules, const struct loaded *loaded)
{
    char *directory = cache_directory();
    char *path = NULL;

    if (directory && asprintf(&path, "%s/%016" PRIx64 POLICY_SUFFIX, directory, hash(rules)) < 0)
        path = NULL;
    free(directory);
    if (path && policy_keep(path, loaded) == 0)
        return path;
    free(path);
    return NULL;
}

char *policy_store(const char *rules, const struct loaded *loaded)
{
    char *absolute = absolute_path(rules);
    char *beside = policy_beside(rules);
    char *cached = NULL;

    if (absolute && beside && loaded->ruleset && policy_keep(beside, loaded) != 0)
        cached = store_in_cache(absolute, loaded);
    free(beside);
    if (!cached)
        return absolute;
    free(absolute);
    return cached;
}
