/* SPDX-License-Identifier: MIT */
/*
 * What systemd knows of a unit, by `systemctl show`.
 */
#ifndef SOCKTUNE_UNIT_FACTS_H
#define SOCKTUNE_UNIT_FACTS_H

#include "unit_dropin.h"

struct unit_facts {
    const char *unit;
    /* Lines NAME=VALUE, malloc()ed; NULL if systemd is not asked (--root) or does not answer. */
    char *properties;
    bool known; /* systemd knows the unit, or there is a unit file of this name */
};

/* `unit` is borrowed. Release with unit_facts_free(). */
void unit_facts_read(const struct unit_place *place, const char *unit, struct unit_facts *facts);
void unit_facts_free(struct unit_facts *facts);

/* The value of a property, up to the end of its line; NULL if systemd says nothing of it. A
 * property with several lines is walked through by `from`, the value before; NULL begins. */
const char *unit_facts_next(const struct unit_facts *facts, const char *name, const char *from);

/* The first value, malloc()ed; NULL too if it is empty. */
char *unit_facts_value(const struct unit_facts *facts, const char *name);

/* What the unit itself puts into LD_PRELOAD, malloc()ed; NULL if it is nothing. */
char *unit_preload(const struct unit_facts *facts);

#endif
