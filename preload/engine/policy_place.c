/* SPDX-License-Identifier: MIT */
#include "policy_place.h"

#include "bytes.h"
#include "policy.h"

#define SYSTEM_DIRECTORY "/var/cache/socktune"
#define TEMPORARY_PREFIX "/tmp/.socktune-"

static bool text_fits(const struct text *text)
{
    return text->length + 1 < text->size;
}

static bool is_absolute(const char *path)
{
    return path != NULL && path[0] == '/';
}

/* The XDG base directory specification: a relative XDG_CACHE_HOME is ignored. Root has no such
 * directory: programs run as root with the HOME of a user, who must not choose where root
 * writes. */
static bool put_user_directory(struct text *path, const struct policy_owner *owner)
{
    bool has_xdg = is_absolute(owner->xdg);
    if (owner->uid == 0 || (!has_xdg && !is_absolute(owner->home)))
        return false;
    text_put(path, has_xdg ? owner->xdg : owner->home);
    text_put(path, has_xdg ? "/socktune" : "/.cache/socktune");
    return true;
}

bool policy_place_directory(struct text *path, enum policy_place place,
                            const struct policy_owner *owner)
{
    switch (place) {
    case PLACE_SYSTEM:
        text_put(path, SYSTEM_DIRECTORY);
        break;
    case PLACE_USER:
        if (!put_user_directory(path, owner))
            return false;
        break;
    case PLACE_TEMPORARY:
        text_put(path, TEMPORARY_PREFIX);
        text_put_number(path, (long)owner->uid);
        break;
    default:
        return false;
    }
    return text_fits(path);
}

static void put_hash(struct text *path, const char *rules)
{
    uint64_t hash = bytes_hash(BYTES_HASH_BEGIN, rules, text_length(rules));
    char digits[17] = {0};
    for (unsigned i = 0; i < 16; i++)
        digits[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
    text_put(path, "/");
    text_put(path, digits);
}

bool policy_place_path(struct text *path, enum policy_place place, const struct policy_owner *owner,
                       const char *rules)
{
    if (place == PLACE_BESIDE)
        text_put(path, rules);
    else if (is_absolute(rules) && policy_place_directory(path, place, owner))
        put_hash(path, rules);
    else
        return false;
    text_put(path, POLICY_SUFFIX);
    return text_fits(path);
}
