/* SPDX-License-Identifier: MIT */
/* Text from untrusted sources, and the names of cached policies. */
#include "policy_place.h"
#include "rows.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

/* NOLINTBEGIN(misc-misleading-bidirectional): the bytes to be escaped */
static const struct {
    const char *from, *to;
} escapes[] = {
    {"plain", "plain"},
    {"a\nb", "a\\x0ab"},
    {"\x1b[2J", "\\x1b[2J"},
    {"\x7f", "\\x7f"},
    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
    {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* U+202E reverses the direction */
    {"\xc2\x9b", "\\xc2\\x9b"},                   /* U+009B, CSI */
    {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},          /* U+2028, line separator */
    {"\xff", "\\xff"},                            /* not UTF-8 */
    {"\xc0\x8a", "\\xc0\\x8a"},                   /* an overlong line feed */
    {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
    {"\xe2\x80", "\\xe2\\x80"},                   /* truncated */
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},     /* U+1F600 */
    {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
};
/* NOLINTEND(misc-misleading-bidirectional) */

Test(text, escapes_what_could_break_a_line)
{
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        char bytes[64];
        struct text text = TEXT(bytes);
        bytes[0] = 0;
        text_put_escaped(&text, escapes[i].from);
        cr_expect(eq(str, bytes, (char *)escapes[i].to), "row %zu", i);
    }
}

static const struct {
    enum policy_place place;
    struct policy_owner owner;
    const char *path; /* NULL: none */
} places[] = {
    {PLACE_BESIDE, {1000, "/home/u", NULL}, "/etc/r.policy"},
    {PLACE_SYSTEM, {1000, "/home/u", NULL}, "/var/cache/socktune/"},
    {PLACE_USER, {1000, "/home/u", NULL}, "/home/u/.cache/socktune/"},
    {PLACE_USER, {1000, "/home/u", "/x"}, "/x/socktune/"},
    {PLACE_USER, {1000, "/home/u", "relative"}, "/home/u/.cache/socktune/"},
    {PLACE_USER, {1000, "relative", NULL}, NULL},
    {PLACE_USER, {1000, NULL, NULL}, NULL},
    {PLACE_USER, {0, "/home/u", "/x"}, NULL}, /* root writes to no place that a variable names */
    {PLACE_TEMPORARY, {1000, NULL, NULL}, "/tmp/.socktune-1000/"},
};

Test(policy_place, follows_the_owner_and_the_environment)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char bytes[128];
        struct text path = TEXT(bytes);
        bool found = policy_place_path(&path, places[i].place, &places[i].owner, "/etc/r");
        cr_expect_eq(found, places[i].path != NULL, "row %zu", i);
        if (found && places[i].path != NULL)
            cr_expect_eq(strncmp(bytes, places[i].path, strlen(places[i].path)), 0, "row %zu: %s",
                         i, bytes);
    }
}

Test(policy_place, does_not_cut_a_path)
{
    char bytes[24];
    struct text path = TEXT(bytes);
    struct policy_owner owner = {.uid = 0};
    cr_expect(not(policy_place_path(&path, PLACE_SYSTEM, &owner, "/etc/r")));
}
