/* SPDX-License-Identifier: MIT */
#include "metrics_text.h"

#include <stdbool.h>
#include <string.h>

void metrics_put_value(const char *text, FILE *to)
{
    for (; *text != '\0'; text++)
        if (*text == '\n')
            fputs("\\n", to);
        else
            fprintf(to, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
}

const char *metrics_suffix(const struct metrics_head *head)
{
    return strcmp(head->type, "counter") == 0 ? "_total" : "";
}

/* OpenMetrics names a counter's family without "_total", and has UNIT lines. */
void metrics_put_head(const struct metrics_head *head, enum metrics_format format, FILE *to)
{
    const char *end = format == METRICS_PROMETHEUS ? metrics_suffix(head) : "";
    fprintf(to, "# HELP socktune_%s%s %s\n", head->name, end, head->help);
    fprintf(to, "# TYPE socktune_%s%s %s\n", head->name, end, head->type);
    if (format == METRICS_OPENMETRICS && *head->unit != '\0')
        fprintf(to, "# UNIT socktune_%s %s\n", head->name, head->unit);
}
