/* SPDX-License-Identifier: MIT */
/*
 * The paths of the helper's sockets, depending on the environment.
 */
#include "helper_place.h"

#include <criterion/criterion.h>
#include <string.h>

#define LONGEST (sizeof((struct sockaddr_un *)0)->sun_path - 1)

/* The path of one of the helper's sockets; "" if there is none. */
static const char *path_of(const struct sockaddr_un *address)
{
    return address->sun_family == AF_UNIX ? address->sun_path : "";
}

Test(helper_place, paths)
{
    static const struct {
        struct helper_environment environment;
        const char *registration[HELPER_PLACES], *query[HELPER_PLACES];
    } rows[] = {
        {{NULL, NULL}, {"/run/socktune/helper.sock", ""}, {"/run/socktune/query.sock", ""}},
        {{"", ""}, {"/run/socktune/helper.sock", ""}, {"/run/socktune/query.sock", ""}},
        {{NULL, "/run/user/7"},
         {"/run/socktune/helper.sock", "/run/user/7/socktune/helper.sock"},
         {"/run/socktune/query.sock", "/run/user/7/socktune/query.sock"}},
        {{NULL, "relative"}, {"/run/socktune/helper.sock", ""}, {"/run/socktune/query.sock", ""}},
        {{"h.sock", "/run/user/7"}, {"h.sock", ""}, {"query.sock", ""}},
        {{"/h", NULL}, {"/h", ""}, {"/query.sock", ""}},
        {{"a/b/h.sock", NULL}, {"a/b/h.sock", ""}, {"a/b/query.sock", ""}},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct sockaddr_un registration[HELPER_PLACES], query[HELPER_PLACES];
        helper_addresses(&rows[row].environment, HELPER_REGISTRATION, registration);
        helper_addresses(&rows[row].environment, HELPER_QUERY, query);
        for (size_t i = 0; i < HELPER_PLACES; i++) {
            cr_expect_str_eq(path_of(&registration[i]), rows[row].registration[i]);
            cr_expect_str_eq(path_of(&query[i]), rows[row].query[i]);
        }
    }
}

/* A path that is too long for an address is not truncated: another helper might listen there. */
Test(helper_place, long_paths)
{
    struct sockaddr_un addresses[HELPER_PLACES];
    for (size_t length = LONGEST - 12; length <= LONGEST + 20; length++) {
        char path[LONGEST + 32] = "";
        memset(path, 'x', length);
        path[0] = path[length - 2] = '/';
        const struct helper_environment environment = {.socket = path};
        helper_addresses(&environment, HELPER_REGISTRATION, addresses);
        cr_expect_eq(addresses[0].sun_family, length < LONGEST ? AF_UNIX : 0, "%zu", length);
        helper_addresses(&environment, HELPER_QUERY, addresses);
        cr_expect_eq(addresses[0].sun_family,
                     length - 1 + strlen(HELPER_QUERY_NAME) < LONGEST ? AF_UNIX : 0, "%zu", length);
    }
}
