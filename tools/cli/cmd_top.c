/* SPDX-License-Identifier: MIT */
/*
 * socktune top: programs and rules on the full screen, and their connections, updated
 * continuously.
 *
 * One thread queries the helper, draws, and waits for a key until the next query. While a query is
 * pending, keys are not handled (for PATIENCE at most).
 */
#include "commands.h"
#include "filter_flags.h"
#include "top.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE     3u    /* seconds */
#define MOST         5000u /* connections; to see others, filter */
#define INTERVAL_MAX 3600
#define ESCAPE       27
#define CONTROL_U    21 /* clears the line, as in a shell */

static volatile sig_atomic_t ended;

static void top_end_on_signal(int signal)
{
    (void)signal;
    ended = 1;
}

/* Fetching and selecting */

static void top_choose_column(struct top *top, size_t index)
{
    char *id;
    if (!top->list.count)
        return;
    top->selected = index < top->list.count ? index : top->list.count - 1;
    id = strdup(top->list.items[top->selected].texts[TEXT_ID]);
    if (id == NULL)
        return;
    free(top->chosen);
    top->chosen = id;
    top->gone = top->final = false;
}

/* After the list has changed: keep the same connection selected, wherever it is now. If it is gone,
 * its details stay in the pane; without the pane, its neighbour is selected. */
static void choose_again(struct top *top)
{
    for (size_t i = 0; top->chosen != NULL && i < top->list.count; i++)
        if (strcmp(top->list.items[i].texts[TEXT_ID], top->chosen) == 0) {
            top->selected = i;
            top->gone = false;
            return;
        }
    if (top->chosen != NULL && top->detailed)
        top->gone = true;
    else
        top_choose_column(top, top->selected);
    if (top->selected >= top->list.count)
        top->selected = top->list.count ? top->list.count - 1 : 0;
}

static void top_sort(struct top *top)
{
    top->order.now = reported_now();
    columns_sort(connection_columns(), top->list.items, top->list.count, &top->order);
    choose_again(top);
}

static void top_note_history(const struct reported *connection, const json_t *object,
                             void *histories)
{
    history_note(histories, connection, object);
}

static void note_end(const struct reported *connection, const json_t *object, void *context)
{
    struct top *top = context;
    if (strcmp(connection->texts[TEXT_ID], top->chosen) != 0)
        return;
    history_note(&top->histories, connection, object);
    top->final = true;
}

/* Fetch how the selected connection ended, if the helper still knows. */
static void fetch_end(struct top *top)
{
    struct reported_fetch fetch = {
        .filter.closed = true, .most = MOST, .patience = PATIENCE, .see = note_end, .context = top};
    struct reported_list list = {.items = NULL};
    (void)reported_fetch(&fetch, &list);
    reported_list_free(&list);
}

static void sort_rules(struct top *top)
{
    columns_sort(rule_columns(), top->rules.rows, top->rules.count, &top->rule_order);
}

/* Fetch the sums. If the helper does not answer, the previous sums stay. */
static int fetch_rules(struct top *top)
{
    json_t *answer = query_json("/v1/rules", PATIENCE, top->error);
    struct rule_list list = {.rows = NULL};
    bool read = answer != NULL && rule_list_read(&list, answer, reported_now(), &top->rules);
    json_decref(answer);
    if (answer != NULL && !read)
        snprintf(top->error, sizeof top->error, "the helper's answer has no rules");
    if (!read)
        return -1;
    rule_list_free(&top->rules);
    top->rules = list;
    sort_rules(top);
    if (top->rule_selected >= list.count)
        top->rule_selected = list.count > 0 ? list.count - 1 : 0;
    return 0;
}

/* Fetch the connections, in the same way. */
static int fetch_connections(struct top *top)
{
    struct reported_list list = {.items = NULL};
    int result;
    for (unsigned i = 0; i < CHOICE_COUNT; i++)
        top->fetch.filter.choices[i] = *top->choices[i] ? top->choices[i] : NULL;
    result = reported_fetch(&top->fetch, &list);
    snprintf(top->error, sizeof top->error, "%s", result ? top->fetch.error : "");
    if (result) {
        reported_list_free(&list);
        return -1;
    }
    histories_sweep(&top->histories, top->chosen);
    reported_list_free(&top->list);
    top->list = list;
    top_sort(top);
    if (top->gone && !top->final && !top->fetch.filter.closed)
        fetch_end(top);
    return 0;
}

