/* SPDX-License-Identifier: MIT */
/*
 * socktune options: the options that a rule may set, from the option table and from the running
 * kernel. The table of the manual page and the completions come from here too.
 */
#include "attach_support.h"
#include "commands.h"
#include "console.h"
#include "kernel_support.h"
#include "known_name.h"
#include "left_out.h"
#include "names.h"
#include "policy.h"
#include "value.h"
#include "wrap.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const whens[] = {
    [WHEN_ANY] = "any time",
    [WHEN_BIND] = "before bind",
    [WHEN_HANDSHAKE] = "before handshake",
    [WHEN_LISTENER] = "before listen",
    [WHEN_CONNECT] = "before connect",
    [WHEN_AFTER] = "after connect, listen",
};

static const char *const inherits[] = {
    [INHERIT_YES] = "yes",
    [INHERIT_NO] = "no",
    [INHERIT_UNWANTED] = "yes",
    [INHERIT_NONE] = NULL,
};

static const char *const supports[] = {
    [KERNEL_HAS] = "yes", [KERNEL_LACKS] = "no", [KERNEL_UNTOLD] = "unknown"};

/* Which options this kernel lets BPF set, by row of the table; NULL: unknown. */
static struct attach_support *bpf;

static void probe_bpf(void)
{
    struct attach_error error;
    bpf = attach_support_probe(&error);
}

static const struct attach_support *bpf_support(const struct option *option)
{
    size_t count;
    return bpf != NULL ? &bpf[option - option_table(&count)] : NULL;
}

static const char *bpf_text(const struct option *option)
{
    if (bpf != NULL)
        return attach_support_text(bpf_support(option));
    return geteuid() == 0 ? "unknown" : "needs root";
}

/* null: unknown, or not an option of IP sockets. */
static json_t *json_bpf(const struct option *option)
{
    const struct attach_support *support = bpf_support(option);
    if (support == NULL || !support->known)
        return json_null();
    return json_pack("{s:b, s:b}", "inet", support->v4, "inet6", support->v6);
}

static const char *or_dash(const char *text)
{
    return text != NULL && *text ? text : "-";
}

enum {
    INDENT = 4,
    TEXT_COLUMN = 100, /* column in which the table's last column begins */
    TEXT_LEAST = 30,   /* the narrowest useful last column */
};

/* A row as text, one member for each cell. */
struct described {
    char range[160];
    char privilege[64];    /* "": none */
    const char *inherited; /* NULL: inheritance does not apply */
};

static void describe_option(const struct option *option, struct described *to)
{
    value_range(option, to->range, sizeof to->range);
    privilege_name(option, to->privilege, sizeof to->privilege);
    to->inherited = inherits[option->inherit];
}

static json_t *json_bits(unsigned bits, const struct bit_name *names)
{
    json_t *array = json_array();
    for (; names->name != NULL; names++)
        if (bits & names->bit)
            json_array_append_new(array, json_string(names->name));
    return array;
}

static json_t *json_values(const struct option_name *names)
{
    json_t *object = json_object();
    for (; names != NULL && names->name != NULL; names++)
        json_object_set_new(object, names->name, json_integer(names->value));
    return object;
}

/* null: no socket could be created to find out. */
static json_t *json_support(enum kernel_support support)
{
    return support == KERNEL_UNTOLD ? json_null() : json_boolean(support == KERNEL_HAS);
}

static json_t *json_option(const struct option *option)
{
    struct described row;
    describe_option(option, &row);
    return json_pack(
        "{s:s, s:i, s:i, s:s?, s:s, s:I, s:I, s:o, s:s, s:s?, s:s?, s:o, s:o, s:o, s:b, s:s?, s:o, "
        "s:o, s:s}",
        "name", option->name, "level", option->level, "number", option->optname, "unit",
        unit_name(option->unit), "range", row.range, "min", (json_int_t)option->min, "max",
        (json_int_t)option->max, "values", json_values(option->names), "when", whens[option->when],
        "inherited", row.inherited, "privilege", *row.privilege ? row.privilege : NULL, "families",
        json_bits(option->families, family_names), "protocols",
        json_bits(option->protocols, protocol_names), "roles", json_bits(option->roles, role_names),
        "readable", option->readable, "since", *option->since ? option->since : NULL, "kernel",
        json_support(kernel_support(option)), "attach", json_bpf(option), "doc", option->doc);
}

