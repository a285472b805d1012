/* SPDX-License-Identifier: MIT */
/*
 * Decodes the message of preload/wire/registration.h. It is untrusted input.
 */
#ifndef SOCKTUNE_REGISTRATION_PARSE_H
#define SOCKTUNE_REGISTRATION_PARSE_H

#include "registration.h"

#include <stddef.h>

#define REGISTRATION_NAME_MAX 255u /* bytes of a name; file names are no longer */

/* Names point into the message, are NUL-terminated, and contain no control characters. */
struct registration_names {
    struct registration head;
    struct registration_live live; /* room 0: the program keeps its rules */
    const char *program;
    const char *executable; /* for a program that takes new rules: the name of its file, or NULL */
    const char *rules_path; /* and the path of its rules */
    const char *rules[REGISTRATION_RULES_MAX];  /* head.rule_count of them */
    const char *trials[REGISTRATION_RULES_MAX]; /* their trials; NULL: the rule is no arm */
};

/*
 * Check a whole message of `size` bytes (not truncated by recvmsg) that came with so many
 * descriptors, and find its names. Returns NULL, or a static English phrase that says what is
 * wrong. Pure; `message` need not be aligned.
 */
const char *registration_parse(const void *message, size_t size, size_t descriptors,
                               struct registration_names *names);

#endif
