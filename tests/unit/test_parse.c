/* SPDX-License-Identifier: MIT */
/* The parser: the result of each construct of the rule language, and what is refused. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* libconfig leaks a string if a syntax error follows it; Criterion 2.4 leaks 48 bytes itself. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig\nleak:libcriterion\n";
}

static struct transcript found;

/* Read valid rules. */
static struct ruleset *read_right(const char *text)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset = ruleset_read_text(text, "text", &diagnostics);
    cr_assert_not_null(ruleset);
    cr_assert_eq(diagnostics.errors, 0, "%s", found.text);
    return ruleset;
}

static int32_t int_of(const struct setting *setting)
{
    int32_t number = 0;
    cr_assert_eq(setting->value.length, sizeof number);
    memcpy(&number, setting->value.bytes, sizeof number);
    return number;
}

Test(parse, bad_files_give_their_message)
{
    cr_assert_geq(each_fixture("bad", NULL), 100);
}

static void expect_no_finding(const char *pattern, unsigned findings)
{
    glob_t files;
    cr_assert_eq(glob(pattern, 0, NULL, &files), 0, "%s", pattern);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct diagnostics diagnostics = transcript_start(&found);
        struct ruleset *ruleset = ruleset_read(files.gl_pathv[i], &diagnostics);
        cr_expect_eq(diagnostics.errors, 0, "%s", found.text);
        cr_expect_gt(ruleset->rule_count, 0, "%s has no rules", files.gl_pathv[i]);
        ruleset_free(ruleset);
    }
    cr_assert_geq(files.gl_pathc, findings);
    globfree(&files);
}

Test(parse, good_files)
{
    expect_no_finding(FIXTURES "/good/*.conf", 9);
}

Test(parse, examples)
{
    expect_no_finding(EXAMPLES "/*.conf", 6);
}

/* Files */

Test(parse, empty_text_has_no_rules)
{
    struct ruleset *ruleset = read_right("# nothing yet\n");
    cr_assert_eq(ruleset->rule_count, 0);
    cr_assert_eq(ruleset->source_count, 0);
    ruleset_free(ruleset);
}

Test(parse, last_line_needs_no_newline)
{
    struct ruleset *ruleset = read_right("rules = ( { final = true; } ); # the end");
    cr_assert_eq(ruleset->rule_count, 1);
    ruleset_free(ruleset);
}

Test(parse, one_file_makes_a_directory_live)
{
    static const struct {
        const char *text;
        bool live;
    } cases[] = {{"rules = ( );", false},
                 {"live = false; rules = ( );", false},
                 {"live = true; rules = ( );", true},
                 {"rules = ( ); live = true;", true},
                 {"live = true;", true}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ruleset *ruleset = read_right(cases[i].text);
        cr_expect_eq(ruleset->live, cases[i].live, "%s", cases[i].text);
        ruleset_free(ruleset);
    }
}

Test(parse, text_includes_nothing)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset = ruleset_read_text("@include \"/etc/passwd\"\n", "text", &diagnostics);
    cr_assert_str_eq(found.text,
                     "text:1: error: @include \"/etc/passwd\" is possible in files only\n");
    ruleset_free(ruleset);
}

Test(parse, include_is_text_elsewhere)
{
    struct ruleset *ruleset = read_right("/*\n@include \"comment\"\n*/\n"
                                         "rules = ( { name = \"a string\n@include \\\"x\\\"\n\"; "
                                         "final = true; } );");
    cr_assert_str_eq(ruleset->rules[0].name, "a string\n@include \"x\"\n");
    ruleset_free(ruleset);
}

Test(parse, adjacent_strings_are_one)
{
    struct ruleset *ruleset = read_right("program = [ \"ng\"\n \"inx\", \"redis\"\n\n];\n"
                                         "rules = ( { final = true; } );");
    const struct pattern_list *program = &ruleset->rules[0].programs[MATCHER_PROGRAM];
    cr_assert_eq(program->count, 2);
    cr_assert_str_eq(program->items[0].text, "nginx");
    cr_assert_eq(program->items[0].at.line, 1);
    cr_assert_eq(program->items[1].at.line, 2);
    ruleset_free(ruleset);
}

