/* SPDX-License-Identifier: MIT */
/*
 * What people and JSON call families, roles, protocols, units and privileges: as rules do.
 */
#ifndef SOCKTUNE_NAMES_H
#define SOCKTUNE_NAMES_H

#include "option.h"
#include "policy.h"

/* A bit's name; tables of them end with a NULL name. */
struct bit_name {
    unsigned bit;
    const char *name;
};

extern const struct bit_name family_names[];   /* enum family_bit */
extern const struct bit_name role_names[];     /* enum role_bit */
extern const struct bit_name protocol_names[]; /* enum protocol_bit */

/* The name of the first bit of the table that is in `bits`, or NULL. */
const char *name_of_bits(unsigned bits, const struct bit_name *names);

/* Write the names of `bits`, in the order of the table, separated by ", ". */
void names_list(const struct bit_name *names, unsigned bits, char *text, size_t size);

/* "seconds", "bytes"; NULL for UNIT_NONE. */
const char *unit_name(enum option_unit unit);

/* "set", "default", "force", "ignore". */
const char *mode_name(enum action_mode mode);

/* Which privilege the option needs ("CAP_NET_ADMIN above 6"); "" for none. */
void privilege_name(const struct option *option, char *text, size_t size);

#endif
