/* SPDX-License-Identifier: MIT */
/*
 * Whether supervision can work here, found out before the program starts.
 */
#ifndef SOCKTUNE_REACHABILITY_H
#define SOCKTUNE_REACHABILITY_H

#include <stdbool.h>
#include <stddef.h>

/* What would keep the supervisor from reaching any socket of the program, as a sentence without a
 * full stop, in `text`. Returns false if nothing does. */
bool reachability_problem(char *text, size_t size);

#endif
