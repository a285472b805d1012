/* SPDX-License-Identifier: MIT */
/*
 * Draws `top` with ncurses. Lines for which a small terminal has no room are cut off.
 */
#include "top.h"

#include "human.h"

#include <math.h>
#include <ncurses.h>
#include <stdlib.h>
#include <string.h>

#define LINE_ROOM   1024
#define HEAD_LINES  3 /* totals, filters, headings */
#define FOOT_LINES  1
#define FIELD_WIDTH 38 /* columns of a figure in the pane: name, value and gap */

/* One line, cleared to its end. */
static void put_line(int y, int attributes, const char *text)
{
    attr_set((attr_t)attributes, 0, NULL);
    mvaddnstr(y, 0, text, COLS);
    for (int x = getcurx(stdscr); getcury(stdscr) == y && x < COLS; x++)
        if (addch(' ') == ERR)
            break;
    attr_set(A_NORMAL, 0, NULL);
}

/* The lines above and below the table */

static void draw_head(const struct top *top)
{
    struct reported_totals totals = reported_list_total(&top->list);
    char line[LINE_ROOM];
    size_t length;
    connection_totals_line(&totals, top->fetch.filter.closed, line, sizeof line);
    put_line(0, A_NORMAL, line);
    length = (size_t)snprintf(line, sizeof line, "%ssorted by %s%s", top->paused ? "PAUSED; " : "",
                              top->order.column != NULL ? top->order.column->key : "newest",
                              top->order.reverse ? ", reversed" : "");
    for (unsigned i = 0; i < CHOICE_COUNT; i++)
        if (*top->choices[i])
            length += (size_t)snprintf(line + length, sizeof line - length, "; %s %s",
                                       reported_choice_names[i], top->choices[i]);
    if (top->fetch.cut)
        snprintf(line + length, sizeof line - length, "; the first %zu alone: filter",
                 top->fetch.most);
    put_line(1, *top->error ? A_BOLD : A_NORMAL, *top->error ? top->error : line);
}

static void draw_foot(const struct top *top)
{
    char line[LINE_ROOM];
    if (top->asking)
        snprintf(line, sizeof line, "%s: %s_", reported_choice_names[top->asked], top->typed);
    else
        snprintf(line, sizeof line, "%s",
                 top->by_rule ? "Enter its connections  s S sort  i invert  c closed  space pause  "
                                "h keys  q end"
                 : top->detailed
                     ? "Esc back  left/right more figures  arrows another  space pause  q end"
                     : "Enter view  Esc rules  s S sort  i invert  p program  c closed  h keys  "
                       "q end");
    put_line(LINES - 1, A_REVERSE, line);
}

/* The table */

static void draw_table(struct top *top, double now)
{
    struct column_layout layout;
    char line[LINE_ROOM];
    columns_layout(&layout, connection_columns(),
                   (struct column_rows){top->list.items, top->list.count}, now, (unsigned)COLS,
                   top->order.column);
    columns_line(&layout, NULL, now, line, sizeof line);
    put_line(HEAD_LINES - 1, A_BOLD | A_UNDERLINE, line);
    if (top->selected < top->first)
        top->first = top->selected;
    if (top->selected >= top->first + top->rows)
        top->first = top->selected - top->rows + 1;
    for (size_t i = 0; i < top->rows && top->first + i < top->list.count; i++) {
        bool selected = top->first + i == top->selected && !top->gone;
        columns_line(&layout, &top->list.items[top->first + i], now, line, sizeof line);
        put_line(HEAD_LINES + (int)i, selected ? A_REVERSE : A_NORMAL, line);
    }
}

/* Programs and rules */

/* The sum of a number over all rows that have it. */
static double sum_of(const struct rule_list *list, enum rule_number number)
{
    double sum = 0;
    for (size_t i = 0; i < list->count; i++)
        sum += isnan(list->rows[i].numbers[number]) ? 0 : list->rows[i].numbers[number];
    return sum;
}