static int list_json(const struct option *table, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_option(&table[i]));
    return print_json(json_pack("{s:o}", "options", array));
}

static int list_names(const struct option *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        puts(table[i].name);
    return 0;
}

/* If the terminal is too narrow for the table, each option gets two lines or more. */
static void list_narrow(const struct option *option, unsigned width)
{
    struct described row;
    char text[640];
    describe_option(option, &row);
    printf("%s%s%s\n    ", colour(stdout, COLOUR_BOLD), option->name, colour(stdout, COLOUR_NONE));
    snprintf(text, sizeof text, "%s (%s)", option->doc, row.range);
    wrap_print(text, INDENT, width);
    snprintf(text, sizeof text, "set at: %s; inherited: %s; needs: %s; kernel: %s; attach: %s",
             whens[option->when], or_dash(row.inherited), or_dash(row.privilege),
             supports[kernel_support(option)], bpf_text(option));
    printf("    ");
    wrap_print(text, INDENT, width);
}

static int list_table(const struct option *table, size_t count)
{
    unsigned width = wrap_terminal();
    if (width != 0 && width < TEXT_COLUMN + TEXT_LEAST) {
        for (size_t i = 0; i < count; i++)
            list_narrow(&table[i], width);
        return 0;
    }
    printf("%s%-25s %-21s %-9s %-22s %-7s %-10s %s%s\n", colour(stdout, COLOUR_BOLD), "OPTION",
           "SET AT", "INHERITED", "NEEDS", "KERNEL", "ATTACH", "WHAT IT DOES (VALUES)",
           colour(stdout, COLOUR_NONE));
    for (size_t i = 0; i < count; i++) {
        struct described row;
        char text[640];
        describe_option(&table[i], &row);
        printf("%-25s %-21s %-9s %-22s %-7s %-10s ", table[i].name, whens[table[i].when],
               or_dash(row.inherited), or_dash(row.privilege), supports[kernel_support(&table[i])],
               bpf_text(&table[i]));
        snprintf(text, sizeof text, "%s (%s)", table[i].doc, row.range);
        wrap_print(text, TEXT_COLUMN, width);
    }
    return 0;
}

/* Text within a line of mdoc(7), and what follows it. */
static void print_roff(const char *text, const char *end)
{
    for (; *text; text++)
        switch (*text) {
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout);
            break;
        default:
            putchar(*text);
        }
    fputs(end, stdout);
}

/* The list of options for socktune.conf(5). It does not depend on the running kernel. */
static int list_man(const struct option *table, size_t count)
{
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < count; i++) {
        struct described row;
        describe_option(&table[i], &row);
        printf(".It Cm %s\n", table[i].name);
        print_roff(table[i].doc, ".\n");
        print_roff("Values: ", "");
        print_roff(row.range, ".\n");
        if (table[i].when != WHEN_ANY) {
            print_roff("Set ", "");
            print_roff(whens[table[i].when], ".\n");
        }
        if (row.inherited != NULL && strcmp(row.inherited, "no") == 0)
            print_roff("Not inherited by accepted sockets, so set on each.", "\n");
        if (*row.privilege) {
            print_roff("Needs ", "");
            print_roff(row.privilege, ".\n");
        }
        if (*table[i].since) {
            print_roff("Since Linux ", "");
            print_roff(table[i].since, ".\n");
        }
    }
    puts(".El");
    return 0;
}

/* Print text on a line that already holds `column` columns. */
static void print_beside(const char *text, unsigned column)
{
    wrap_print(text, column, wrap_terminal());
}

static void print_bits(const char *label, unsigned bits, const struct bit_name *names)
{
    char text[256];
    names_list(names, bits, text, sizeof text);
    printf("  %-13s", label);
    print_beside(text, 15);
}

