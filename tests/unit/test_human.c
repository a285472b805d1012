/* SPDX-License-Identifier: MIT */
/*
 * Human-readable quantities: the digits, and the limits between units.
 */
#include "human.h"

#include <criterion/criterion.h>

struct row {
    double number;
    const char *text;
};

static void check_rows(void (*format)(double, char *), const struct row *rows, size_t count)
{
    char text[HUMAN_SIZE];
    for (size_t i = 0; i < count; i++) {
        format(rows[i].number, text);
        cr_expect_str_eq(text, rows[i].text, "%g: \"%s\", expected \"%s\"", rows[i].number, text,
                         rows[i].text);
    }
}

#define CHECK(format, ...)                                                                         \
    check_rows(format, (const struct row[]){__VA_ARGS__},                                          \
               sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

Test(human, bytes)
{
    CHECK(human_bytes, {0, "0"}, {999, "999"}, {1000, "0.98K"}, {1024, "1.00K"}, {10239, "10.0K"},
          {102400, "100K"}, {1023488, "0.98M"}, {1048576, "1.00M"}, {1.5e12, "1.36T"},
          {1.8e16, "16.0P"});
}

Test(human, microseconds)
{
    CHECK(human_microseconds, {0, "0us"}, {999, "999us"}, {1000, "1.00ms"}, {9996, "10.0ms"},
          {350000, "350ms"}, {999499, "999ms"}, {999500, "1.00s"}, {12e6, "12.0s"},
          {4294967295.0, "4295s"});
}

Test(human, age)
{
    CHECK(human_age, {-5, "0s"}, {59.9, "59s"}, {60, "1m00s"}, {3599, "59m59s"}, {3600, "1h00m"},
          {86399, "23h59m"}, {86400, "1d00h"}, {273600, "3d04h"}, {1e300, "10000d00h"});
}

Test(human, percent)
{
    CHECK(human_percent, {0, "0"}, {0.0002, "0.02"}, {0.125, "12.5"}, {0.99949, "99.9"},
          {1, "100"});
}