Test(parse, missing_file)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset = ruleset_read("/no/such/file", &diagnostics);
    cr_assert_str_eq(
        found.text, "/no/such/file: error: cannot read /no/such/file: No such file or directory\n");
    ruleset_free(ruleset);
}

/* Directories */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file, "%s", path);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

static const struct source_file *find_source(const struct ruleset *ruleset, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s%s%s", scratch, name[0] != '\0' ? "/" : "", name);
    for (size_t i = 0; i < ruleset->source_count; i++)
        if (strcmp(ruleset->sources[i].path, path) == 0)
            return &ruleset->sources[i];
    cr_assert_fail("%s is no source", path);
    return NULL;
}

Test(parse, directory_in_name_order, .init = enter_scratch, .fini = leave_scratch)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset;
    write_file("20-b.conf", "rules = ( { name = \"b\"; final = true; } );");
    write_file("10-a.conf", "program = \"x\";\nrules = ( { name = \"a\"; final = true; } );");
    write_file("30-c.conf.bak", "not a rule");
    write_file(".40-d.conf", "not a rule");
    ruleset = ruleset_read(scratch, &diagnostics);
    cr_assert_str_empty(found.text);
    cr_assert_eq(ruleset->rule_count, 2);
    cr_assert_str_eq(ruleset->rules[0].name, "a");
    cr_assert_str_eq(ruleset->rules[1].name, "b");
    /* The defaults of a file end with the file. */
    cr_assert_eq(ruleset->rules[0].programs[MATCHER_PROGRAM].count, 1);
    cr_assert_eq(ruleset->rules[1].programs[MATCHER_PROGRAM].count, 0);
    cr_assert_eq(ruleset->source_count, 3);
    cr_assert_eq(find_source(ruleset, "")->stamp.kind, SOURCE_DIRECTORY);
    cr_assert_eq(find_source(ruleset, "10-a.conf")->stamp.kind, SOURCE_FILE);
    ruleset_free(ruleset);
}

Test(parse, error_in_one_file_spares_the_others, .init = enter_scratch, .fini = leave_scratch)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset;
    write_file("a.conf", "rules = (\n");
    write_file("b.conf", "rules = ( { final = 1; } );");
    ruleset = ruleset_read(".", &diagnostics);
    cr_assert_eq(diagnostics.errors, 2, "%s", found.text);
    cr_assert(strstr(found.text, "./b.conf:1: error: final") != NULL, "%s", found.text);
    ruleset_free(ruleset);
}

Test(parse, includes_are_relative_to_the_including_file, .init = enter_scratch,
     .fini = leave_scratch)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset;
    struct stat status;
    cr_assert_eq(mkdir("parts", 0700), 0);
    cr_assert_eq(mkdir("parts/deep", 0700), 0);
    write_file("top.conf", "# first\n  @include \"parts/one.inc\"   # a remark\nrules = (\n"
                           "  { name = \"x\";\n    set = {\n@include \"parts/options.inc\"\n"
                           "      TCP_NODELAY = true;\n    };\n  }\n);\n");
    write_file("parts/one.inc", "@include \"deep/two.inc\"");
    write_file("parts/deep/two.inc", "\n\nprogram = \"nginx\";\n");
    write_file("parts/options.inc", "SO_KEEPALIVE = true;\n\nSO_PRIORITY = 3;");
    ruleset = ruleset_read("top.conf", &diagnostics);
    cr_assert_str_empty(found.text);
    cr_assert_eq(ruleset->source_count, 4);
    cr_assert_str_eq(ruleset->rules[0].programs[MATCHER_PROGRAM].items[0].at.file,
                     "parts/deep/two.inc");
    cr_assert_eq(ruleset->rules[0].programs[MATCHER_PROGRAM].items[0].at.line, 3);
    cr_assert_str_eq(ruleset->rules[0].at.file, "top.conf");
    cr_assert_eq(ruleset->rules[0].at.line, 4);
    cr_assert_str_eq(ruleset->rules[0].settings[1].at.file, "parts/options.inc");
    cr_assert_eq(ruleset->rules[0].settings[1].at.line, 3);
    cr_assert_str_eq(ruleset->rules[0].settings[2].at.file, "top.conf");
    cr_assert_eq(ruleset->rules[0].settings[2].at.line, 7);
    cr_assert_eq(stat("parts/options.inc", &status), 0);
    cr_assert_eq(find_source(ruleset, "parts/options.inc")->stamp.inode, status.st_ino);
    cr_assert_eq(find_source(ruleset, "parts/options.inc")->stamp.size, (uint64_t)status.st_size);
    ruleset_free(ruleset);
}

