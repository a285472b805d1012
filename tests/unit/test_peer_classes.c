/* SPDX-License-Identifier: MIT */
/*
 * Classes of peers: which class contains an address, and which definitions are refused.
 */
#include "peer_classes.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* 16 bytes, IPv4 as v4-mapped. */
static const uint8_t *address(const char *text)
{
    static uint8_t bytes[16];
    char mapped[64];
    snprintf(mapped, sizeof mapped, strchr(text, ':') != NULL ? "%s" : "::ffff:%s", text);
    cr_assert(inet_pton(AF_INET6, mapped, bytes) == 1);
    return bytes;
}

static void add(struct peer_classes *peers, const char *name, const char *prefix)
{
    char problem[PREFIX_PROBLEM_SIZE];
    if (peers->count == 0 || strcmp(peers->classes[peers->count - 1].name, name) != 0)
        cr_assert_null(peer_classes_add(peers, name));
    cr_assert_null(peer_classes_add_prefix(peers, prefix, problem));
}

Test(peers, the_first_that_holds_the_address)
{
    static const struct {
        const char *address, *class;
    } cases[] = {
        {"10.1.2.3", "lab"},      {"10.2.0.0", "office"},      {"10.255.255.255", "office"},
        {"11.0.0.0", "other"},    {"192.0.2.7", "one"},        {"192.0.2.6", "other"},
        {"fd00::1", "office"},    {"fe00::1", "other"},        {"2001:db8::1", "any6"},
        {"2001:db9::1", "other"}, {"2001:db8:8000::", "any6"}, {"2001:db7:ffff::", "other"},
    };
    struct peer_classes peers = {.count = 0};

    cr_expect_str_eq(peer_classes_find(&peers, address("10.0.0.1")), "");
    add(&peers, "lab", "10.1.0.0/16");
    add(&peers, "office", "10.0.0.0/8");
    add(&peers, "office", "fd00::/8");
    add(&peers, "one", "192.0.2.7");
    add(&peers, "any6", "2001:db8::/32");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_str_eq(peer_classes_find(&peers, address(cases[i].address)), cases[i].class, "%s",
                         cases[i].address);
    /* All of IPv4 does not include IPv6. */
    add(&peers, "all4", "0.0.0.0/0");
    cr_expect_str_eq(peer_classes_find(&peers, address("203.0.113.1")), "all4");
    cr_expect_str_eq(peer_classes_find(&peers, address("::1")), "other");
    add(&peers, "all6", "::/0");
    cr_expect_str_eq(peer_classes_find(&peers, address("::1")), "all6");
    peer_classes_free(&peers);
}

Test(peers, are_bounded)
{
    struct peer_classes peers = {.count = 0};
    char name[16], problem[PREFIX_PROBLEM_SIZE];
    cr_expect_not_null(peer_classes_add(&peers, "other"));
    for (unsigned i = 0; i < PEER_CLASSES_MAX; i++) {
        snprintf(name, sizeof name, "c%u", i);
        cr_assert_null(peer_classes_add(&peers, name));
    }
    cr_expect_not_null(peer_classes_add(&peers, "more"));
    for (unsigned i = 0; i < PEER_PREFIXES_MAX; i++)
        cr_assert_null(peer_classes_add_prefix(&peers, "10.0.0.0/8", problem));
    cr_expect_not_null(peer_classes_add_prefix(&peers, "10.0.0.0/8", problem));
    peer_classes_free(&peers);
}
