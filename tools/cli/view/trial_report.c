/* SPDX-License-Identifier: MIT */
#include "trial_report.h"

#include "console.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* The plot spans ratios from 1/PLOT_REACH to PLOT_REACH, on a logarithmic scale. */
#define PLOT_WIDTH 41
#define PLOT_REACH 4.0
#define LATE_SHARE 0.1 /* share of the connections; above it, the unit is too short */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_number(number) ? json_number_value(number) : NAN;
}

static long long count_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static int plot_place(double ratio)
{
    double place = (PLOT_WIDTH - 1) / 2.0 * (1 + log(ratio) / log(PLOT_REACH));
    return (int)lround(fmin(fmax(place, 0), PLOT_WIDTH - 1));
}

/* "  1/4 |        :   [==o==]      | 4": the confidence interval, the ratio (o), and 1 (:). */
static void print_plot(double ratio, double low, double high, FILE *to)
{
    char line[PLOT_WIDTH + 1];
    memset(line, ' ', PLOT_WIDTH);
    line[PLOT_WIDTH] = '\0';
    if (!isnan(low) && !isnan(high)) {
        int from = plot_place(low), until = plot_place(high);
        memset(line + from, '=', (size_t)(until - from) + 1);
    }
    line[plot_place(1)] = ':';
    if (!isnan(ratio) && ratio > 0)
        line[plot_place(ratio)] = 'o';
    fprintf(to, "      1/%g |%s| %g\n", PLOT_REACH, line, PLOT_REACH);
}

static void print_interval(const json_t *arm, FILE *to)
{
    double low = number_of(arm, "low"), high = number_of(arm, "high");
    if (isnan(high))
        fprintf(to, "(too few pairs for an interval)");
    else
        fprintf(to, "[%.3g, %.3g]", low, high);
    fprintf(to, ", from %lld pairs", count_of(arm, "pairs"));
}

static void print_guards(const json_t *arm, FILE *to)
{
    const json_t *guard;
    size_t i;
    json_array_foreach(json_object_get(arm, "guards"), i, guard)
    {
        fprintf(to, "      guard: %s %+lld%%: beyond it in %lld of %lld pairs%s\n",
                text_of(guard, "metric"), count_of(guard, "percent"), count_of(guard, "beyond"),
                count_of(guard, "beyond") + count_of(guard, "within"),
                json_is_true(json_object_get(guard, "tripped")) ? ": ends the trial" : "");
    }
}

static void print_comparison(const json_t *arm, FILE *to)
{
    double ratio = number_of(arm, "ratio");
    if (isnan(ratio))
        return;
    fprintf(to, "      %s%s%s: ratio %.3g ", colour(to, COLOUR_BOLD), text_of(arm, "verdict"),
            colour(to, COLOUR_NONE), ratio);
    print_interval(arm, to);
    putc('\n', to);
    print_plot(ratio, number_of(arm, "low"), number_of(arm, "high"), to);
    print_guards(arm, to);
}

static void print_arm(const json_t *arm, bool intervals, FILE *to)
{
    double median = number_of(arm, "median");
    long long connections = count_of(arm, "connections"), late = count_of(arm, "late");
    fprintf(to, "  %s\n      %lld connections", text_of(arm, "name"), connections);
    if (intervals)
        fprintf(to,
                " in %lld intervals (besides %lld at their beginnings), %lld longer than "
                "theirs, %lld late",
                count_of(arm, "values"), count_of(arm, "warming"), count_of(arm, "crossing"), late);
    if (count_of(arm, "unknown") > 0)
        fprintf(to, ", %lld without figures", count_of(arm, "unknown"));
    if (!isnan(median))
        fprintf(to, "; median %.4g", median);
    putc('\n', to);
    if ((double)late > LATE_SHARE * (double)(connections + late))
        fputs("      many are late: the unit is too short for these connections\n", to);
    print_comparison(arm, to);
}

void trial_report_print(const json_t *trial, FILE *to)
{
    double unit = number_of(trial, "unit");
    const json_t *arm;
    size_t i;
    fprintf(to, "%s%s%s (user %lld): %s", colour(to, COLOUR_BOLD), text_of(trial, "name"),
            colour(to, COLOUR_NONE), count_of(trial, "uid"), text_of(trial, "state"));
    if (*text_of(trial, "reason") != '\0')
        fprintf(to, ": %s", text_of(trial, "reason"));
    fprintf(to, "\n  %s, %s is better, ", text_of(trial, "metric"), text_of(trial, "better"));
    if (isnan(unit))
        fputs("by connection", to);
    else
        fprintf(to, "in turns of %g s", unit);
    fprintf(to, "; %lld of at most %lld connections\n", count_of(trial, "connections"),
            count_of(trial, "most"));
    json_array_foreach(json_object_get(trial, "arms"), i, arm)
    {
        print_arm(arm, !isnan(unit), to);
    }
}