Test(parse, includes_are_bounded, .init = enter_scratch, .fini = leave_scratch)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset;
    char name[32], text[64];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%d.conf", i);
        snprintf(text, sizeof text, "@include \"%d.conf\"\n", i + 1);
        write_file(name, text);
    }
    ruleset = ruleset_read("0.conf", &diagnostics);
    cr_assert_str_eq(found.text, "8.conf:1: error: @include \"9.conf\" is nested too deeply: at "
                                 "most 8 levels\n");
    ruleset_free(ruleset);
}

Test(parse, large_files_are_refused, .init = enter_scratch, .fini = leave_scratch)
{
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset;
    write_file("large.conf", "");
    cr_assert_eq(truncate("large.conf", (1 << 20) + 1), 0);
    ruleset = ruleset_read("large.conf", &diagnostics);
    cr_assert_str_eq(found.text,
                     "large.conf: error: cannot read large.conf: it is larger than 1 MB\n");
    ruleset_free(ruleset);
}

/* Rules */

Test(parse, defaults_of_a_rule)
{
    struct ruleset *ruleset = read_right("rules = ( { }, { } );");
    const struct rule *rule = &ruleset->rules[1];
    cr_assert_str_eq(rule->name, "#2");
    cr_assert_eq(rule->protocols, PROTOCOL_ALL);
    cr_assert_eq(rule->roles, ROLE_ALL);
    cr_assert_eq(rule->families, FAMILY_IP);
    cr_assert(!rule->final && !rule->report);
    ruleset_free(ruleset);
}

Test(parse, file_defaults_and_overrides)
{
    struct ruleset *ruleset =
        read_right("rules = ( { }, { match = { program = [ \"a*\", \"!ab\" ]; user = 0; }; } );\n"
                   "program = \"nginx\"; command = ( \"*x*\" ); user = \"root\";\n");
    const struct rule *first = &ruleset->rules[0], *second = &ruleset->rules[1];
    cr_assert_str_eq(first->programs[MATCHER_PROGRAM].items[0].text, "nginx");
    cr_assert_str_eq(first->programs[MATCHER_COMMAND].items[0].text, "*x*");
    cr_assert_eq(first->programs[MATCHER_USER].items[0].id, 0);
    cr_assert_eq(second->programs[MATCHER_PROGRAM].count, 2);
    cr_assert(!second->programs[MATCHER_PROGRAM].items[0].negate &&
              second->programs[MATCHER_PROGRAM].items[1].negate);
    cr_assert_str_eq(second->programs[MATCHER_PROGRAM].items[1].text, "ab");
    cr_assert_str_eq(second->programs[MATCHER_COMMAND].items[0].text, "*x*");
    cr_assert_eq(second->programs[MATCHER_USER].count, 1);
    ruleset_free(ruleset);
}

/* Sets of words: the results of the criteria role, protocol and family. */
static const struct words {
    const char *match;
    unsigned roles;
    unsigned protocols;
    unsigned families;
} words[] = {
    {"role = \"accept\";", ROLE_ACCEPT, PROTOCOL_ALL, FAMILY_IP},
    {"role = [ \"accept\", \"Listen\" ];", ROLE_ACCEPT | ROLE_LISTEN, PROTOCOL_ALL, FAMILY_IP},
    {"role = ( \"!datagram\" );", ROLE_STREAM, PROTOCOL_ALL, FAMILY_IP},
    {"role = [ \"connect\", \"listen\", \"!listen\" ];", ROLE_CONNECT, PROTOCOL_ALL, FAMILY_IP},
    {"protocol = \"tcp\";", ROLE_ALL, PROTOCOL_TCP, FAMILY_IP},
    {"protocol = [ \"udp\", \"udplite\" ];", ROLE_ALL, PROTOCOL_UDP | PROTOCOL_UDPLITE, FAMILY_IP},
    {"protocol = \"!raw\";", ROLE_ALL, PROTOCOL_ALL & ~PROTOCOL_RAW, FAMILY_ALL},
    {"family = \"inet6\";", ROLE_ALL, PROTOCOL_ALL, FAMILY_INET6},
    {"family = \"!inet\";", ROLE_ALL, PROTOCOL_ALL, FAMILY_INET6},
    {"family = [ \"unix\", \"inet\" ];", ROLE_ALL, PROTOCOL_ALL, FAMILY_UNIX | FAMILY_INET},
    {"protocol = \"unix-dgram\";", ROLE_ALL, PROTOCOL_UNIX_DGRAM, FAMILY_UNIX},
    {"protocol = [ \"unix-stream\", \"tcp\" ];", ROLE_ALL, PROTOCOL_UNIX_STREAM | PROTOCOL_TCP,
     FAMILY_ALL},
};

