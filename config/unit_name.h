/* SPDX-License-Identifier: MIT */
/*
 * Names of systemd units (systemd.unit(5)).
 */
#ifndef SOCKTUNE_UNIT_NAME_H
#define SOCKTUNE_UNIT_NAME_H

/* The type that a unit's name ends with (".service"), a static string; NULL if it has none, as
 * "php8.2-fpm". */
const char *unit_name_type(const char *name);

/* What completes the name, or a glob over names, as systemctl(1) does: ".service" or "". */
const char *unit_name_rest(const char *name);

#endif
