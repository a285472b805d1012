/* SPDX-License-Identifier: MIT */
/*
 * socktune stats: the helper's connections, as a table or as JSON.
 */
#include "commands.h"
#include "connection_columns.h"
#include "console.h"
#include "filter_flags.h"
#include "reported_fetch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PATIENCE  10u /* seconds */
#define LINE_ROOM 1024

static bool print_part(void *unused, const char *part, size_t length)
{
    (void)unused;
    /* main() reports write errors when the command ends. */
    return fwrite(part, 1, length, stdout) == length;
}

/* Print the helper's answer unchanged, as curl does. */
static int print_answer(struct reported_fetch *fetch)
{
    struct query_target target;
    if (!reported_target(fetch, &target) ||
        query_get(target.text, fetch->patience, print_part, NULL, fetch->error) != 0)
        return command_failure("%s", fetch->error);
    return 0;
}

/* The number of columns of the terminal; 0: standard output is no terminal. */
static unsigned terminal_width(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void print_totals(const struct reported_list *list, const struct reported_fetch *fetch)
{
    struct reported_totals totals = reported_list_total(list);
    char line[LINE_ROOM], losses[256];
    connection_totals_line(&totals, fetch->filter.closed, line, sizeof line);
    printf("%s%s\n", list->count ? "\n" : "", line);
    if (totals.lost)
        printf("%zu of them without final figures: the last sample stands\n", totals.lost);
    reported_losses(fetch->patience, losses, sizeof losses);
    if (*losses)
        printf("Not reported since the helper started: %s\n", losses);
}

static void print_table(const struct reported_list *list, double now, bool wide,
                        const struct column *wanted)
{
    struct column_layout layout;
    char line[LINE_ROOM];
    if (!list->count)
        return;
    columns_layout(&layout, connection_columns(), (struct column_rows){list->items, list->count},
                   now, wide ? 0 : terminal_width(), wanted);
    columns_line(&layout, NULL, now, line, sizeof line);
    printf("%s%s%s\n", colour(stdout, COLOUR_BOLD), line, colour(stdout, COLOUR_NONE));
    for (size_t i = 0; i < list->count; i++) {
        columns_line(&layout, &list->items[i], now, line, sizeof line);
        puts(line);
    }
}

static int print_reported(struct reported_fetch *fetch, struct column_order *order, bool wide)
{
    struct reported_list list = {.items = NULL};
    int status = 0;
    if (reported_fetch(fetch, &list) == 0) {
        order->now = reported_now();
        columns_sort(connection_columns(), list.items, list.count, order);
        print_table(&list, order->now, wide, order->column);
        print_totals(&list, fetch);
    } else {
        status = command_failure("%s", fetch->error);
    }
    reported_list_free(&list);
    return status;
}

struct stats_arguments {
    struct reported_filter filter;
    const char *sort;
    bool json, wide;
};

static int cmd_stats(int argc, char **argv)
{
    struct stats_arguments arguments = {.sort = NULL};
    struct reported_fetch fetch = {.patience = PATIENCE};
    struct column_order order = {.column = NULL};
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (first < argc)
        return command_misuse("unexpected argument \"%s\"", argv[first]);
    if (arguments.json && (arguments.sort != NULL || arguments.wide))
        return command_misuse("--json prints the helper's own order and all fields: leave out %s",
                              arguments.sort != NULL ? "--sort" : "--wide");
    if (!filter_check(&arguments.filter) || !filter_read_sort(arguments.sort, &order))
        return EXIT_USAGE;
    fetch.filter = arguments.filter;
    return arguments.json ? print_answer(&fetch) : print_reported(&fetch, &order, arguments.wide);
}

static const struct flag flags[] = {
    FILTER_FLAGS(struct stats_arguments, filter),
    FILTER_SORT_FLAG(struct stats_arguments, sort),
    {"wide", 'w', FLAG_SWITCH, offsetof(struct stats_arguments, wide), NULL,
     "print all columns, also to a terminal", NULL, NULL},
    {"json", 'j', FLAG_SWITCH, offsetof(struct stats_arguments, json), NULL,
     "print the helper's answer: every field of tcp_info, in base units", NULL, NULL},
    FLAGS_END,
};

const struct command stats_command = {
    .name = "stats",
    .summary = "show the connections that the helper watches",
    .synopsis = "[--closed] [--program GLOB] [--rule NAME] [--role ROLE] [--state STATE] "
                "[--reason WHY] [--sort KEY] [--wide | --json]",
    .details =
        "Prints a line for each connection, listener and UDP socket of the programs whose rules "
        "say "
        "`report = true`, as socktuned(8) knows them: your own, or everyone's for root and the "
        "group socktune. A terminal gets the columns that fit; a pipe gets all.",
    .flags = flags,
    .notes = "The exit status is 1 if the helper does not answer.",
    .run = cmd_stats,
};