Test(parse, words_become_sets)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char text[256];
        struct ruleset *ruleset;
        snprintf(text, sizeof text, "rules = ( { match = { %s }; } );", words[i].match);
        ruleset = read_right(text);
        cr_expect_eq(ruleset->rules[0].roles, words[i].roles, "%s", words[i].match);
        cr_expect_eq(ruleset->rules[0].protocols, words[i].protocols, "%s", words[i].match);
        cr_expect_eq(ruleset->rules[0].families, words[i].families, "%s: %x", words[i].match,
                     ruleset->rules[0].families);
        ruleset_free(ruleset);
    }
}

Test(parse, addresses)
{
    static const uint8_t ten[16] = {[10] = 0xff, [11] = 0xff, [12] = 10};
    static const uint8_t local[16] = {[0] = 0xfd};
    struct ruleset *ruleset = read_right(
        "rules = ( { match = { remote = [ \"10.0.0.0/8\", \"!fd00::/8\", \"::1\", \"0.0.0.0/0\",\n"
        "  \"::ffff:10.0.0.0/104\", \"::/0\" ]; local = \"!10.0.0.0\"; }; } );");
    const struct policy_prefix *remote = ruleset->rules[0].remote.items;
    cr_assert_eq(ruleset->rules[0].remote.count, 6);
    cr_assert_arr_eq(remote[0].address, ten, 16);
    cr_assert_eq(remote[0].length, 104);
    cr_assert_eq(remote[0].v4, 1);
    cr_assert_arr_eq(remote[1].address, local, 16);
    cr_assert(remote[1].length == 8 && remote[1].v4 == 0 && remote[1].negate == 1);
    cr_assert(remote[2].length == 128 && remote[2].v4 == 0);
    cr_assert(remote[3].length == 96 && remote[3].v4 == 1);
    cr_assert_arr_eq(&remote[4], &remote[0], sizeof remote[0]);
    cr_assert(remote[5].length == 0 && remote[5].v4 == 0);
    cr_assert(ruleset->rules[0].local.items[0].negate == 1 &&
              ruleset->rules[0].local.items[0].length == 128);
    ruleset_free(ruleset);
}

Test(parse, ports)
{
    struct ruleset *ruleset =
        read_right("rules = ( { match = { local_port = 80; remote_port = ( 443, \"8000-8999\", "
                   "\"!8080\", 0x50 ); }; } );");
    const struct policy_port *ports = ruleset->rules[0].remote_port.items;
    cr_assert_eq(ruleset->rules[0].local_port.items[0].low, 80);
    cr_assert_eq(ruleset->rules[0].remote_port.count, 4);
    cr_assert(ports[0].low == 443 && ports[0].high == 443 && !ports[0].negate);
    cr_assert(ports[1].low == 8000 && ports[1].high == 8999);
    cr_assert(ports[2].low == 8080 && ports[2].high == 8080 && ports[2].negate);
    cr_assert_eq(ports[3].low, 80);
    ruleset_free(ruleset);
}

/* Statements */

