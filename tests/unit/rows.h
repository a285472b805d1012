/* SPDX-License-Identifier: MIT */
/* A loop over the rows of the option table. */
#ifndef SOCKTUNE_TEST_ROWS_H
#define SOCKTUNE_TEST_ROWS_H

#include "option.h"

/* `row` is the name of a variable, which cannot be in parentheses. */
#define EACH_ROW(row)                                                                              \
    size_t row_count_;                                                                             \
    const struct option *row = option_table(&row_count_); /* NOLINT(bugprone-macro-parentheses) */ \
    for (const struct option *end_ = (row) + row_count_; (row) < end_; (row)++)

#endif
