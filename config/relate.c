/* SPDX-License-Identifier: MIT */
/* Comparing the criteria of rules, one kind after the other. */
#include "relate.h"

#include <string.h>

/* Lists that include and exclude */

static bool same_pattern(const struct pattern *a, const struct pattern *b)
{
    return a->negate == b->negate && strcmp(a->text, b->text) == 0;
}

static bool has_pattern(const struct pattern_list *list, const struct pattern *pattern)
{
    for (size_t i = 0; i < list->count; i++)
        if (same_pattern(&list->items[i], pattern))
            return true;
    return false;
}

/* Each exclusion of the outer list stands in the inner one, too, and each inclusion of the inner
 * list in the outer one; and where the outer list includes, so does the inner. */
static bool patterns_cover(const struct pattern_list *outer, const struct pattern_list *inner)
{
    bool outer_includes = false, inner_includes = false;
    for (size_t i = 0; i < outer->count; i++) {
        outer_includes = outer_includes || !outer->items[i].negate;
        if (outer->items[i].negate && !has_pattern(inner, &outer->items[i]))
            return false;
    }
    if (!outer_includes)
        return true;
    for (size_t i = 0; i < inner->count; i++) {
        inner_includes = inner_includes || !inner->items[i].negate;
        if (!inner->items[i].negate && !has_pattern(outer, &inner->items[i]))
            return false;
    }
    return inner_includes;
}

/* What prefixes and ports are compared by. */
struct range_kind {
    size_t size;
    bool (*negates)(const void *item);
    bool (*holds)(const void *outer, const void *inner);
};

static bool prefix_negates(const void *item)
{
    return ((const struct policy_prefix *)item)->negate;
}

static bool prefix_holds(const void *outer_item, const void *inner_item)
{
    const struct policy_prefix *outer = outer_item, *inner = inner_item;
    if (outer->v4 != inner->v4 || outer->length > inner->length)
        return false;
    for (unsigned bit = 0; bit < outer->length; bit++)
        if (((outer->address[bit / 8] ^ inner->address[bit / 8]) & (0x80u >> bit % 8)) != 0)
            return false;
    return true;
}

static bool port_negates(const void *item)
{
    return ((const struct policy_port *)item)->negate;
}

static bool port_holds(const void *outer_item, const void *inner_item)
{
    const struct policy_port *outer = outer_item, *inner = inner_item;
    return outer->low <= inner->low && inner->high <= outer->high;
}

static const struct range_kind prefixes = {sizeof(struct policy_prefix), prefix_negates,
                                           prefix_holds};
static const struct range_kind ports = {sizeof(struct policy_port), port_negates, port_holds};

static bool in_some(const struct range_kind *kind, const char *list, size_t count, const void *item)
{
    for (size_t i = 0; i < count; i++)
        if (kind->holds(list + i * kind->size, item))
            return true;
    return false;
}

/* Lists with exclusions are compared only with the empty one. */
static bool ranges_cover(const struct range_kind *kind, const void *outer, size_t outer_count,
                         const void *inner, size_t inner_count)
{
    const char *item = outer;
    bool inner_includes = false;
    if (outer_count == 0)
        return true;
    for (size_t i = 0; i < outer_count; i++, item += kind->size)
        if (kind->negates(item))
            return false;
    item = inner;
    for (size_t i = 0; i < inner_count; i++, item += kind->size) {
        if (kind->negates(item))
            continue;
        inner_includes = true;
        if (!in_some(kind, outer, outer_count, item))
            return false;
    }
    return inner_includes;
}

#define RANGES_COVER(kind, outer, inner)                                                           \
    ranges_cover(&(kind), (outer).items, (outer).count, (inner).items, (inner).count)

/* Rules */

static bool is_subset(unsigned inner, unsigned outer)
{
    return (inner & ~outer) == 0;
}

static bool programs_cover(const struct rule *outer, const struct rule *inner)
{
    for (unsigned i = 0; i < PROGRAM_CRITERIA; i++)
        if (!patterns_cover(&outer->programs[i], &inner->programs[i]))
            return false;
    return true;
}

bool rule_covers(const struct rule *outer, const struct rule *inner)
{
    /* An arm of a trial has only some of the sockets of its rule. */
    return outer->trial == NULL && is_subset(rule_roles(inner), outer->roles) &&
           is_subset(inner->families, outer->families) &&
           is_subset(inner->protocols, outer->protocols) && programs_cover(outer, inner) &&
           RANGES_COVER(prefixes, outer->local, inner->local) &&
           RANGES_COVER(prefixes, outer->remote, inner->remote) &&
           RANGES_COVER(ports, outer->local_port, inner->local_port) &&
           RANGES_COVER(ports, outer->remote_port, inner->remote_port);
}

/* Users and groups are numbers and a process has one of each, so lists of them can be told apart.
 */
static bool ids_are_disjoint(const struct pattern_list *a, const struct pattern_list *b)
{
    bool a_includes = false, b_includes = false;
    for (size_t i = 0; i < a->count; i++)
        a_includes = a_includes || !a->items[i].negate;
    for (size_t i = 0; i < b->count; i++)
        b_includes = b_includes || !b->items[i].negate;
    if (!a_includes || !b_includes)
        return false;
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (!a->items[i].negate && !b->items[j].negate && a->items[i].id == b->items[j].id)
                return false;
    return true;
}

bool rules_are_disjoint(const struct rule *a, const struct rule *b)
{
    return (rule_roles(a) & rule_roles(b)) == 0 || (a->families & b->families) == 0 ||
           (a->protocols & b->protocols) == 0 ||
           ids_are_disjoint(&a->programs[MATCHER_USER], &b->programs[MATCHER_USER]) ||
           ids_are_disjoint(&a->programs[MATCHER_GROUP], &b->programs[MATCHER_GROUP]);
}