Test(parse, statements)
{
    struct ruleset *ruleset =
        read_right("rules = (\n"
                   "{ set = { so_keepalive = TRUE; TCP_KEEPIDLE = \"10min\"; };\n"
                   "  default = { Tcp_KeepCnt = 9; };\n"
                   "  force = { SO_MARK = 0xFFFFFFFF; };\n"
                   "  ignore = [ \"SO_RCVBUF\",\n"
                   "             \"so_sndbuf\"\n"
                   "           ]; } );");
    const struct setting *settings = ruleset->rules[0].settings;
    cr_assert_eq(ruleset->rules[0].setting_count, 6);
    cr_assert_str_eq(settings[0].option->name, "SO_KEEPALIVE");
    cr_assert_eq(int_of(&settings[0]), 1);
    cr_assert_str_eq(settings[0].text, "TRUE");
    cr_assert_eq(settings[0].mode, MODE_SET);
    cr_assert_eq(int_of(&settings[1]), 600);
    cr_assert_str_eq(settings[1].text, "10min");
    cr_assert_eq(settings[2].mode, MODE_DEFAULT);
    cr_assert_eq(settings[3].mode, MODE_FORCE);
    /* libconfig alone would read -1. */
    cr_assert_eq((uint32_t)int_of(&settings[3]), UINT32_MAX);
    cr_assert_str_eq(settings[3].text, "0xFFFFFFFF");
    cr_assert_eq(settings[4].mode, MODE_IGNORE);
    cr_assert_eq(settings[4].value.length, 0);
    cr_assert_eq(settings[4].at.line, 5);
    cr_assert_eq(settings[5].at.line, 6);
    ruleset_free(ruleset);
}

Test(parse, raw_options)
{
    struct ruleset *ruleset =
        read_right("rules = ( { set = { raw = ( { level = 6; option = 999; value = -1; },\n"
                   "  { level = 0xff; option = 0; value = \"abc\"; },\n"
                   "  { level = 1; option = 2; value = [ 1, 0x02, 255 ]; } ); };\n"
                   "  ignore = ( \"SO_MARK\", { level = 5; option = 6; } ); } );");
    const struct setting *settings = ruleset->rules[0].settings;
    cr_assert_eq(ruleset->rules[0].setting_count, 5);
    cr_assert(settings[0].option == NULL && settings[0].raw_level == 6 &&
              settings[0].raw_optname == 999);
    cr_assert_eq(int_of(&settings[0]), -1);
    cr_assert_eq(settings[1].raw_level, 255);
    cr_assert_eq(settings[1].value.length, 3);
    cr_assert_arr_eq(settings[1].value.bytes, "abc", 3);
    cr_assert_eq(settings[2].value.length, 3);
    cr_assert_arr_eq(settings[2].value.bytes, "\1\2\xff", 3);
    cr_assert_str_eq(settings[2].text, "[1, 0x02, 255]");
    cr_assert_eq(settings[4].mode, MODE_IGNORE);
    cr_assert_eq(settings[4].raw_level, 5);
    ruleset_free(ruleset);
}

Test(parse, targets)
{
    struct ruleset *ruleset = read_right(
        "rules = ( { set = { dscp = \"ef\"; raw = ( { level = 6; option = 1; value = 1; },\n"
        "{ level = 6; option = 9999; value = 1; } ); }; } );");
    struct setting_target targets[SETTING_TARGETS_MAX];
    const struct setting *settings = ruleset->rules[0].settings;
    cr_assert_eq(setting_targets(&settings[0], targets), 2);
    cr_assert_str_eq(targets[0].option->name, "IP_TOS");
    cr_assert_str_eq(targets[1].option->name, "IPV6_TCLASS");
    cr_assert_eq(setting_targets(&settings[1], targets), 1);
    cr_assert_str_eq(targets[0].option->name, "TCP_NODELAY");
    cr_assert_eq(setting_targets(&settings[2], targets), 1);
    cr_assert_null(targets[0].option);
    cr_assert_eq(targets[0].optname, 9999);
    ruleset_free(ruleset);
}

/* A rule can name each option of the table, in any case, with some value. */
Test(parse, every_option_is_known)
{
    size_t count;
    const struct option *table = option_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct diagnostics diagnostics = transcript_start(&found);
        char text[256];
        struct ruleset *ruleset;
        snprintf(text, sizeof text, "rules = ( { set = { %s = \"no such value\"; }; } );",
                 table[i].name);
        ruleset = ruleset_read_text(text, "text", &diagnostics);
        /* Only options with string values accept any text, and this one is too long. */
        cr_expect(strncmp(found.text, "text:1: error: ", 15) == 0 &&
                      strncmp(found.text + 15, table[i].name, strlen(table[i].name)) == 0,
                  "%s: %s", table[i].name, found.text);
        ruleset_free(ruleset);
    }
}
