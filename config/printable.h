/* SPDX-License-Identifier: MIT */
/*
 * Text from outside, for one line of a terminal or a log.
 */
#ifndef SOCKTUNE_PRINTABLE_H
#define SOCKTUNE_PRINTABLE_H

/* Replace each control character by `?`. */
void make_printable(char *text);

#endif
