/* SPDX-License-Identifier: MIT */
/*
 * The columns of `stats` and `top`: headings, cells, order, and which of them fit on a line.
 */
#ifndef SOCKTUNE_COLUMNS_H
#define SOCKTUNE_COLUMNS_H

#include "reported.h"

#define COLUMNS_MAX 24
#define CELL_SIZE   128

struct column {
    const char *key; /* as --sort names it */
    const char *heading;
    int text; /* enum reported_text, or -1: it is a number */
    /* The number, by which it is sorted; NAN: none. */
    double (*number)(const struct reported *connection, double now);
    /* The cell of it. NULL: as a whole number. */
    void (*format)(double number, char *text);
    unsigned width;      /* at most; a longer cell loses its end */
    unsigned importance; /* 1: the last to go where a line is short */
};

/* The table, in the order in which it is shown. */
const struct column *column_table(size_t *count);

/* The column of that key, or NULL. */
const struct column *column_find(const char *key);

/* The cell as text; "-" where there is nothing to tell. */
void column_cell(const struct column *column, const struct reported *connection, double now,
                 char text[CELL_SIZE]);

/* How a table is sorted. */
struct column_order {
    const struct column *column;
    bool reverse; /* texts from Z to A, numbers from the smallest */
    double now;
};

/* Read "KEY" or "-KEY" (reverse); false if there is no such column. */
bool column_order_read(struct column_order *order, const char *word);

/* Texts from A to Z, numbers from the largest; equal ones, the newest first. */
void columns_sort(struct reported_list *connections, const struct column_order *order);

/* Columns that fit, and their widths. */
struct layout {
    const struct column *columns[COLUMNS_MAX];
    unsigned widths[COLUMNS_MAX];
    size_t count;
};

/* Lay out for lines of `width`, two spaces between columns; 0: all columns fit. `wanted` is shown
 * whatever its importance (NULL: none is). */
void columns_layout(struct layout *layout, const struct reported_list *connections, double now,
                    unsigned width, const struct column *wanted);

/* One line of it into `line`, without a line feed; of the headings if `connection` is NULL. Numbers
 * stand to the right. Returns its length. */
size_t columns_line(const struct layout *layout, const struct reported *connection, double now,
                    char *line, size_t size);

/* One line with the totals, "2 open, 1 listening; sent 1.00M, ..." */
void columns_totals(const struct reported_totals *totals, bool closed, char *line, size_t size);

/* All keys into `text`, separated by ", ". */
void column_keys(char *text, size_t size);

#endif
