/* SPDX-License-Identifier: MIT */
/*
 * The option table as data: each row is complete and consistent, rows are found by name and number,
 * and misspelt names find the nearest one. tests/platform compares the rows with the kernel.
 */
#include "compat.h"
#include "option.h"
#include "policy.h"
#include "rows.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <linux/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

Test(option, rows_are_whole)
{
    EACH_ROW(row)
    {
        size_t length = strlen(row->doc);
        cr_expect(row->name && *row->name);
        cr_expect(row->kind < KIND_COUNT, "%s", row->name);
        cr_expect(length > 10 && length <= 100, "%s: doc of %zu", row->name, length);
        cr_expect(isupper((unsigned char)row->doc[0]) || row->doc[0] == 'c', "%s", row->name);
        cr_expect(row->doc[length - 1] != '.', "%s: doc ends in a full stop", row->name);
        cr_expect(row->since, "%s", row->name);
        cr_expect(row->families && !(row->families & ~FAMILY_ALL), "%s", row->name);
        cr_expect(row->protocols && !(row->protocols & ~PROTOCOL_ALL), "%s", row->name);
        cr_expect(row->roles && !(row->roles & ~ROLE_ALL), "%s", row->name);
        cr_expect(row->min <= row->max, "%s", row->name);
    }
}

Test(option, rows_do_not_contradict_themselves)
{
    EACH_ROW(row)
    {
        cr_expect((row->inherit == INHERIT_NONE) == !(row->roles & ROLE_ACCEPT), "%s", row->name);
        cr_expect(!(row->roles & ROLE_DATAGRAM) || (row->protocols & PROTOCOL_DATAGRAM), "%s",
                  row->name);
        cr_expect(!(row->roles & ROLE_STREAM) || (row->protocols & PROTOCOL_CONNECTED), "%s",
                  row->name);
        cr_expect(row->when != WHEN_LISTENER || row->roles == ROLE_LISTEN, "%s", row->name);
        cr_expect(row->when != WHEN_CONNECT || row->roles == ROLE_CONNECT, "%s", row->name);
        cr_expect(row->readable == (row->echo != ECHO_NEVER), "%s", row->name);
        cr_expect(row->level != LEVEL_SOCKTUNE || !row->readable, "%s", row->name);
        cr_expect(row->privilege == PRIVILEGE_ABOVE || row->free_max == 0, "%s", row->name);
        cr_expect(row->privilege != PRIVILEGE_ABOVE || row->free_max < row->max, "%s", row->name);
        cr_expect(row->kind != KIND_STRING || row->max < (int64_t)POLICY_VALUE_MAX, "%s",
                  row->name);
    }
}

/* A row's level and families agree with its name. */
Test(option, levels_agree_with_names)
{
    static const struct {
        const char *prefix;
        int level;
        unsigned families; /* only these families are allowed */
    } prefixes[] = {
        {"SO_", SOL_SOCKET, FAMILY_ALL},  {"TCP_", IPPROTO_TCP, FAMILY_IP},
        {"IP_", IPPROTO_IP, FAMILY_IP},   {"IPV6_", IPPROTO_IPV6, FAMILY_INET6},
        {"UDP_", IPPROTO_UDP, FAMILY_IP},
    };

    EACH_ROW(row)
    {
        bool known = row->level == LEVEL_SOCKTUNE && islower((unsigned char)row->name[0]);
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
            if (strncmp(row->name, prefixes[i].prefix, strlen(prefixes[i].prefix)) == 0) {
                known = true;
                cr_expect(row->level == prefixes[i].level, "%s", row->name);
                cr_expect(!(row->families & ~prefixes[i].families), "%s", row->name);
            }
        cr_expect(known, "%s: no such prefix", row->name);
    }
}

/* A printed name is the first one of its value; all names are lower case and within the bounds. */
Test(option, names_of_values_are_sound)
{
    EACH_ROW(row)
    {
        for (const struct option_name *name = row->names; name != NULL && name->name != NULL;
             name++) {
            for (const char *at = name->name; *at; at++)
                cr_expect(!isupper((unsigned char)*at), "%s: %s", row->name, name->name);
            cr_expect(row->kind == KIND_RATE ||
                          (name->value >= row->min && name->value <= row->max),
                      "%s: %s", row->name, name->name);
        }
    }
}

Test(option, every_row_is_found_by_name_and_number)
{
    EACH_ROW(row)
    {
        char other_case[64];
        size_t i;
        for (i = 0; row->name[i]; i++)
            other_case[i] =
                (char)(isupper((unsigned char)row->name[i]) ? tolower((unsigned char)row->name[i])
                                                            : toupper((unsigned char)row->name[i]));
        other_case[i] = '\0';
        cr_expect(option_find(row->name) == row, "%s", row->name);
        cr_expect(option_find(other_case) == row, "%s", other_case);
        cr_expect(option_find_number(row->level, row->optname) == row, "%s", row->name);
        if (row->other_optname)
            cr_expect(option_find_number(row->level, row->other_optname) == row, "%s", row->name);
    }
    cr_expect(option_find("SO_NOTHING") == NULL);
    cr_expect(option_find("") == NULL);
    cr_expect(option_find_number(SOL_SOCKET, 4711) == NULL);
}

