/* SPDX-License-Identifier: MIT */
/*
 * Globs over names and over command lines.
 */
#include "glob.h"

#include <criterion/criterion.h>

static const struct {
    const char *pattern;
    const char *text;
    bool matches;
} globs[] = {
    {"nginx", "nginx", true},
    {"nginx", "nginx2", false},
    {"nginx", "ngin", false},
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "anything at all", true},
    {"python3*", "python3.11", true},
    {"python3*", "python2", false},
    {"*/bin/*", "/usr/local/bin/redis-server", true},
    {"*.py", "a.py.pyc", false},
    {"*.py", ".py.py", true},
    {"a*b*c", "a--b-b--c", true},
    {"a*b*c", "a--b-b--", false},
    {"a?c", "abc", true},
    {"a?c", "ac", false},
    {"a??", "ab", false},
    {"[a-c]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[!a-c]x", "dx", true},
    {"[^a-c]x", "bx", false},
    {"[]]", "]", true},
    {"[!]]", "]", false},
    {"[a-]", "-", true},
    {"[abc", "[abc", true},
    {"[", "[", true},
    {"a[", "a", false},
    {"\\*", "*", true},
    {"\\*", "x", false},
    {"a\\", "a\\", true},
    {"\xc3\xa9*", "\xc3\xa9t\xc3\xa9", true},
};

Test(glob, table)
{
    for (size_t i = 0; i < sizeof globs / sizeof globs[0]; i++)
        cr_expect(glob_match(globs[i].pattern, globs[i].text) == globs[i].matches,
                  "\"%s\" against \"%s\"", globs[i].pattern, globs[i].text);
}

Test(glob, words_are_joined_by_single_spaces)
{
    const char *const words[] = {"python3", "-m", "http.server", "", "80", NULL};
    cr_expect(glob_match_words("python3 -m http.server  80", words));
    cr_expect(glob_match_words("*-m http*", words));
    cr_expect(glob_match_words("*?80", words));
    cr_expect_not(glob_match_words("python3 http*", words));
    cr_expect_not(glob_match_words("* 8", words));
}

Test(glob, no_words_are_an_empty_text)
{
    const char *const none[] = {NULL};
    cr_expect(glob_match_words("*", none));
    cr_expect(glob_match_words("", none));
    cr_expect_not(glob_match_words("?", none));
}

/* The time is bounded by the product of both lengths. */
Test(glob, many_stars_end_soon, .timeout = 5)
{
    static char text[20001];
    memset(text, 'a', sizeof text - 1);
    cr_expect_not(glob_match("*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}
