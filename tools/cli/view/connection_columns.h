/* SPDX-License-Identifier: MIT */
/*
 * The columns in which `stats` and `top` show connections; rows are struct reported.
 *
 * A field of tcp_info becomes a column by its row in tcp_info.def. All other columns are rows of
 * the table in connection_columns.c. Headings, sorting, --sort and the keys of `top` come from
 * these rows.
 */
#ifndef SOCKTUNE_CONNECTION_COLUMNS_H
#define SOCKTUNE_CONNECTION_COLUMNS_H

#include "columns.h"
#include "reported.h"

/* The set, created at the first call. Among equal rows the newest comes first. */
const struct column_set *connection_columns(void);

/* The keys of these columns, separated by ", ". */
void connection_column_keys(char *text, size_t size);

/* One line with the totals: "2 open, 1 listening; sent 1.00M, ..." */
void connection_totals_line(const struct reported_totals *totals, bool closed, char *line,
                            size_t size);

#endif
