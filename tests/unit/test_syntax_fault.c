/* SPDX-License-Identifier: MIT */
/* Syntax errors: common mistakes, their place, and the explanation. */
#include "syntax_fault.h"

#include "fixture.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>

/* The line and the byte in it, from 0. */
static const struct mistake {
    const char *text;
    unsigned line;
    size_t place;
    const char *message;
} mistakes[] = {
    {"program: nginx\nrules:\n  - name: clients\n    set:\n      TCP_NODELAY: true\n", 1, 9,
     "this is no YAML: write program = \"nginx\";"},
    {"[nginx]\nTCP_NODELAY = true\n", 1, 0,
     "there are no sections such as [nginx]: write rules = ( { ... } );"},
    {"program = \"x\";\n[rules]\nname = \"a\"\n", 2, 0,
     "there are no sections such as [rules]: write rules = ( { ... } );"},
    {"rules = (\n  { name = \"a\";\n    match = { role = accept; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     3, 21, "this value needs double quotes: write \"accept\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_KEEPIDLE "
     "= 10s; };\n  }\n);\n",
     4, 27, "this value needs double quotes: write \"10s\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_KEEPIDLE "
     "= 10 s; };\n  }\n);\n",
     4, 27, "a number with a unit needs double quotes: write \"10 s\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { SO_SNDBUF = "
     "256K; };\n  }\n);\n",
     4, 24, "this value needs double quotes: write \"256K\""},
    {"rules = (\n  { name = \"a\";\n    match = { remote = 10.0.0.0/8; };\n    set = { TCP_NODELAY "
     "= true; };\n  }\n);\n",
     3, 23, "this value needs double quotes: write \"10.0.0.0/8\""},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = 8000-8999; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 28, "this value needs double quotes: write \"8000-8999\""},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = [80, 8000 - 8999]; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 38, "a range needs double quotes, such as \"8000-8999\""},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = 8000 - 8999; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 33,
     "a value that is more than a number needs double quotes, such as \"8000-8999\" or \"10s\""},
    {"program = /usr/sbin/nginx;\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; "
     "};\n    set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 10, "this value needs double quotes: write \"/usr/sbin/nginx\""},
    {"program = *;\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     1, 10, "this value needs double quotes: write \"*\""},
    {"program = !nginx;\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    "
     "set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 10, "this value needs double quotes: write \"!nginx\""},
    {"rules = (\n  { name = \"a\";\n    match = { remote = fd00::/8; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     3, 23, "this value needs double quotes: write \"fd00::/8\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "yes; };\n  }\n);\n",
     4, 26, "write true in place of yes"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "on; };\n  }\n);\n",
     4, 26, "write true in place of on"},
    {"rules = (\n  { name = \"a\";\n    match = { role = 'accept'; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     3, 21, "use double quotes: write \"accept\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = “accept”; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     3, 21, "use double quotes: write \"accept\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = `accept`; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     3, 21, "use double quotes: write \"accept\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     3, 21, "this string is never closed: '\"' is missing"},
    {"rules = (\n  { name = \"a\";\n    match = { role = accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     3, 21, "this value needs double quotes: write \"accept\""},
    {"program = \"nginx;\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    "
     "set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 10, "this string goes on over several lines: is its closing '\"' missing?"},
    {"program = \"nginx\";\nrules = ( { name = \"x; final = true; } );\n", 2, 19,
     "this string is never closed: '\"' is missing"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n { final = true; }\n);\n",
     5, 3, "a \",\" is missing between two values of the list"},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = [80 443]; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 31, "a \",\" is missing between two values of the list"},
    {"rules = (\n  { name = \"a\";\n    match = { role = [accept listen]; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 22, "this value needs double quotes: write \"accept\""},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = [80; 443]; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 31, "use \",\" between the values of a list, not \";\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  };\n { final = true; }\n);\n",
     5, 3, "use \",\" between the values of a list, not \";\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  };\n);\n",
     5, 3, "remove this \";\" after the last value of the list"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  },\n);\n",
     5, 3, "remove this \",\" after the last value of the list"},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = [80, 443, ]; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 36, "remove this \",\" after the last value of the list"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true;; };\n  }\n);\n",
     4, 31, "remove this \";\": one is enough"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY "
     "== true; };\n  }\n);\n",
     4, 25, "write one \"=\" between a name and its value"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY "
     "=> true; };\n  }\n);\n",
     4, 25, "write one \"=\" between a name and its value"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY "
     ":= true; };\n  }\n);\n",
     4, 25, "write one \"=\" between a name and its value"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY "
     "true; };\n  }\n);\n",
     4, 24, "\"=\" is missing after TCP_NODELAY: write TCP_NODELAY = true;"},
    {"program \"nginx\";\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    "
     "set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 8, "\"=\" is missing after program: write program = \"nginx\";"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY "
     "on; };\n  }\n);\n",
     4, 24, "\"=\" is missing after TCP_NODELAY: write TCP_NODELAY = true;"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     4, 8, "\"=\" is missing after set: write set = { ... };"},
    {"rules (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     1, 6, "\"=\" is missing after rules: write rules = ( ... );"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "; };\n  }\n);\n",
     4, 25, "the value of TCP_NODELAY is missing"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY; "
     "};\n  }\n);\n",
     4, 12, "TCP_NODELAY has no value: write TCP_NODELAY = VALUE"},
    {"rules = {\n  { name = \"a\"; final = true; }\n};\n", 1, 8,
     "rules is a list of groups: write ( { ... }, { ... } )"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = ( TCP_NODELAY = "
     "true; );\n  }\n);\n",
     4, 10, "\"(\" begins a list of values: for settings such as TCP_NODELAY write { ... }"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = [ TCP_NODELAY = "
     "true ];\n  }\n);\n",
     4, 10, "\"[\" begins a list of values: for settings such as TCP_NODELAY write { ... }"},
    {"rules = [\n  { final = true; }\n];\n", 1, 8,
     "an array [ ... ] has plain values only: write ( ... ) around groups"},
    {"rules = (\n  name = \"a\";\n  final = true;\n);\n", 2, 2,
     "a rule is a group: \"{\" is missing before name"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true;\n  }\n);\n",
     6, 0, "\"}\" is missing before this \")\"; the \"{\" on line 2 is still open"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\";\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n",
     6, 0, "\"}\" is missing before this \")\"; the \"{\" on line 2 is still open"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n);\n",
     5, 0, "\"}\" is missing before this \")\"; the \"{\" on line 2 is still open"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n",
     1, 8, "this \"(\" is never closed: \")\" is missing"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; };\n  }\n);\n};\n",
     7, 0, "this \"}\" closes nothing: no bracket is open"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "true; }; };\n  }\n);\n",
     5, 2, "\")\" is missing before this \"}\"; the \"(\" on line 1 is still open"},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = [80, 443); };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 36, "\"]\" is missing before this \")\"; the \"[\" on line 3 is still open"},
    {"{ \"program\": \"nginx\", \"rules\": [ { \"name\": \"a\" } ] }\n", 1, 0,
     "this is no JSON: write NAME = VALUE; without brackets around the file"},
    {"rules = ( { \"name\" = \"a\"; } );\n", 1, 12, "a name has no quotes: write name ="},
    {"program = \"nginx\", \"redis\";\nrules = (\n  { name = \"a\";\n    match = { role = "
     "\"accept\"; };\n    set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 19, "write several values in brackets: program = [ ..., ... ]"},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = 80, 443; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 32, "write several values in brackets: remote_port = [ ..., ... ]"},
    {"program = nginx, redis\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n  "
     "  set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 10, "this value needs double quotes: write \"nginx\""},
    {"{ name = \"a\"; final = true; }\n", 1, 0,
     "a setting is expected: write rules = ( { ... } );"},
    {"( { name = \"a\"; final = true; } );\n", 1, 0,
     "a setting is expected: write rules = before this \"(\""},
    {"; my rules\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     1, 0, "a comment begins with \"#\", not with \";\""},
    {"-- my rules\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     1, 0, "a comment begins with \"#\""},
    {"<!-- my rules -->\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    "
     "set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 0, "a comment begins with \"#\""},
    {"@include other.conf\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    "
     "set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 0, "@include \"FILE\" must stand alone on its line"},
    {"include \"other.conf\"\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n  "
     "  set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 0, "write @include \"other.conf\" alone on its line"},
    {"net.ipv4.tcp_keepalive_time = 60\nrules = (\n  { name = \"a\";\n    match = { role = "
     "\"accept\"; };\n    set = { TCP_NODELAY = true; };\n  }\n);\n",
     1, 0, "net.ipv4.tcp_keepalive_time is a sysctl: that is TCP_KEEPIDLE here"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { "
     "net.ipv4.tcp_keepalive_time = true; };\n  }\n);\n",
     4, 12, "net.ipv4.tcp_keepalive_time is a sysctl: that is TCP_KEEPIDLE here"},
    {"program = $X;\nrules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = "
     "{ TCP_NODELAY = true; };\n  }\n);\n",
     1, 10, "this value needs double quotes: write \"$X\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set.TCP_NODELAY = { X "
     "= true; };\n  }\n);\n",
     4, 4, "write set = { TCP_NODELAY = VALUE; }; in place of set.TCP_NODELAY"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { -TCP_NODELAY "
     "= true; };\n  }\n);\n",
     4, 12, "a setting begins with a name, not with \"-TCP_NODELAY\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { { TCP_NODELAY "
     "= true; };\n  }\n);\n",
     4, 12, "remove this \"{\": a group has one"},
    {"rules = ( name = \"a\"; final = true; );\n", 1, 10,
     "a rule is a group: \"{\" is missing before name"},
    {"rules = (\n  { name = \"a\";\n    match = { remote_port = [,80]; };\n    set = { TCP_NODELAY "
     "= true; };\n  }\n);\n",
     3, 29, "a value is missing before this \",\""},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\" # foo; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     6, 0, "\"}\" is missing before this \")\"; the \"{\" on line 2 is still open"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "null; };\n  }\n);\n",
     4, 26, "this value needs double quotes: write \"null\""},
    {"[[rules]]\nname = \"a\"\n", 1, 0,
     "there are no sections such as [rules]: write rules = ( { ... } );"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n\t\tset = { TCP_NODELAY = "
     "yes; };\n  }\n);\n",
     4, 24, "write true in place of yes"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP NODELAY = "
     "true; };\n  }\n);\n",
     4, 16, "\"=\" is missing after TCP"},
    {"rules = (\n  { name = \"a\";\n    match = { role = \"accept\"; };\n    set = { TCP_NODELAY = "
     "50%; };\n  }\n);\n",
     4, 26, "this value needs double quotes: write \"50%\""},
    {"rules = (\n  { name = \"a\";\n    match = { remote = \"10.0.0.1\":80; };\n    set = { "
     "TCP_NODELAY = true; };\n  }\n);\n",
     3, 33, "a setting begins with a name, not with \":80\""},
    {"<rules>\n", 1, 0, "this is no XML: write rules = ( { ... } );"},
    {"TCP_NODELAY=1 TCP_KEEPIDLE=60s\n", 1, 27, "this value needs double quotes: write \"60s\""},
    {"program = [nginx, \"redis\"];\n", 1, 11, "this value needs double quotes: write \"nginx\""},
    {"program = python3*;\n", 1, 10, "this value needs double quotes: write \"python3*\""},
    {"program = ruby2.7;\n", 1, 10, "this value needs double quotes: write \"ruby2.7\""},
    {"program = ['nginx', 'redis'];\n", 1, 11, "use double quotes: write \"nginx\""},
    {"program = «nginx»;\n", 1, 10, "use double quotes: write \"nginx\""},
    {"x = [a-b];\n", 1, 5, "this value needs double quotes: write \"a-b\""},
    {"rules = ( { set = { A = 1, B = 2,, }; } );\n", 1, 33, "remove this \",\": one is enough"},
    {"program = \"a\", [ \"b\" ];\n", 1, 15,
     "write several values in brackets: program = [ ..., ... ]"},
    {"rules = ( { name = \"a\" ) );\n", 1, 23,
     "\"}\" is missing before this \")\"; the \"{\" on line 1 is still open"},
    {"rules = ( ); end\n", 1, 13, "end has no value: write end = VALUE"},
    {"80 = \"x\";\n", 1, 0, "a setting begins with a name, not with \"80\""},
    {"program =\n", 1, 9, "the value of program is missing"},
    {"program\n", 1, 0, "program has no value: write program = VALUE"},
    {"“program” = \"x\";\n", 1, 0, "a name has no quotes"},
    {"[ \"a\" ]\n", 1, 0, "this is no JSON: write NAME = VALUE; without brackets around the file"},
    {"program: nginx.service\n", 1, 9, "this is no YAML: write program = \"nginx.service\";"},
};

/* The parser adds the line of the opening bracket, because it knows the file. */
static size_t message_length(const struct mistake *mistake)
{
    const char *opener = strstr(mistake->message, "; the \"");
    return opener != NULL ? (size_t)(opener - mistake->message) : strlen(mistake->message);
}

static size_t offset_of(const struct mistake *mistake)
{
    const char *at = mistake->text;
    for (unsigned line = 1; line < mistake->line; line++)
        at = strchr(at, '\n') + 1;
    return (size_t)(at - mistake->text) + mistake->place;
}

Test(syntax_fault, mistakes_are_named)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const struct mistake *mistake = &mistakes[i];
        struct syntax_fault fault = {.offset = 0};
        cr_expect(syntax_fault_find(mistake->text, SYNTAX_REFUSED, 0, &fault), "%s", mistake->text);
        cr_expect_eq(fault.offset, offset_of(mistake), "%s: at %zu, not at %zu", mistake->text,
                     fault.offset, offset_of(mistake));
        cr_expect(strlen(fault.message) == message_length(mistake) &&
                      strncmp(fault.message, mistake->message, message_length(mistake)) == 0,
                  "%s: \"%s\", not \"%s\"", mistake->text, fault.message, mistake->message);
        cr_expect_eq(fault.has_opener, strlen(mistake->message) > message_length(mistake));
    }
}

