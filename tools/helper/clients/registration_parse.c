/* SPDX-License-Identifier: MIT */
/*
 * The message has to be used up exactly by its names.
 */
#include "registration_parse.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* One whose second descriptor has to be there. */
#define REGISTRATION_VERSION_OLD 1u

/* Names go into logs and onto terminals: no control characters. Above ASCII anything goes, as in
 * file names. */
static bool is_printable(const char *name)
{
    for (const unsigned char *at = (const unsigned char *)name; *at != 0; at++)
        if (*at < ' ' || *at == 0x7f)
            return false;
    return true;
}

/* The name at *at, which is moved behind it; NULL if it is none. */
static const char *take_name(const char **at, const char *end)
{
    const char *name = *at;
    const char *nul = memchr(name, 0, (size_t)(end - name));
    if (nul == NULL || nul == name || (size_t)(nul - name) > REGISTRATION_NAME_MAX ||
        !is_printable(name))
        return NULL;
    *at = nul + 1;
    return name;
}

static const char *check_head(const struct registration *head, size_t size)
{
    if (memcmp(head->magic, REGISTRATION_MAGIC, sizeof head->magic) != 0)
        return "not a registration";
    if (head->version < REGISTRATION_VERSION_OLD || head->version > REGISTRATION_WITH_TRIALS)
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
    if (names->head.version != REGISTRATION_WITH_TRIALS)
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
    names->program = take_name(&at, end);
    if (names->program == NULL)
        return "a registration without a proper program name";
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
