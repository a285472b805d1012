/* SPDX-License-Identifier: MIT */
/*
 * Finds the preloaded library.
 */
#include "library.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DIRECTORY "/socktune"
#define INSTALLED DIRECTORY "/" LIBRARY_NAME
#define LIB_TOKEN "$LIB" /* what ld.so(8) replaces: lib/x86_64-linux-gnu, lib64 ... */

const char library_directory[] = LIBDIR DIRECTORY;

char *library_path(void)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - sizeof LIBRARY_NAME);
    char *slash;
    if (length > 0) {
        self[length] = '\0';
        slash = strrchr(self, '/');
        if (slash != NULL) {
            strcpy(slash + 1, LIBRARY_NAME);
            if (access(self, R_OK) == 0)
                return strdup(self);
        }
    }
    return access(LIBDIR INSTALLED, R_OK) == 0 ? strdup(LIBDIR INSTALLED) : NULL;
}

static bool below_prefix(const char *directory)
{
    return strncmp(directory, PREFIX "/lib", sizeof PREFIX "/lib" - 1) == 0;
}

char *library_for_ld_so(const char *path)
{
    bool both = strcmp(path, LIBDIR INSTALLED) == 0 && below_prefix(LIBDIR) &&
                below_prefix(LIBDIR32) && access(LIBDIR32 INSTALLED, R_OK) == 0;
    return strdup(both ? PREFIX "/" LIB_TOKEN INSTALLED : path);
}

char *library_of_arch(const char *arch)
{
    bool small = strcmp(arch, "i386") == 0 || strcmp(arch, "i686") == 0;
    struct utsname machine;
    char *path = library_path(), *slash = path != NULL ? strrchr(path, '/') : NULL;
    char *other = NULL;
    if (slash == NULL || uname(&machine) != 0 || strcmp(arch, machine.machine) == 0)
        return path;
    /* In a build tree it is in a directory named after the architecture. */
    if (asprintf(&other, "%.*s/%s/" LIBRARY_NAME, (int)(slash - path), path,
                 small ? "i386" : arch) < 0)
        other = NULL;
    free(path);
    if (other != NULL && access(other, R_OK) == 0)
        return other;
    free(other);
    if (small && access(LIBDIR32 INSTALLED, R_OK) == 0)
        return strdup(LIBDIR32 INSTALLED);
    errno = ENOENT;
    return NULL;
}

static const char separators[] = ": "; /* between the names in LD_PRELOAD */

/* True if the name, up to the next separator, is that of a copy of our library. */
static bool is_own_name(const char *name)
{
    size_t length = strcspn(name, separators), own = sizeof LIBRARY_NAME - 1;
    const char *base = name + length - own;
    return length >= own && strncmp(base, LIBRARY_NAME, own) == 0 &&
           (length == own || base[-1] == '/');
}

static bool is_named(const char *list)
{
    for (; *list != '\0'; list += strcspn(list, separators), list += strspn(list, separators))
        if (is_own_name(list))
            return true;
    return false;
}

/* A path that ld.so uses unchanged, except for the token that library_for_ld_so() inserts. */
static bool is_writable_path(const char *library)
{
    const char *token = strstr(library, LIB_TOKEN INSTALLED);
    const char *dollar = strchr(library, '$');
    return strpbrk(library, ": ") == NULL && (dollar == NULL || dollar == token);
}

char *library_appended(const char *before, const char *library)
{
    char *result;
    if (before != NULL && is_named(before))
        return strdup(before);
    if (!is_writable_path(library)) {
        errno = EINVAL;
        return NULL;
    }
    if (asprintf(&result, "%s%s%s", before != NULL ? before : "",
                 before != NULL && *before ? ":" : "", library) < 0)
        return NULL;
    return result;
}

char *library_instead(const char *before, const char *library)
{
    char *others = strdup(before != NULL ? before : "");
    if (others == NULL)
        return NULL;
    for (char *name = others; *name != '\0';) {
        size_t length = strcspn(name, separators);
        length += strspn(name + length, separators);
        if (is_own_name(name))
            memmove(name, name + length, strlen(name + length) + 1);
        else
            name += length;
    }
    size_t length = strlen(others);
    while (length > 0 && strchr(separators, others[length - 1]) != NULL)
        others[--length] = '\0';
    char *result = library_appended(others, library);
    free(others);
    return result;
}
