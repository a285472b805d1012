/* SPDX-License-Identifier: MIT */
/*
 * Wraps text at the width of the terminal. Output to a pipe or a file is not wrapped.
 */
#ifndef SOCKTUNE_WRAP_H
#define SOCKTUNE_WRAP_H

/* The number of columns of the terminal on standard output, at least 40; 0: it is no terminal. */
unsigned wrap_terminal(void);

/* Print `text` from column `indent` on, where the cursor is, and break it at blanks before column
 * `end`; 0: never. Newlines in the text are kept; one is added at the end. */
void wrap_print(const char *text, unsigned indent, unsigned end);

/* Print one line of text, wrapped at the width of the terminal. */
void wrap_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
