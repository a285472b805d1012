/* SPDX-License-Identifier: MIT */
/*
 * Tables on a terminal: columns with headings, cells and an order, and which of them fit on a line.
 *
 * A table is a set of columns (struct column_set) over rows of one type. What `stats` and `top`
 * show of connections is connection_columns.c, what `top` shows of rules is rule_rows.c.
 */
#ifndef SOCKTUNE_COLUMNS_H
#define SOCKTUNE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#define COLUMNS_MAX 32
#define CELL_SIZE   128

/* A column shows a text or a number of each row. A function that serves several columns
 * distinguishes them by `index`. */
struct column {
    const char *key; /* as --sort names it */
    const char *heading;
    int index;
    const char *(*text)(const void *row, int index); /* NULL: it is a number */
    /* The number, by which it is sorted; NAN: none. */
    double (*number)(const void *row, int index, double now);
    /* The cell of a number. NULL: as a whole number. */
    void (*format)(double number, char *text);
    /* NULL, or the whole cell: "" where there is nothing to tell. */
    void (*cell)(const void *row, double now, char text[CELL_SIZE]);
    unsigned width;      /* at most; a longer cell loses its end */
    unsigned place;      /* columns are shown in this order */
    unsigned importance; /* 1: the last to go where a line is short */
    bool left;           /* a number that begins with a word stands to the left, as texts do */
};

struct column_set {
    const struct column *columns; /* by place */
    size_t count;
    size_t row_size;
    /* The order of rows that are equal otherwise: below 0 if `a` comes first. */
    int (*tie)(const void *a, const void *b);
};

/* Rows of a set's type, one after the other. */
struct column_rows {
    const void *rows;
    size_t count;
};

/* The column of that key, or NULL. */
const struct column *column_find(const struct column_set *set, const char *key);

/* The cell as text; "-" where there is nothing to tell. */
void column_cell(const struct column *column, const void *row, double now, char text[CELL_SIZE]);

/* How a table is sorted. */
struct column_order {
    const struct column *column; /* NULL: by the set's own order */
    bool reverse;                /* texts from Z to A, numbers from the smallest */
    double now;
};

/* Read "KEY" or "-KEY" (reverse); false if there is no such column. */
bool column_order_read(struct column_order *order, const struct column_set *set, const char *word);

/* Texts from A to Z, numbers from the largest; rows without a number last. */
void columns_sort(const struct column_set *set, void *rows, size_t count,
                  const struct column_order *order);

/* Columns that fit, and their widths. */
struct column_layout {
    const struct column *columns[COLUMNS_MAX];
    unsigned widths[COLUMNS_MAX];
    size_t count;
};

/* Lay out for lines of `width`, two spaces between columns; 0: all columns fit. A column that has
 * nothing to tell of any row is left out. `wanted` is shown whatever its importance (NULL: none
 * is). */
void columns_layout(struct column_layout *layout, const struct column_set *set,
                    struct column_rows rows, double now, unsigned width,
                    const struct column *wanted);

/* Write one row into `line`, without a line feed, or the headings if `row` is NULL. Numbers are
 * right-aligned. Returns the length. */
size_t columns_line(const struct column_layout *layout, const void *row, double now, char *line,
                    size_t size);

/* All keys into `text`, separated by ", ". */
void column_keys(const struct column_set *set, char *text, size_t size);

#endif