static void draw_rules_head(const struct top *top)
{
    char line[LINE_ROOM], sent[HUMAN_SIZE], received[HUMAN_SIZE];
    human_bytes(sum_of(&top->rules, RULE_SENT_RATE), sent);
    human_bytes(sum_of(&top->rules, RULE_RECEIVED_RATE), received);
    snprintf(line, sizeof line, "%.0f open, %.1f new/s; sent %s/s, received %s/s; %.0f ended badly",
             sum_of(&top->rules, RULE_OPEN), sum_of(&top->rules, RULE_NEW_RATE), sent, received,
             sum_of(&top->rules, RULE_BAD));
    put_line(0, A_NORMAL, line);
    snprintf(line, sizeof line, "%sprograms and rules, sorted by %s%s",
             top->paused ? "PAUSED; " : "",
             top->rule_order.column != NULL ? top->rule_order.column->key : "name",
             top->rule_order.reverse ? ", reversed" : "");
    put_line(1, *top->error ? A_BOLD : A_NORMAL, *top->error ? top->error : line);
}

static void draw_rules(struct top *top)
{
    struct column_layout layout;
    char line[LINE_ROOM];
    draw_rules_head(top);
    columns_layout(&layout, rule_columns(), (struct column_rows){top->rules.rows, top->rules.count},
                   0, (unsigned)COLS, top->rule_order.column);
    columns_line(&layout, NULL, 0, line, sizeof line);
    put_line(HEAD_LINES - 1, A_BOLD | A_UNDERLINE, line);
    if (top->rule_selected < top->rule_first)
        top->rule_first = top->rule_selected;
    if (top->rule_selected >= top->rule_first + top->rows)
        top->rule_first = top->rule_selected - top->rows + 1;
    for (size_t i = top->rule_first; i < top->rules.count && i < top->rule_first + top->rows; i++) {
        columns_line(&layout, &top->rules.rows[i], 0, line, sizeof line);
        put_line(HEAD_LINES + (int)(i - top->rule_first),
                 i == top->rule_selected ? A_REVERSE : A_NORMAL, line);
    }
    if (top->rules.count == 0)
        put_line(HEAD_LINES, A_NORMAL, "No connection of a rule that reports has been seen yet.");
}

/* The pane */

static void bytes_a_second(double number, char *text)
{
    human_bytes(number, text);
    strcat(text, "/s"); /* NOLINT(clang-analyzer-security.insecureAPI.strcpy) */
}

static void whole_number(double number, char *text)
{
    snprintf(text, HUMAN_SIZE, "%.0f", number);
}

static const struct {
    const char *name;
    void (*format)(double number, char *text);
} series_table[SERIES_COUNT] = {
    [SERIES_RTT] = {"RTT", human_microseconds},
    [SERIES_CWND] = {"CWND", whole_number},
    [SERIES_SENT] = {"SENT", bytes_a_second},
    [SERIES_RECEIVED] = {"RECEIVED", bytes_a_second},
    [SERIES_RETRANSMITTED] = {"RESENT", bytes_a_second},
};

static int draw_series(const struct top *top, const struct history *history, int y)
{
    for (unsigned i = 0; i < SERIES_COUNT && y < LINES - FOOT_LINES; i++, y++) {
        float last = history->count ? history->points[i][history->count - 1] : NAN;
        char bars[SPARKLINE_SIZE], value[HUMAN_SIZE + 2] = "-", line[LINE_ROOM];
        if (!isnan(last))
            series_table[i].format(last, value);
        history_sparkline(history, i, COLS > 20 ? (unsigned)COLS - 20 : 0, top->utf8, bars);
        snprintf(line, sizeof line, "%-8s %10s %s", series_table[i].name, value, bars);
        put_line(y, A_NORMAL, line);
    }
    return y;
}

/* Figures in the pane, in rows and columns. */
struct fields {
    size_t index;
    size_t scrolled, columns;
    int top, bottom; /* lines */
};

static void draw_field(struct fields *fields, const char *name, const char *value)
{
    size_t row = fields->index / fields->columns, column = fields->index % fields->columns;
    int y = fields->top + (int)row - (int)fields->scrolled;
    fields->index++;
    if (row >= fields->scrolled && y < fields->bottom)
        mvprintw(y, (int)column * FIELD_WIDTH, "%-22.22s %.13s", name, value);
}

/* Draw the refused options and all fields of tcp_info that are not 0. */
static size_t draw_fields(struct fields *fields, const json_t *connection)
{
    json_t *options = json_object_get(connection, "options"), *value;
    const char *name;
    char text[32];
    json_object_foreach(json_object_get(options, "failed"), name, value)
    {
        if (json_is_string(value))
            draw_field(fields, name, json_string_value(value));
        else
            draw_field(fields, name, "refused");
    }
    json_object_foreach(json_object_get(connection, "tcp_info"), name, value)
    {
        if (!json_is_number(value) || json_number_value(value) == 0)
            continue;
        snprintf(text, sizeof text, "%.0f", json_number_value(value));
        draw_field(fields, name, text);
    }
    return fields->columns ? (fields->index + fields->columns - 1) / fields->columns : 0;
}

