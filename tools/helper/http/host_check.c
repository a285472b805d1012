/* SPDX-License-Identifier: MIT */
#include "host_check.h"

#include <arpa/inet.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_SIZE 256 /* of a DNS name with its NUL */

/* Reads the name without port, brackets and a final dot. False if it is too long or invalid. */
static bool read_host_name(const char *header, char name[NAME_SIZE])
{
    bool brackets = *header == '[';
    const char *begin = header + brackets;
    size_t length = strcspn(begin, brackets ? "]" : ":");
    const char *rest = begin + length + (brackets && begin[length] == ']');
    if (length == 0 || length >= NAME_SIZE || (brackets && rest == begin + length) ||
        (*rest != '\0' && (*rest != ':' || strspn(rest + 1, "0123456789") != strlen(rest + 1))))
        return false;
    memcpy(name, begin, length);
    name[length - (begin[length - 1] == '.')] = '\0';
    name[length] = '\0';
    return *name != '\0';
}

static bool is_address(const char *name)
{
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

static bool matches_one(const char *name, const char *patterns)
{
    char pattern[NAME_SIZE];
    for (const char *at = patterns; at != NULL && *(at += strspn(at, " ")) != '\0';) {
        size_t length = strcspn(at, " ");
        if (length < sizeof pattern) {
            memcpy(pattern, at, length);
            pattern[length] = '\0';
            if (fnmatch(pattern, name, FNM_NOESCAPE | FNM_CASEFOLD) == 0)
                return true;
        }
        at += length;
    }
    return false;
}

bool host_is_ours(const char *header, const char *machine, const char *hosts)
{
    char name[NAME_SIZE];
    if (header == NULL)
        return true;
    return read_host_name(header, name) &&
           (is_address(name) || strcasecmp(name, "localhost") == 0 ||
            strcasecmp(name, machine) == 0 || matches_one(name, hosts));
}
