/* SPDX-License-Identifier: MIT */
/*
 * Conversion between addresses and text.
 */
#include "endpoint.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

static void same_again(const char *text, int domain, socklen_t length)
{
    struct sockaddr_storage address;
    char back[ENDPOINT_SIZE];
    const char *wrong = endpoint_read(text, domain, &address);
    cr_assert_null(wrong, "%s: %s", text, wrong);
    endpoint_format(&address, length, back);
    cr_expect_str_eq(back, text);
}

Test(endpoint, written_as_read)
{
    const socklen_t unix_path = offsetof(struct sockaddr_un, sun_path);
    same_again("192.0.2.1:80", AF_INET, sizeof(struct sockaddr_in));
    same_again("0.0.0.0:0", AF_INET, sizeof(struct sockaddr_in));
    same_again("[2001:db8::1]:65535", AF_INET6, sizeof(struct sockaddr_in6));
    same_again("[::ffff:192.0.2.1]:80", AF_INET6, sizeof(struct sockaddr_in6));
    same_again("/run/x.sock", AF_UNIX, unix_path + 12);
    same_again("/run/x.sock", AF_UNIX, unix_path + 11); /* without its NUL */
    same_again("@name", AF_UNIX, unix_path + 5);
}

Test(endpoint, a_link_local_address_has_its_interface)
{
    struct sockaddr_storage address;
    char text[ENDPOINT_SIZE];
    cr_assert_null(endpoint_read("[fe80::1]:80", AF_INET6, &address));
    ((struct sockaddr_in6 *)&address)->sin6_scope_id = 3;
    endpoint_format(&address, sizeof(struct sockaddr_in6), text);
    cr_expect_str_eq(text, "[fe80::1%3]:80");
}

Test(endpoint, what_is_no_address_is_nothing)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    char text[ENDPOINT_SIZE] = "x";
    endpoint_format(&address, sizeof(sa_family_t), text); /* unnamed */
    cr_expect_str_eq(text, "");
    address.ss_family = AF_INET;
    endpoint_format(&address, sizeof(struct sockaddr_in) - 1, text);
    cr_expect_str_eq(text, "");
    address.ss_family = AF_NETLINK;
    endpoint_format(&address, sizeof address, text);
    cr_expect_str_eq(text, "");
    endpoint_format(&address, 0, text);
    cr_expect_str_eq(text, "");
}

Test(endpoint, an_abstract_name_of_any_bytes_is_printable)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    struct sockaddr_un *to = (struct sockaddr_un *)&address;
    char text[ENDPOINT_SIZE];
    memset(to->sun_path, '\xff', sizeof to->sun_path);
    memcpy(to->sun_path, "\0a\n\0b", 5);
    endpoint_format(&address, sizeof *to, text);
    cr_expect_eq(strlen(text), sizeof to->sun_path);
    cr_expect(strncmp(text, "@a??b??", 7) == 0, "%s", text);
}
