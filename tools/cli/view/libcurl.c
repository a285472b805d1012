/* SPDX-License-Identifier: MIT */
#include "libcurl.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The name of the ABI that <curl/curl.h> has described since libcurl 7.16. */
#define LIBCURL_SONAME "libcurl.so.4"

static bool find_functions(void *library, struct libcurl *functions)
{
    void *found;
#define LIBCURL_FIND(name)                                                                         \
    found = dlsym(library, "curl_" #name);                                                         \
    if (found == NULL)                                                                             \
        return false;                                                                              \
    memcpy(&functions->name, &found, sizeof found);
    LIBCURL_FUNCTIONS(LIBCURL_FIND)
#undef LIBCURL_FIND
    return true;
}

const struct libcurl *libcurl_open(char *error, size_t size)
{
    static struct libcurl functions;
    static bool ready;
    void *library;
    if (ready)
        return &functions;
    library = dlopen(LIBCURL_SONAME, RTLD_NOW | RTLD_LOCAL);
    ready = library != NULL && find_functions(library, &functions);
    if (!ready)
        snprintf(error, size, "libcurl, which asks the helper, cannot be opened: %s", dlerror());
    return ready ? &functions : NULL;
}
