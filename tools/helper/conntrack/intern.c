/* SPDX-License-Identifier: MIT */
/*
 * Reference-counted strings in a hash table.
 */
#include "intern.h"

#include <stdlib.h>
#include <string.h>

/* uthash returns the item instead of ending the program if there is no memory. */
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(item) ((item)->holders = 0)
#include <uthash.h>

struct intern_name {
    UT_hash_handle hh;
    size_t holders;
    char text[];
};

const char *intern_hold(struct intern *set, const char *text)
{
    size_t length = strlen(text);
    struct intern_name *name;
    HASH_FIND(hh, set->names, text, length, name);
    if (name != NULL) {
        name->holders++;
        return name->text;
    }
    name = malloc(sizeof *name + length + 1);
    if (name == NULL)
        return NULL;
    name->holders = 1;
    memcpy(name->text, text, length + 1);
    HASH_ADD_KEYPTR(hh, set->names, name->text, length, name);
    if (name->holders == 0) {
        free(name);
        return NULL;
    }
    set->memory += sizeof *name + length + 1;
    return name->text;
}

void intern_release(struct intern *set, const char *text)
{
    struct intern_name *name;
    if (text == NULL)
        return;
    HASH_FIND(hh, set->names, text, strlen(text), name);
    if (name == NULL || --name->holders > 0)
        return;
    set->memory -= sizeof *name + strlen(name->text) + 1;
    HASH_DELETE(hh, set->names, name);
    free(name);
}

void intern_clear(struct intern *set)
{
    struct intern_name *name = set->names;
    HASH_CLEAR(hh, set->names);
    while (name != NULL) {
        struct intern_name *next = name->hh.next;
        free(name);
        name = next;
    }
    set->memory = 0;
}
