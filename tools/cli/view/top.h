/* SPDX-License-Identifier: MIT */
/*
 * The state of `top`: what cmd_top.c changes and top_screen.c draws.
 */
#ifndef SOCKTUNE_TOP_H
#define SOCKTUNE_TOP_H

#include "connection_columns.h"
#include "reported_fetch.h"
#include "rule_rows.h"
#include "top_history.h"

#define TOP_TYPED_SIZE 128

struct top {
    struct reported_fetch fetch;
    struct reported_list list; /* the last answer, sorted */
    struct histories histories;
    struct column_order order;
    char choices[CHOICE_COUNT][TOP_TYPED_SIZE]; /* filters; "": none */
    char error[QUERY_ERROR_SIZE];               /* of the last fetch; "" if it succeeded */

    /* The first view: programs and rules. Enter shows the connections of the selected row. */
    bool by_rule;
    struct rule_list rules;
    struct column_order rule_order;
    size_t rule_selected, rule_first;

    size_t selected; /* index into `list` */
    size_t first;    /* first row that is drawn */
    size_t rows;     /* number of rows that are drawn */
    char *chosen;    /* owned; id of the selected connection, NULL: none yet */
    bool gone;       /* it is no longer in `list`; its details stay */
    bool final;      /* the details are those of its end */
    bool detailed;   /* the pane is open */
    size_t scrolled; /* lines of figures that are scrolled off */
    bool paused;
    bool helping; /* the list of keys is shown */

    bool asking; /* the typed text becomes choices[asked] */
    enum reported_choice asked;
    char typed[TOP_TYPED_SIZE];
    bool utf8; /* the terminal shows UTF-8 */
};

/* Draw the screen. Sets `rows`; limits `first` and `scrolled` to existing rows. */
void top_draw(struct top *top);

#endif
