/* SPDX-License-Identifier: MIT */
/*
 * The functions of libcurl. The command does not link to it: libcurl brings in thirty libraries
 * more, and loading them took three quarters of the time that each `socktune run` needs to start.
 * It is opened when the first request to the helper is made.
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

/* Each member is the function that has "curl_" before its name. */
struct libcurl {
#define LIBCURL_MEMBER(name) __typeof__(curl_##name) *name;
    LIBCURL_FUNCTIONS(LIBCURL_MEMBER)
#undef LIBCURL_MEMBER
};

/* The functions, valid until the process ends; the library is opened at the first call. NULL, with
 * a phrase in `error` that says why, if it cannot be opened. Not thread-safe. */
const struct libcurl *libcurl_open(char *error, size_t size);

#endif