/* Any text that libconfig refuses. */
static void expect_place_in(const char *text)
{
    for (unsigned refusal = SYNTAX_REFUSED; refusal <= SYNTAX_MIXED_ARRAY; refusal++) {
        struct syntax_fault fault = {.offset = 0};
        if (!syntax_fault_find(text, (enum syntax_refusal)refusal, 0, &fault))
            continue;
        cr_expect_leq(fault.offset, strlen(text));
        cr_expect_leq(fault.first, strlen(text));
    }
}

/* Each prefix of a text and each text without one byte: the place is always within the text. */
Test(syntax_fault, damaged_texts_have_a_place)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        size_t length = strlen(mistakes[i].text);
        for (size_t at = 0; at < length; at++) {
            char *text = strdup(mistakes[i].text); /* so that ASan detects its end */
            memmove(text + at, text + at + 1, length - at);
            expect_place_in(text);
            text[at] = '\0';
            expect_place_in(text);
            free(text);
        }
    }
}

Test(syntax_fault, right_texts_have_none)
{
    static const char *const patterns[] = {FIXTURES "/good/*.conf", FIXTURES "/warn/*.conf",
                                           EXAMPLES "/*.conf"};
    for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
        glob_t files;
        cr_assert_eq(glob(patterns[p], 0, NULL, &files), 0);
        for (size_t i = 0; i < files.gl_pathc; i++) {
            char *text = read_whole(files.gl_pathv[i]);
            struct syntax_fault fault = {.offset = 0};
            if (strncmp(text, "\xEF\xBB\xBF", 3) != 0 && strstr(text, "@include") == NULL)
                cr_expect_not(syntax_fault_find(text, SYNTAX_REFUSED, 0, &fault), "%s: %s",
                              files.gl_pathv[i], fault.message);
            free(text);
        }
        globfree(&files);
    }
}

Test(syntax_fault, nesting_without_end_is_no_fault)
{
    char text[10001];
    struct syntax_fault fault = {.offset = 0};
    memset(text, '(', sizeof text - 1);
    memcpy(text, "rules=", 6);
    text[sizeof text - 1] = '\0';
    cr_expect_not(syntax_fault_find(text, SYNTAX_REFUSED, 0, &fault));
}
