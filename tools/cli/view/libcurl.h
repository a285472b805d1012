/* SPDX-License-Identifier: MIT */
/*
 * The functions of libcurl. The command does not link to libcurl, which loads thirty more
 * libraries: that took three quarters of the start-up time of each `socktune run`. The library is
 * opened when the first request to the helper is made.
 */
#ifndef SOCKTUNE_LIBCURL_H
#define SOCKTUNE_LIBCURL_H

#include <curl/curl.h>
#include <stddef.h>

#define LIBCURL_FUNCTIONS(FUNCTION)                                                                \
    FUNCTION(easy_init)                                                                            \
    FUNCTION(easy_setopt)                                                                          \
    FUNCTION(easy_perform)                                                                         \
    FUNCTION(easy_getinfo)                                                                         \
    FUNCTION(easy_strerror)                                                                        \
    FUNCTION(easy_cleanup)

/* Each member is the libcurl function of that name with "curl_" before it. */
struct libcurl {
#define LIBCURL_MEMBER(name) __typeof__(curl_##name) *name;
    LIBCURL_FUNCTIONS(LIBCURL_MEMBER)
#undef LIBCURL_MEMBER
};

/* Returns the functions, valid until the process ends. Opens the library at the first call. If that
 * fails, returns NULL and writes a phrase with the reason into `error`. Not thread-safe. */
const struct libcurl *libcurl_open(char *error, size_t size);

#endif
