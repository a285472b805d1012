/* SPDX-License-Identifier: MIT */
#include "columns.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct column *column_find(const struct column_set *set, const char *key)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->columns[i].key, key) == 0)
            return &set->columns[i];
    return NULL;
}

void column_keys(const struct column_set *set, char *text, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < set->count && length < size; i++)
        length += (size_t)snprintf(text + length, size - length, "%s%s", i ? ", " : "",
                                   set->columns[i].key);
}

void column_cell(const struct column *column, const void *row, double now, char text[CELL_SIZE])
{
    double number = column->number != NULL ? column->number(row, column->index, now) : NAN;
    *text = '\0';
    if (column->cell != NULL)
        column->cell(row, now, text);
    else if (column->text != NULL)
        snprintf(text, CELL_SIZE, "%s", column->text(row, column->index));
    else if (!isnan(number) && column->format != NULL)
        column->format(number, text);
    else if (!isnan(number))
        snprintf(text, CELL_SIZE, "%.0f", number);
    if (!*text)
        snprintf(text, CELL_SIZE, "-");
}

/* Order */

bool column_order_read(struct column_order *order, const struct column_set *set, const char *word)
{
    bool reverse = *word == '-';
    const struct column *column = column_find(set, word + reverse);
    if (column != NULL)
        *order = (struct column_order){.column = column, .reverse = reverse};
    return column != NULL;
}

/* Larger numbers first. Rows without a number come last, also when reversed. */
static int compare_numbers(double left, double right, bool reverse)
{
    int result;
    if (isnan(left) || isnan(right))
        return isnan(left) - isnan(right);
    result = (left < right) - (left > right);
    return reverse ? -result : result;
}

struct comparing {
    const struct column_set *set;
    const struct column_order *order;
};

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct comparing *comparing = context;
    const struct column_order *order = comparing->order;
    const struct column *column = order->column;
    int result = 0;
    if (column != NULL && column->text != NULL) {
        result = strcmp(column->text(left, column->index), column->text(right, column->index));
        result = order->reverse ? -result : result;
    } else if (column != NULL) {
        result = compare_numbers(column->number(left, column->index, order->now),
                                 column->number(right, column->index, order->now), order->reverse);
    }
    return result ? result : comparing->set->tie(left, right);
}

void columns_sort(const struct column_set *set, void *rows, size_t count,
                  const struct column_order *order)
{
    struct comparing comparing = {set, order};
    if (count > 0)
        qsort_r(rows, count, set->row_size, compare_rows, &comparing);
}

/* Lines */

/* The width that the column needs for these rows; 0: all its cells are empty. */
static unsigned width_of(const struct column_set *set, const struct column *column,
                         struct column_rows rows, double now)
{
    unsigned width = 0;
    char text[CELL_SIZE];
    for (size_t i = 0; i < rows.count && width < column->width; i++) {
        column_cell(column, (const char *)rows.rows + i * set->row_size, now, text);
        if (strcmp(text, "-") != 0 && strlen(text) > width)
            width = (unsigned)strlen(text);
    }
    if (width && width < strlen(column->heading))
        width = (unsigned)strlen(column->heading);
    return width > column->width ? column->width : width;
}

/* The most important column that is not chosen yet; the set's count if all are chosen. */
static size_t next_by_importance(const struct column_set *set, const unsigned widths[],
                                 const bool chosen[])
{
    size_t best = set->count;
    for (size_t i = 0; i < set->count; i++)
        if (widths[i] && !chosen[i] &&
            (best == set->count || set->columns[i].importance < set->columns[best].importance))
            best = i;
    return best;
}

void columns_layout(struct column_layout *layout, const struct column_set *set,
                    struct column_rows rows, double now, unsigned width,
                    const struct column *wanted)
{
    unsigned widths[COLUMNS_MAX] = {0}, used = 0;
    bool chosen[COLUMNS_MAX] = {false};
    layout->count = 0;
    for (size_t i = 0; i < set->count; i++)
        widths[i] = width_of(set, &set->columns[i], rows, now);
    if (wanted != NULL && widths[wanted - set->columns]) {
        chosen[wanted - set->columns] = true;
        used = widths[wanted - set->columns] + 2;
    }
    for (size_t i; (i = next_by_importance(set, widths, chosen)) < set->count;) {
        if (width && used + widths[i] > width)
            break;
        chosen[i] = true;
        used += widths[i] + 2;
    }
    for (size_t i = 0; i < set->count; i++)
        if (chosen[i]) {
            layout->columns[layout->count] = &set->columns[i];
            layout->widths[layout->count++] = widths[i];
        }
}

size_t columns_line(const struct column_layout *layout, const void *row, double now, char *line,
                    size_t size)
{
    size_t length = 0;
    char text[CELL_SIZE];
    *line = '\0';
    for (size_t i = 0; i < layout->count && length < size; i++) {
        const struct column *column = layout->columns[i];
        int width = (int)layout->widths[i];
        bool left = column->text != NULL || column->left;
        if (row != NULL)
            column_cell(column, row, now, text);
        else
            snprintf(text, sizeof text, "%s", column->heading);
        length += (size_t)snprintf(line + length, size - length, "%s%*.*s", i ? "  " : "",
                                   left ? -width : width, width, text);
    }
    if (length >= size)
        length = size - 1;
    while (length && line[length - 1] == ' ')
        line[--length] = '\0';
    return length;
}