static int top_fetch(struct top *top)
{
    return top->by_rule ? fetch_rules(top) : fetch_connections(top);
}

/* Keys */

/* The next column, or the previous one. Between the last and the first, no column is selected: the
 * set's own order. */
static void next_column(struct column_order *order, const struct column_set *set, bool backwards)
{
    size_t at = order->column != NULL ? (size_t)(order->column - set->columns) : set->count;
    at = (at + (backwards ? set->count : 1)) % (set->count + 1);
    order->column = at < set->count ? &set->columns[at] : NULL;
}

static void sort_by_next(struct top *top, bool backwards)
{
    if (top->by_rule) {
        next_column(&top->rule_order, rule_columns(), backwards);
        sort_rules(top);
        return;
    }
    next_column(&top->order, connection_columns(), backwards);
    top_sort(top);
}

static void top_invert_order(struct top *top)
{
    if (top->by_rule) {
        top->rule_order.reverse = !top->rule_order.reverse;
        sort_rules(top);
        return;
    }
    top->order.reverse = !top->order.reverse;
    top_sort(top);
}

/* From a rule to its connections. Returns whether a rule is selected. */
static bool enter_rule(struct top *top)
{
    static const enum reported_choice choices[] = {CHOICE_PROGRAM, CHOICE_RULE, CHOICE_ROLE};
    const struct rule_row *row;
    if (top->rules.count == 0)
        return false;
    row = &top->rules.rows[top->rule_selected];
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        snprintf(top->choices[choices[i]], TOP_TYPED_SIZE, "%s", row->texts[i]);
    /* The row "other" sums what has no row of its own: show all connections. */
    if (strcmp(row->texts[RULE_ROLE], "other") == 0)
        for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
            top->choices[choices[i]][0] = '\0';
    top->by_rule = false;
    top->selected = 0;
    return true;
}

static void leave_connections(struct top *top)
{
    top->by_rule = true;
    top->fetch.filter.closed = false;
    for (unsigned i = 0; i < CHOICE_COUNT; i++)
        top->choices[i][0] = '\0';
}

/* Move the selection in the table of rules. */
static void move_rule(struct top *top, long rows)
{
    size_t last = top->rules.count > 0 ? top->rules.count - 1 : 0;
    if (rows < 0 && top->rule_selected < (size_t)-rows)
        top->rule_selected = 0;
    else
        top->rule_selected += (size_t)rows;
    if (top->rule_selected > last)
        top->rule_selected = last;
}

static void move_by(struct top *top, long rows)
{
    if (top->by_rule) {
        move_rule(top, rows);
        return;
    }
    if (rows < 0 && top->selected < (size_t)-rows)
        top_choose_column(top, 0);
    else
        top_choose_column(top, top->selected + (size_t)rows);
    top->scrolled = 0;
}

static void top_ask_choice(struct top *top, enum reported_choice choice)
{
    top->asking = true;
    top->asked = choice;
    memcpy(top->typed, top->choices[choice], TOP_TYPED_SIZE);
}

/* Keys that set filters. */
static bool ask_by_key(struct top *top, int key)
{
    static const char keys[CHOICE_COUNT] = {
        [CHOICE_PROGRAM] = 'p', [CHOICE_RULE] = 'r',   [CHOICE_ROLE] = 'o',
        [CHOICE_STATE] = 't',   [CHOICE_REASON] = 'e',
    };
    for (unsigned i = 0; i < CHOICE_COUNT; i++)
        if (keys[i] == key) {
            top_ask_choice(top, (enum reported_choice)i);
            return true;
        }
    return false;
}

