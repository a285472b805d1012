/* SPDX-License-Identifier: MIT */
/*
 * The names of families, roles, protocols, units and privileges for people and JSON: those of the
 * rule language.
 */
#ifndef SOCKTUNE_NAMES_H
#define SOCKTUNE_NAMES_H

#include "option.h"
#include "policy.h"

/* A bit's name; tables end with a NULL name. */
struct bit_name {
    unsigned bit;
    const char *name;
};

extern const struct bit_name family_names[];   /* enum family_bit */
extern const struct bit_name role_names[];     /* enum role_bit */
extern const struct bit_name protocol_names[]; /* enum protocol_bit */

/* Returns the name of the first bit in the table that is set in `bits`, or NULL. */
const char *name_of_bits(unsigned bits, const struct bit_name *names);

/* Write the names of `bits`, in the order of the table, separated by ", ". */
void names_list(const struct bit_name *names, unsigned bits, char *text, size_t size);

/* Returns "seconds", "bytes" and so on; NULL for UNIT_NONE. */
const char *unit_name(enum option_unit unit);

/* Returns "set", "default", "force", "ignore" and so on. */
const char *mode_name(enum action_mode mode);

/* Write the privilege that the option needs ("CAP_NET_ADMIN above 6"); "" for none. */
void privilege_name(const struct option *option, char *text, size_t size);

#endif