static void print_one(const struct option *option)
{
    struct described row;
    describe_option(option, &row);
    printf("%s%s%s: ", colour(stdout, COLOUR_BOLD), option->name, colour(stdout, COLOUR_NONE));
    print_beside(option->doc, (unsigned)strlen(option->name) + 2);
    printf("  %-13s", "value");
    print_beside(row.range, 15);
    if (unit_name(option->unit) != NULL)
        printf("  %-13s%s\n", "unit", unit_name(option->unit));
    printf("  %-13s%s\n", "set at", whens[option->when]);
    printf("  %-13s%s\n", "inherited", or_dash(row.inherited));
    printf("  %-13s%s\n", "needs", or_dash(row.privilege));
    print_bits("families", option->families, family_names);
    print_bits("protocols", option->protocols, protocol_names);
    print_bits("roles", option->roles, role_names);
    if (option->level >= 0)
        printf("  %-13slevel %d, option %d\n", "number", option->level, option->optname);
    printf("  %-13s%s\n", "since", *option->since ? option->since : "before Linux 4.19");
    printf("  %-13s%s\n", "this kernel", supports[kernel_support(option)]);
    printf("  %-13s%s\n", "by attach", bpf_text(option));
}

static int report_no_option(const char *name)
{
    const struct known_name *known = known_name_find(name, strlen(name), false);
    const struct left_out *left_out = left_out_find(name);
    const char *near = option_nearest(name);
    if (left_out != NULL)
        return command_failure("%s is left to the program: %s", left_out->name, left_out->why);
    if (known != NULL && known->here != NULL)
        return command_failure("no option \"%s\": that is %s here", name, known->here);
    if (known != NULL)
        return command_failure("no option \"%s\": %s", name, known->why);
    return near != NULL
               ? command_failure("no option \"%s\"; did you mean \"%s\"?", name, near)
               : command_failure("no option \"%s\"; `socktune options` lists them all", name);
}

static int options_print(const char *name, bool json)
{
    const struct option *option = option_find(name);
    if (option != NULL && json)
        return print_json(json_option(option));
    if (option != NULL) {
        print_one(option);
        return 0;
    }
    return report_no_option(name);
}

struct options_arguments {
    bool json, names, man;
};

static int cmd_options(int argc, char **argv)
{
    struct options_arguments arguments = {.json = false};
    size_t count;
    const struct option *table = option_table(&count);
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (argc - first > 1)
        return command_misuse("expected the name of one option at most");
    if (arguments.json + arguments.names + arguments.man +
            (first < argc && (arguments.names || arguments.man)) >
        1)
        return command_misuse("--json, --names and --man exclude one another");
    if (!arguments.names && !arguments.man)
        probe_bpf();
    if (first < argc)
        return options_print(argv[first], arguments.json);
    return arguments.json    ? list_json(table, count)
           : arguments.names ? list_names(table, count)
           : arguments.man   ? list_man(table, count)
                             : list_table(table, count);
}

static const struct flag flags[] = {
    FLAG_JSON(struct options_arguments, json),
    {"names", 0, FLAG_SWITCH, offsetof(struct options_arguments, names), NULL,
     "print the names only", NULL, NULL},
    {"man", 0, FLAG_SWITCH, offsetof(struct options_arguments, man), NULL,
     "print the list of socktune.conf(5), in mdoc(7)", NULL, NULL},
    FLAGS_END,
};

const struct command options_command = {
    .name = "options",
    .summary = "list the options that rules can set",
    .synopsis = "[NAME] [--json | --names | --man]",
    .details =
        "Prints each option's values, when it is set, whether accepted sockets inherit it, "
        "which privilege it needs, whether this kernel has it and lets `attach` set it; with NAME, "
        "everything about that option. \"Before handshake\" means before connect() or listen(); "
        "socktune sets "
        "each option in time.",
    .flags = flags,
    .operand = "<option>",
    .run = cmd_options,
};