static size_t rank(const char *name)
{
    size_t count;
    cr_assert(option_find(name), "%s", name);
    return (size_t)(option_find(name) - option_table(&count));
}

/* The order that the kernel needs: see options.def and tests/platform/test_facts.c. */
Test(option, order_is_the_kernels)
{
    cr_expect(rank("IP_TOS") < rank("SO_PRIORITY"));
    cr_expect(rank("IPV6_TCLASS") < rank("SO_PRIORITY"));
    cr_expect(rank("SO_RCVBUF") < rank("SO_RCVBUFFORCE"));
    cr_expect(rank("SO_SNDBUF") < rank("SO_SNDBUFFORCE"));
    cr_expect(rank("SO_RCVBUFFORCE") < rank("SO_BUF_LOCK"));
    cr_expect(rank("SO_SNDBUFFORCE") < rank("SO_BUF_LOCK"));
    cr_expect(rank("SO_RCVBUF") < rank("TCP_WINDOW_CLAMP"));
    cr_expect(rank("SO_RCVBUF") < rank("SO_RCVLOWAT"));
    cr_expect(rank("source") > rank("SO_BINDTODEVICE"));
    EACH_ROW(row)
    {
        if (row->when == WHEN_BIND)
            cr_expect(rank(row->name) <= rank("source"), "%s after the bind() of `source`",
                      row->name);
    }
}

Test(option, unix_sockets_inherit_their_own_options_only)
{
    cr_expect(option_is_inherited(option_find("SO_SNDBUF"), FAMILY_IP));
    cr_expect(!option_is_inherited(option_find("SO_SNDBUF"), FAMILY_UNIX));
    cr_expect(!option_is_inherited(option_find("SO_SNDBUF"), FAMILY_ALL));
    cr_expect(option_is_inherited(option_find("SO_PASSRIGHTS"), FAMILY_UNIX));
    cr_expect(option_is_inherited(option_find("SO_RCVTIMEO"), FAMILY_INET));
    cr_expect(!option_is_inherited(option_find("SO_PRIORITY"), FAMILY_INET));
    cr_expect(!option_is_inherited(option_find("TCP_FASTOPEN"), FAMILY_INET));
}

struct spelling {
    char wrong[32];
    char right[32]; /* "": no name is near */
};

static void expect_nearest(const struct spelling *spelling)
{
    const char *found = option_nearest(spelling->wrong);
    cr_expect(strcmp(found ? found : "", spelling->right) == 0, "%s -> %s, not %s", spelling->wrong,
              found ? found : "(none)", spelling->right);
}

Test(option, nearest)
{
    static const struct spelling spellings[] = {
        {"SO_KEEPALIV", "SO_KEEPALIVE"},
        {"TCP_NODLEAY", "TCP_NODELAY"},
        {"NODELAY", "TCP_NODELAY"},
        {"keepidle", "TCP_KEEPIDLE"},
        {"SO_KEEPIDLE", "TCP_KEEPIDLE"},
        {"TCP_KEEPINTERVAL", "TCP_KEEPINTVL"},
        {"so_reusprt", "SO_REUSEPORT"},
        {"SO_RECVBUF", "SO_RCVBUF"},
        {"IP_TCLASS", "IPV6_TCLASS"},
        {"TCP_PRIORITY", "SO_PRIORITY"},
        {"dcsp", "dscp"},
        {"sorce", "source"},
        {"", ""},
        {"x", ""},
        {"nothing_like_it_at_all", ""},
        {"a_word_much_longer_than_opt", ""},
    };
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
        expect_nearest(&spellings[i]);
}

Test(option, nearest_word_serves_other_lists)
{
    static const char *const words[] = {"program", "command", "remote_port", NULL};
    static const char *const none[] = {NULL};
    cr_expect_str_eq(nearest_word("porgram", words), "program");
    cr_expect_str_eq(nearest_word("Remote-Port", words), "remote_port");
    cr_expect_null(nearest_word("family", words));
    cr_expect_null(nearest_word("program", none));
    cr_expect_null(nearest_word("a word that is longer than any name that there can be", words));
}

/* The library's manual page lists these options, except those of TCP, which the kernel does not
 * keep. */
Test(option, what_the_kernel_does_not_tell)
{
    static const char wanted[] =
        " IPV6_MTU TCP_MAXSEG SO_INCOMING_CPU SO_BUSY_POLL_BUDGET TCP_QUICKACK";
    char names[256] = "";
    size_t count, length = 0;
    const struct option *table = option_table(&count);
    for (size_t i = 0; i < count; i++)
        if (option_is_not_read_back(&table[i]))
            length += (size_t)snprintf(names + length, sizeof names - length, " %s", table[i].name);
    cr_expect_str_eq(names, wanted);
}
