/* SPDX-License-Identifier: MIT */
/*
 * Quantities for people: three significant digits, and a unit that suits the size.
 */
#ifndef SOCKTUNE_HUMAN_H
#define SOCKTUNE_HUMAN_H

#include <stddef.h>

/* Room for any of them. */
#define HUMAN_SIZE 16

/* Format bytes: "512", "1.2K", "34.5M"; K, M, G and T are powers of 1024, as in rules. */
void human_bytes(double bytes, char text[HUMAN_SIZE]);

/* Format microseconds: "85us", "1.25ms", "350ms", "12.0s". */
void human_microseconds(double microseconds, char text[HUMAN_SIZE]);

/* Format seconds: "12s", "5m03s", "2h10m", "3d04h". */
void human_age(double seconds, char text[HUMAN_SIZE]);

/* Format a share from 0 to 1 in per cent, without the sign: "0", "0.02", "12.5". */
void human_percent(double share, char text[HUMAN_SIZE]);

#endif
