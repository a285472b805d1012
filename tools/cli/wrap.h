/* SPDX-License-Identifier: MIT */
/*
 * Text that fits the terminal. Output to a pipe or a file is not broken.
 */
#ifndef SOCKTUNE_WRAP_H
#define SOCKTUNE_WRAP_H

/* How many columns the terminal has that is standard output, 40 at least; 0: it is none. */
unsigned wrap_terminal(void);

/* Print `text` from column `indent` on, where the cursor stands, and break it at blanks before
 * column `end`; 0: nowhere. A newline in the text stays one; one is added at the end. */
void wrap_print(const char *text, unsigned indent, unsigned end);

/* Print one line of text, broken where the terminal ends. */
void wrap_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
