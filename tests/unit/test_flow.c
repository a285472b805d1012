/* SPDX-License-Identifier: MIT */
#include "flow.h"
#include "ring.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
static const uint8_t global[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

Test(flow, addresses_are_written_as_their_sockets_have_them)
{
    const struct {
        const uint8_t *address;
        int family;
        const char *text;
    } rows[] = {{mapped, AF_INET, "192.0.2.1"},
                {mapped, AF_INET6, "::ffff:192.0.2.1"},
                {global, AF_INET6, "2001:db8::1"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[FLOW_ADDRESS_SIZE];
        flow_format_address(rows[i].address, rows[i].family, text);
        cr_expect_str_eq(text, rows[i].text);
    }
}

Test(flow, a_record_tells_all_of_it)
{
    struct record record = {.local_port = 80, .remote_port = 40000, .family = AF_INET6};
    memcpy(record.local, global, sizeof global);
    memcpy(record.remote, mapped, sizeof mapped);
    struct flow flow = flow_of_record(&record);
    cr_expect_arr_eq(flow.local, global, sizeof global);
    cr_expect_arr_eq(flow.remote, mapped, sizeof mapped);
    cr_expect_eq(flow.local_port, 80);
    cr_expect_eq(flow.remote_port, 40000);
    cr_expect_eq(flow.family, AF_INET6);
}

Test(flow, ends_are_compared_without_the_family)
{
    struct flow one = {.local = {1}, .remote = {2}, .local_port = 3, .remote_port = 4};
    struct flow other = one;
    other.family = AF_INET6;
    cr_expect(flow_has_ends_of(&one, &other));
    other.remote_port++;
    cr_expect_not(flow_has_ends_of(&one, &other));
    other = one;
    other.remote[15]++;
    cr_expect_not(flow_has_ends_of(&one, &other));
}