/* Handle a key while a filter is typed. Returns whether to query the helper. */
static bool top_edit_choice(struct top *top, int key)
{
    size_t length = strlen(top->typed);
    if (key == '\n' || key == '\r' || key == KEY_ENTER) {
        memcpy(top->choices[top->asked], top->typed, TOP_TYPED_SIZE);
        top->asking = top->by_rule = false;
        return true;
    }
    if (key == ESCAPE)
        top->asking = false;
    else if (key == CONTROL_U)
        top->typed[0] = '\0';
    else if ((key == KEY_BACKSPACE || key == '\b' || key == 127) && length)
        top->typed[length - 1] = '\0';
    else if (key >= ' ' && key < 127 && length + 1 < sizeof top->typed) {
        top->typed[length] = (char)key;
        top->typed[length + 1] = '\0';
    }
    return false;
}

/* Keys that move the selection in the table, or scroll the pane. */
static bool top_navigate(struct top *top, int key)
{
    long page = (long)top->rows;
    switch (key) {
    case KEY_UP:
        move_by(top, -1);
        break;
    case KEY_DOWN:
        move_by(top, 1);
        break;
    case KEY_PPAGE:
        move_by(top, -page);
        break;
    case KEY_NPAGE:
        move_by(top, page);
        break;
    case KEY_HOME:
        move_by(top, -(long)(top->by_rule ? top->rules.count : top->list.count));
        break;
    case KEY_END:
        move_by(top, (long)(top->by_rule ? top->rules.count : top->list.count));
        break;
    case KEY_RIGHT:
        top->scrolled++;
        break;
    case KEY_LEFT:
        top->scrolled -= top->scrolled > 0;
        break;
    default:
        return false;
    }
    return true;
}

static void open_pane(struct top *top, bool open)
{
    top->detailed = open && top->chosen != NULL;
    top->scrolled = 0;
    if (!open && top->gone)
        top_choose_column(top, top->selected);
}

/* From a rule to its connections, from a connection to its pane, and out of the pane. Returns
 * whether to query the helper. */
static bool go_deeper(struct top *top)
{
    if (top->by_rule)
        return enter_rule(top);
    open_pane(top, !top->detailed);
    return false;
}

/* The opposite of go_deeper(). */
static bool go_back(struct top *top)
{
    bool leaves = !top->by_rule && !top->detailed;
    if (leaves)
        leave_connections(top);
    else
        open_pane(top, false);
    return leaves;
}

/* Returns whether to query the helper at once. */
static bool top_handle_key(struct top *top, int key)
{
    if (top->asking)
        return top_edit_choice(top, key);
    if (top->helping) {
        top->helping = false;
        return false;
    }
    if (top_navigate(top, key) || ask_by_key(top, key))
        return false;
    switch (key) {
    case 'q':
        ended = 1;
        break;
    case ' ':
        top->paused = !top->paused;
        return !top->paused;
    case 's':
        sort_by_next(top, false);
        break;
    case 'S':
        sort_by_next(top, true);
        break;
    case 'i':
        top_invert_order(top);
        break;
    case 'c':
        top->by_rule = false;
        top->fetch.filter.closed = !top->fetch.filter.closed;
        return true;
    case '\n':
    case '\r':
    case KEY_ENTER:
        return go_deeper(top);
    case ESCAPE:
        return go_back(top);
    case 'h':
    case '?':
        top->helping = true;
        break;
    default:
        break;
    }
    return false;
}

/* The loop */

static void top_watch(struct top *top, double interval)
{
    double due = reported_now() + interval;
    while (!ended) {
        double left;
        int key;
        top_draw(top);
        left = due - reported_now();
        /* A clock that was set back must not lengthen the wait. */
        left = left < 0 ? 0 : left > interval ? interval : left;
        /* At most one second: ages grow, and a signal just before getch() must end the wait too. */
        timeout(top->paused || left > 1 ? 1000 : (int)(left * 1000) + 1);
        key = getch();
        /* Draw once for keys that arrived together, as when a key is held down. */
        timeout(0);
        for (bool now = false; !ended; key = getch()) {
            now = key != ERR && top_handle_key(top, key);
            if (now || (key == ERR && !top->paused && reported_now() >= due)) {
                (void)top_fetch(top);
                due = reported_now() + interval;
            }
            if (key == ERR)
                break;
        }
    }
}

