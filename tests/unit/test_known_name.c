/* SPDX-License-Identifier: MIT */
/* Names from other programs: each row can be reached, and none hides a name of ours. */
#include "known_name.h"
#include "option.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct known_name rows[] = {
#define KNOWN(word, here)     {word, here, NULL, false},
#define CRITERION(word, here) {word, here, NULL, true},
#define ABSENT(word, why)     {word, NULL, why, false},
#include "known_names.def"
};

/* The answer for a word: its name in socktune, or why there is none. */
static const char *said_of(const char *word, bool criterion)
{
    const struct known_name *found = known_name_find(word, strlen(word), criterion);
    return found == NULL ? "" : found->here != NULL ? found->here : found->why;
}

Test(known_name, every_row_is_reached)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *said = rows[i].here != NULL ? rows[i].here : rows[i].why;
        cr_expect_null(option_find(rows[i].word), "%s is an option", rows[i].word);
        cr_expect_str_eq(said_of(rows[i].word, rows[i].criterion_only), said, "%s", rows[i].word);
    }
}

Test(known_name, spelling_does_not_matter)
{
    static const char *const spellings[][2] = {
        {"Tcp-NoPush", "TCP_CORK"},
        {"net.ipv4.tcp_keepalive_time", "TCP_KEEPIDLE"},
        {"net/ipv4/tcp_keepalive_time", "TCP_KEEPIDLE"},
        {"KeepAliveTime", "TCP_KEEPIDLE"},
        {"setTcpNoDelay", "TCP_NODELAY"},
        {"set_keepalive", "SO_KEEPALIVE"},
        {"TCPKeepAlive", "SO_KEEPALIVE"},  /* OpenSSH */
        {"TCP_KEEPALIVE", "TCP_KEEPIDLE"}, /* macOS */
        {"tune.rcvbuf.client", "SO_RCVBUF"},
        {"interface", "SO_BINDTODEVICE"},
        {"tcp_keepalive_tim", ""},
        {"tcp_keepalive_times", ""},
        {"rcvbuf.client", ""},
        {"set", ""},
        {"_", ""},
        {"", ""},
        {"x.", ""},
        {"net.", ""},
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++)
        cr_expect_str_eq(said_of(spellings[i][0], false), spellings[i][1], "%s", spellings[i][0]);
}

Test(known_name, every_sysctl_is_told)
{
    cr_expect(strstr(said_of("net.core.netdev_tstamp_prequeue", false), "sysctl(8)") != NULL);
    cr_expect(strstr(said_of("net.ipv4.tcp_sack", false), "for the whole host") != NULL);
}

Test(known_name, criteria_have_answers_of_their_own)
{
    cr_expect(strstr(said_of("interface", true), "local") != NULL);
}
