/* SPDX-License-Identifier: MIT */
/* Names from elsewhere: each row is reached, and none hides a name of our own. */
#include "known_name.h"
#include "option.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
    const char *word;
    const char *here;
} rows[] = {
#define KNOWN(word, here) {word, here},
#include "known_names.def"
};

Test(known_name, every_row_is_reached)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect_null(option_find(rows[i].word), "%s is an option", rows[i].word);
        cr_expect_str_eq(known_name_find(rows[i].word, strlen(rows[i].word)), rows[i].here, "%s",
                         rows[i].word);
    }
}

Test(known_name, spelling_does_not_matter)
{
    cr_expect_str_eq(known_name_find("Tcp-NoPush", 10), "TCP_CORK");
    cr_expect_str_eq(known_name_find("net.ipv4.tcp_keepalive_time", 27), "TCP_KEEPIDLE");
    cr_expect_null(known_name_find("tcp_keepalive_tim", 17));
    cr_expect_null(known_name_find("tcp_keepalive_times", 19));
    cr_expect_null(known_name_find("", 0));
    cr_expect_null(known_name_find("x.", 2));
}
