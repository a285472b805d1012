/* SPDX-License-Identifier: MIT */
/*
 * Formats quantities with units that suit their size.
 */
#include "human.h"

#include <stdio.h>

/* Returns the decimals for three significant digits; the limits allow for rounding. */
static int decimal_places(double number)
{
    return number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
}

void human_bytes(double bytes, char text[HUMAN_SIZE])
{
    static const char *const units[] = {"", "K", "M", "G", "T", "P"};
    size_t unit = 0;
    /* 999.5 would be written as 1000 */
    for (; bytes >= 999.5 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1024;
    snprintf(text, HUMAN_SIZE, "%.*f%s", unit ? decimal_places(bytes) : 0, bytes, units[unit]);
}

void human_microseconds(double microseconds, char text[HUMAN_SIZE])
{
    double milliseconds = microseconds / 1e3, seconds = microseconds / 1e6;
    if (microseconds < 999.5)
        snprintf(text, HUMAN_SIZE, "%.0fus", microseconds);
    else if (milliseconds < 999.5)
        snprintf(text, HUMAN_SIZE, "%.*fms", decimal_places(milliseconds), milliseconds);
    else
        snprintf(text, HUMAN_SIZE, "%.*fs", decimal_places(seconds), seconds);
}

void human_age(double seconds, char text[HUMAN_SIZE])
{
    /* a clock that was set back gives no negative age; the maximum is 10,000 days */
    unsigned whole = seconds > 8.64e8 ? 864000000 : seconds > 0 ? (unsigned)seconds : 0;
    if (whole < 60)
        snprintf(text, HUMAN_SIZE, "%us", whole);
    else if (whole < 3600)
        snprintf(text, HUMAN_SIZE, "%um%02us", whole / 60, whole % 60);
    else if (whole < 86400)
        snprintf(text, HUMAN_SIZE, "%uh%02um", whole / 3600, whole / 60 % 60);
    else
        snprintf(text, HUMAN_SIZE, "%ud%02uh", whole / 86400, whole / 3600 % 24);
}

void human_percent(double share, char text[HUMAN_SIZE])
{
    double percent = share * 100;
    snprintf(text, HUMAN_SIZE, "%.*f", percent > 0 ? decimal_places(percent) : 0, percent);
}
