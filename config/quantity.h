/* SPDX-License-Identifier: MIT */
/*
 * Numbers with units, as people write them: "2m", "1m30s", "0.5s", "64KB", "100Mbit". Pure.
 *
 * Each table of units has its own base: durations count in microseconds, sizes in bytes, rates in
 * bits per second.
 */
#ifndef SOCKTUNE_QUANTITY_H
#define SOCKTUNE_QUANTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A unit as it is written behind a number, and how many of the base unit it is. */
struct quantity_unit {
    const char *text;
    int64_t factor; /* QUANTITY_AMBIGUOUS: people mean different things by it */
};

#define QUANTITY_AMBIGUOUS 0

/* The tables end with a NULL text. Each begins with the units in which values are printed, from the
 * finest to the coarsest. */
extern const struct quantity_unit quantity_durations[];
extern const struct quantity_unit quantity_sizes[];
extern const struct quantity_unit quantity_rates[];
extern const struct quantity_unit quantity_counts[]; /* no unit at all */

enum quantity_result {
    QUANTITY_READ,
    QUANTITY_NONE,      /* no number, or a unit that is not in the table */
    QUANTITY_TOO_LARGE, /* above 2^63 of the base unit */
    QUANTITY_INEXACT,   /* no whole number of the wanted unit */
    QUANTITY_UNCLEAR,   /* the unit is ambiguous */
};

/*
 * Read all of `text` as decimal numbers, each with a unit of `units`; blanks may stand between
 * them. More than one number needs units that are durations ("1m30s"). `*number` becomes their sum
 * in units of `base`, which is so many of the table's base units (1000: milliseconds of a
 * duration). Units are told apart by case first ("MB" from "Mb") and then without it.
 */
enum quantity_result quantity_read(const char *text, const struct quantity_unit *units,
                                   int64_t base, int64_t *number);

/*
 * A number without a unit: decimal, or hexadecimal after "0x"; never octal, which nobody expects.
 * Returns false if `text` is something else. `*fits` is false where it is beyond 64 bits.
 */
bool quantity_read_bare(const char *text, int64_t *number, bool *fits);

#endif
