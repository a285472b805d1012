/* SPDX-License-Identifier: MIT */
/*
 * Tables on a terminal: columns with headings, cells and an order. The columns that fit on a line
 * are chosen.
 *
 * A table is a set of columns (struct column_set) over rows of one type. connection_columns.c has
 * the columns for connections (`stats` and `top`), rule_rows.c those for rules (`top`).
 */
#ifndef SOCKTUNE_COLUMNS_H
#define SOCKTUNE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#define COLUMNS_MAX 32
#define CELL_SIZE   128

/* A column shows a text or a number of each row. If a function serves several columns, `index`
 * distinguishes them. */
struct column {
    const char *key; /* as --sort names it */
    const char *heading;
    int index;
    const char *(*text)(const void *row, int index); /* NULL: the column shows a number */
    /* The number, by which the column is sorted; NAN: unknown. */
    double (*number)(const void *row, int index, double now);
    /* Formats a number as a cell. NULL: as a whole number. */
    void (*format)(double number, char *text);
    /* NULL, or writes the whole cell; "" if it is empty. */
    void (*cell)(const void *row, double now, char text[CELL_SIZE]);
    unsigned width;      /* at most; longer cells are truncated */
    unsigned place;      /* columns are shown in this order */
    unsigned importance; /* 1: the last to be dropped on a short line */
    bool left;           /* left-aligned, as texts are: the cell begins with a word */
};

struct column_set {
    const struct column *columns; /* by place */
    size_t count;
    size_t row_size;
    /* The order of rows that are otherwise equal: below 0 if `a` comes first. */
    int (*tie)(const void *a, const void *b);
};

/* Rows of a set's type, one after the other. */
struct column_rows {
    const void *rows;
    size_t count;
};

/* The column with that key, or NULL. */
const struct column *column_find(const struct column_set *set, const char *key);

/* The cell as text; "-" if it is empty. */
void column_cell(const struct column *column, const void *row, double now, char text[CELL_SIZE]);

/* How a table is sorted. */
struct column_order {
    const struct column *column; /* NULL: the set's own order */
    bool reverse;                /* reversed: texts from Z to A, numbers from the smallest */
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

/* Choose the columns for lines of `width`, with two spaces between columns; 0: all columns fit. A
 * column whose cells are all empty is left out. `wanted` is shown whatever its importance; NULL: no
 * such column. */
void columns_layout(struct column_layout *layout, const struct column_set *set,
                    struct column_rows rows, double now, unsigned width,
                    const struct column *wanted);

/* Write one row into `line`, without a newline; the headings if `row` is NULL. Numbers are
 * right-aligned. Returns the length. */
size_t columns_line(const struct column_layout *layout, const void *row, double now, char *line,
                    size_t size);

/* Write all keys into `text`, separated by ", ". */
void column_keys(const struct column_set *set, char *text, size_t size);

#endif
