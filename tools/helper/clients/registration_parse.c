/* SPDX-License-Identifier: MIT */
/*
 * The names must fill the message exactly.
 */
#include "registration_parse.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* the version in which the second descriptor is required */
#define REGISTRATION_VERSION_OLD 1u

/* Names go into logs and onto terminals, so control characters are refused. Bytes above ASCII are
 * allowed, as in file names. */
static bool is_printable(const char *name)
{
    for (const unsigned char *at = (const unsigned char *)name; *at != 0; at++)
        if (*at < ' ' || *at == 0x7f)
            return false;
    return true;
}

/* Takes a text of at most `most` bytes at *at, and advances *at. NULL if it is invalid. */
static const char *take_text(const char **at, const char *end, size_t most)
{
    const char *name = *at;
    const char *nul = memchr(name, 0, (size_t)(end - name));
    if (nul == NULL || nul == name || (size_t)(nul - name) > most || !is_printable(name))
        return NULL;
    *at = nul + 1;
    return name;
}

static const char *take_name(const char **at, const char *end)
{
    return take_text(at, end, REGISTRATION_NAME_MAX);
}

/* For a program that takes new rules: takes struct registration_live, which follows the head. */
static const char *take_room(struct registration_names *names, const char **at, const char *end)
{
    names->live = (struct registration_live){.room = 0};
    if (names->head.version != REGISTRATION_LIVE)
        return NULL;
    if ((size_t)(end - *at) < sizeof names->live)
        return "a registration too short or too long";
    memcpy(&names->live, *at, sizeof names->live);
    *at += sizeof names->live;
    return names->live.published == PUBLISHED_AT(names->head.ring_size) &&
                   names->live.room == PUBLISHED_ROOM
               ? NULL
               : "a registration with another room for rules than there is";
}

/* Takes the executable and the path of the rules. */
static bool take_place(struct registration_names *names, const char **at, const char *end)
{
    names->executable = names->rules_path = NULL;
    if (names->live.room == 0)
        return true;
    names->executable = take_name(at, end);
    names->rules_path = take_text(at, end, PATH_MAX - 1);
    return names->executable != NULL && names->rules_path != NULL && names->rules_path[0] == '/';
}

static const char *check_head(const struct registration *head, size_t size)
{
    if (memcmp(head->magic, REGISTRATION_MAGIC, sizeof head->magic) != 0)
        return "not a registration";
    if (head->version < REGISTRATION_VERSION_OLD || head->version > REGISTRATION_LIVE)
        return "a registration of another version";
    if (head->size != size)
        return "a registration of another size than it says";
    if (head->rule_count > REGISTRATION_RULES_MAX)
        return "a registration of too many rules";
    return NULL;
}

static bool take_rule(struct registration_names *names, uint32_t i, const char **at,
                      const char *end)
{
    names->trials[i] = NULL;
    names->rules[i] = take_name(at, end);
    if (names->rules[i] == NULL)
        return false;
    if (names->head.version < REGISTRATION_WITH_TRIALS)
        return true;
    names->trials[i] = take_name(at, end);
    if (names->trials[i] == NULL)
        return false;
    if (strcmp(names->trials[i], REGISTRATION_NO_TRIAL) == 0)
        names->trials[i] = NULL;
    return true;
}

const char *registration_parse(const void *message, size_t size, size_t descriptors,
                               struct registration_names *names)
{
    if (size < sizeof names->head || size > REGISTRATION_SIZE_MAX)
        return "a registration too short or too long";
    memcpy(&names->head, message, sizeof names->head);
    const char *wrong = check_head(&names->head, size);
    if (wrong != NULL)
        return wrong;
    const char *at = (const char *)message + sizeof names->head,
               *end = (const char *)message + size;
    wrong = take_room(names, &at, end);
    if (wrong != NULL)
        return wrong;
    names->program = take_name(&at, end);
    if (names->program == NULL)
        return "a registration without a proper program name";
    if (!take_place(names, &at, end))
        return "a registration without a proper path of the rules";
    for (uint32_t i = 0; i < names->head.rule_count; i++)
        if (!take_rule(names, i, &at, end))
            return "a registration without a proper rule name";
    if (at != end)
        return "a registration with something behind its names";
    if (descriptors != REGISTRATION_DESCRIPTORS &&
        (descriptors == 0 || descriptors > REGISTRATION_DESCRIPTORS ||
         names->head.version == REGISTRATION_VERSION_OLD))
        return "a registration with too few or too many descriptors";
    return NULL;
}