/* Draw the columns of the connection that are not empty. */
static void draw_summary(const struct reported *one, double now, int y)
{
    static const char *const keys[] = {"rule", "age",     "limit",     "rate",
                                       "loss", "min_rtt", "congestion"};
    char line[LINE_ROOM] = "", cell[CELL_SIZE];
    size_t length = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct column *column = column_find(connection_columns(), keys[i]);
        column_cell(column, one, now, cell);
        if (strcmp(cell, "-") != 0)
            length += (size_t)snprintf(line + length, sizeof line - length, "%s%s %s",
                                       length ? "  " : "", column->heading, cell);
    }
    put_line(y, A_NORMAL, line);
}

static void draw_title(const struct top *top, const json_t *connection, int y)
{
    struct reported one;
    char line[LINE_ROOM];
    if (!reported_read(&one, connection))
        return;
    snprintf(line, sizeof line, "%s%s (%ld) %s %s -> %s %s",
             top->gone && !top->final ? "GONE: " : "", one.texts[TEXT_PROGRAM], one.pid,
             one.texts[TEXT_ROLE], one.texts[TEXT_LOCAL],
             *one.texts[TEXT_REMOTE] ? one.texts[TEXT_REMOTE] : "-",
             one.texts[*one.texts[TEXT_REASON] ? TEXT_REASON : TEXT_STATE]);
    put_line(y, A_BOLD, line);
    draw_summary(&one, top->order.now, y + 1);
    reported_free(&one);
}

static void draw_pane(struct top *top, int y)
{
    const struct history *history =
        top->chosen != NULL ? history_find(&top->histories, top->chosen) : NULL;
    json_t *connection = history != NULL ? json_loads(history->json, 0, NULL) : NULL;
    struct fields fields = {.columns = COLS >= FIELD_WIDTH ? (size_t)(COLS / FIELD_WIDTH) : 1,
                            .bottom = LINES - FOOT_LINES};
    size_t lines;
    if (connection == NULL)
        return;
    draw_title(top, connection, y);
    fields.top = draw_series(top, history, y + 2);
    fields.scrolled = top->scrolled;
    lines = draw_fields(&fields, connection);
    json_decref(connection);
    /* Scrolling ends when the last line is visible; the next draw shows that. */
    if (fields.top < fields.bottom && lines > (size_t)(fields.bottom - fields.top))
        lines -= (size_t)(fields.bottom - fields.top);
    else
        lines = 0;
    top->scrolled = top->scrolled > lines ? lines : top->scrolled;
}

/* Help */

static void draw_help(void)
{
    static const char *const lines[] = {
        "arrows, PgUp, PgDn   choose a row; Home and End the first and the last",
        "Enter                from a rule to its connections; then to the history",
        "                     and all figures of one",
        "left, right          scroll its figures",
        "Esc                  back: to the table alone, then to programs and rules",
        "",
        "s, S                 sort by the next, the previous column",
        "i                    the other way round",
        "p                    only programs of a name; * and ? stand for others",
        "r                    only those of a rule",
        "o                    only those in a role: connect, accept, listen, datagram",
        "t                    only those in a state: established, close-wait ...",
        "e                    only those that ended so: fin, reset, timeout ...",
        "                     (an empty line takes a filter away)",
        "c                    those that closed last, or open ones",
        "space                stop, go on",
        "q                    end",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines && (int)i < LINES - HEAD_LINES; i++)
        put_line((int)i + HEAD_LINES - 1, A_NORMAL, lines[i]);
    put_line(LINES - 1, A_REVERSE, "any key: back");
}

/* The whole screen */

void top_draw(struct top *top)
{
    int room = LINES - HEAD_LINES - FOOT_LINES;
    int table = top->detailed ? (room > 30 ? room / 2 : 3) : room;
    top->rows = table > 0 ? (size_t)table : 1;
    erase();
    if (top->by_rule && !top->helping) {
        draw_rules(top);
        draw_foot(top);
        refresh();
        return;
    }
    draw_head(top);
    if (top->helping) {
        draw_help();
        refresh();
        return;
    }
    draw_table(top, top->paused ? top->order.now : reported_now());
    if (top->detailed)
        draw_pane(top, HEAD_LINES + (int)top->rows);
    draw_foot(top);
    refresh();
}
