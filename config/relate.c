/* SPDX-License-Identifier: MIT */
/* Comparing the criteria of rules, one kind after the other. */
#include "relate.h"

#include <string.h>

/* --- lists that include and exclude --------------------------------------------------------- */

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

static bool prefix_holds(const struct policy_prefix *outer, const struct policy_prefix *inner)
{
    if (outer->v4 != inner->v4 || outer->length > inner->length)
        return false;
    for (unsigned bit = 0; bit < outer->length; bit++)
        if (((outer->address[bit / 8] ^ inner->address[bit / 8]) & (0x80u >> bit % 8)) != 0)
            return false;
    return true;
}

static bool in_some_prefix(const struct prefix_list *list, const struct policy_prefix *prefix)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].negate && prefix_holds(&list->items[i], prefix))
            return true;
    return false;
}

/* Lists with exclusions are compared only with the empty one. */
static bool prefixes_cover(const struct prefix_list *outer, const struct prefix_list *inner)
{
    bool inner_includes = false;

    if (outer->count == 0)
        return true;
    for (size_t i = 0; i < outer->count; i++)
        if (outer->items[i].negate)
            return false;
    for (size_t i = 0; i < inner->count; i++) {
        if (inner->items[i].negate)
            continue;
        inner_includes = true;
        if (!in_some_prefix(outer, &inner->items[i]))
            return false;
    }
    return inner_includes;
}

static bool in_some_range(const struct port_list *list, const struct policy_port *port)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].negate && list->items[i].low <= port->low &&
            port->high <= list->items[i].high)
            return true;
    return false;
}

static bool ports_cover(const struct port_list *outer, const struct port_list *inner)
{
    bool inner_includes = false;

    if (outer->count == 0)
        return true;
    for (size_t i = 0; i < outer->count; i++)
        if (outer->items[i].negate)
            return false;
    for (size_t i = 0; i < inner->count; i++) {
        if (inner->items[i].negate)
            continue;
        inner_includes = true;
        if (!in_some_range(outer, &inner->items[i]))
            return false;
    }
    return inner_includes;
}

/* --- rules ---------------------------------------------------------------------------------- */

static bool is_subset(unsigned inner, unsigned outer)
{
    return (inner & ~outer) == 0;
}

bool rule_covers(const struct rule *outer, const struct rule *inner)
{
    return is_subset(rule_roles(inner), outer->roles) &&
           is_subset(inner->families, outer->families) &&
           is_subset(inner->protocols, outer->protocols) &&
           patterns_cover(&outer->program, &inner->program) &&
           patterns_cover(&outer->command, &inner->command) &&
           patterns_cover(&outer->user, &inner->user) &&
           prefixes_cover(&outer->local, &inner->local) &&
           prefixes_cover(&outer->remote, &inner->remote) &&
           ports_cover(&outer->local_port, &inner->local_port) &&
           ports_cover(&outer->remote_port, &inner->remote_port);
}

/* Users are numbers and a process has one, so lists of them can be told apart. */
static bool users_are_disjoint(const struct pattern_list *a, const struct pattern_list *b)
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
            if (!a->items[i].negate && !b->items[j].negate && a->items[i].uid == b->items[j].uid)
                return false;
    return true;
}

bool rules_are_disjoint(const struct rule *a, const struct rule *b)
{
    return (rule_roles(a) & rule_roles(b)) == 0 || (a->families & b->families) == 0 ||
           (a->protocols & b->protocols) == 0 || users_are_disjoint(&a->user, &b->user);
}