static bool prepare_terminal(struct top *top)
{
    struct sigaction action = {.sa_handler = top_end_on_signal};
    SCREEN *screen;
    (void)setlocale(LC_CTYPE, "");
    top->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        return false;
    set_term(screen);
    cbreak();
    noecho();
    keypad(stdscr, TRUE);
    set_escdelay(50);
    (void)curs_set(0);
    return true;
}

static int top_run(struct top *top, double interval)
{
    const char *terminal = getenv("TERM");
    /* Print errors after the screen has been restored. */
    if (top_fetch(top) != 0)
        return command_failure("%s", top->error);
    if (!prepare_terminal(top))
        return command_failure("nothing is known of terminals of the type \"%s\" (TERM)",
                               terminal != NULL ? terminal : "");
    top_watch(top, interval);
    endwin();
    return 0;
}

static bool read_interval(const char *text, double *interval)
{
    char *rest;
    errno = 0;
    *interval = strtod(text, &rest);
    return rest != text && !*rest && *interval >= 1 && *interval <= INTERVAL_MAX;
}

/* False if a choice is longer than can be typed. */
static bool take_choices(struct top *top, const char *const choices[CHOICE_COUNT])
{
    for (unsigned i = 0; i < CHOICE_COUNT; i++) {
        if (choices[i] != NULL && strlen(choices[i]) >= TOP_TYPED_SIZE)
            return false;
        snprintf(top->choices[i], TOP_TYPED_SIZE, "%s", choices[i] != NULL ? choices[i] : "");
    }
    return true;
}

struct top_arguments {
    struct reported_filter filter;
    const char *sort, *every;
    bool connections;
};

static int cmd_top(int argc, char **argv)
{
    struct top top = {.fetch = {.patience = PATIENCE, .most = MOST, .see = top_note_history}};
    struct top_arguments arguments = {.every = "2"};
    double interval;
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (first < argc)
        return command_misuse("unexpected argument \"%s\"", argv[first]);
    if (!filter_check(&arguments.filter) || !filter_read_sort(arguments.sort, &top.order))
        return EXIT_USAGE;
    if (!read_interval(arguments.every, &interval))
        return command_misuse("--interval is 1 to %d seconds, not \"%s\"", INTERVAL_MAX,
                              arguments.every);
    if (!take_choices(&top, arguments.filter.choices))
        return command_misuse("the pattern is too long");
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return command_failure("it needs a terminal; elsewhere, use `socktune stats`");
    top.fetch.filter.closed = arguments.filter.closed;
    top.by_rule = !arguments.connections && !arguments.filter.closed && arguments.sort == NULL;
    for (unsigned i = 0; i < CHOICE_COUNT; i++)
        top.by_rule = top.by_rule && arguments.filter.choices[i] == NULL;
    top.fetch.context = &top.histories;
    status = top_run(&top, interval);
    reported_list_free(&top.list);
    rule_list_free(&top.rules);
    histories_free(&top.histories);
    free(top.chosen);
    return status;
}

static const struct flag flags[] = {
    {"connections", 0, FLAG_SWITCH, offsetof(struct top_arguments, connections), NULL,
     "begin with connections, as filters and --sort do, not with programs and rules", NULL, NULL},
    FILTER_FLAGS(struct top_arguments, filter),
    FILTER_SORT_FLAG(struct top_arguments, sort),
    {"interval", 'i', FLAG_VALUE, offsetof(struct top_arguments, every), "SECONDS",
     "ask the helper that often, 1 to 3600 [2]", NULL, NULL},
    FLAGS_END,
};

const struct command top_command = {
    .name = "top",
    .summary = "watch those connections live, on the full screen",
    .synopsis = "[--closed] [--program GLOB] [--rule NAME] [--role ROLE] [--state STATE] "
                "[--reason WHY] [--sort KEY] [--interval SECONDS]",
    .details = "Shows the table of `socktune stats` again and again, and all figures of one "
               "connection with their history.",
    .flags = flags,
    .notes =
        "Keys: arrows, PgUp, PgDn, Home and End select a connection; Enter shows its figures, "
        "left and right scroll them; s and S sort by the next or the previous column, i reverses "
        "the order; p, r, o, t and e filter by program, rule, role, state and reason; c shows "
        "closed connections; space pauses; h lists the keys; q quits.",
    .run = cmd_top,
};
