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
    struct reported_list list; /* as it was fetched last, sorted */
    struct histories histories;
    struct column_order order;
    char choices[CHOICE_COUNT][TOP_TYPED_SIZE]; /* filters; "": none */
    char error[QUERY_ERROR_SIZE];               /* of the last fetch, "" if it went well */

    /* The first view: programs and rules. Enter leads to the connections of one of them. */
    bool by_rule;
    struct rule_list rules;
    struct column_order rule_order;
    size_t rule_selected, rule_first;

    size_t selected; /* index into `list` */
    size_t first;    /* the first that is drawn */
    size_t rows;     /* how many are drawn */
    char *chosen;    /* own; id of the one that was selected, NULL: none yet */
    bool gone;       /* it is no longer in `list`; its details stay, */
    bool final;      /* and are those of its end */
    bool detailed;   /* the pane is open */
    size_t scrolled; /* lines of figures that were scrolled off */
    bool paused;
    bool helping; /* the list of keys is shown */

    bool asking; /* the typed text becomes choices[asked] */
    enum reported_choice asked;
    char typed[TOP_TYPED_SIZE];
    bool utf8; /* the terminal shows UTF-8 */
};

/* Draw the screen. Sets `rows`, and limits `first` and `scrolled` to rows that exist. */
void top_draw(struct top *top);

#endif
