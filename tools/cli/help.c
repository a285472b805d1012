/* SPDX-License-Identifier: MIT */
/*
 * The help of a command and the data for the completion scripts, from the command's table of flags.
 *
 * For a shell (`socktune --complete NAME`) each line has fields separated by "|":
 *
 *     flag|-c|--config|value|<rules>|rule file, directory ...
 *     operand|<program>|last
 *
 * The second and third field are the flag's spellings (the letter may be missing), the fourth is
 * "switch", "value" or "optional", the fifth is what the value completes to.
 */
#include "commands.h"
#include "wrap.h"

#include <stdio.h>
#include <string.h>

#define WIDTH_DEFAULT 80u
#define WIDTH_MAX     100u
#define LABEL_MAX     26u /* a longer label has its text on the next line */
#define LIST_SIZE     512

static const struct flag help_flag = {"help",           'h',  FLAG_SWITCH, 0, NULL,
                                      "show this help", NULL, NULL};

static unsigned help_width(void)
{
    unsigned columns = wrap_terminal();
    return columns == 0 ? WIDTH_DEFAULT : columns > WIDTH_MAX ? WIDTH_MAX : columns;
}

static void print_wrapped(const char *text, unsigned indent)
{
    wrap_print(text, indent, help_width() - 1);
}

static void print_paragraphs(const char *text)
{
    if (text == NULL)
        return;
    putchar('\n');
    print_wrapped(text, 0);
}

/* Write "-c, --config RULES"; returns its length. */
static unsigned write_label(const struct flag *flag, char *text, size_t size)
{
    char letter[] = {'-', flag->letter, ',', ' ', '\0'};
    const char *value = flag->value != NULL ? flag->value : "";
    bool optional = flag->kind == FLAG_OPTIONAL;
    return (unsigned)snprintf(text, size, "%s--%s%s%s%s", flag->letter != 0 ? letter : "    ",
                              flag->name,
                              optional ? "[="
                              : *value ? " "
                                       : "",
                              value, optional ? "]" : "");
}

/* The column in which the help texts of all flags begin. */
static unsigned text_column(const struct flag *flags)
{
    unsigned widest = 0;
    char label[80];
    for (; flags->name != NULL; flags++) {
        unsigned length = write_label(flags, label, sizeof label);
        if (length > widest && length <= LABEL_MAX)
            widest = length;
    }
    return 2 + widest + 2;
}

static void print_flag(const struct flag *flag, unsigned column)
{
    char label[80], list[LIST_SIZE], text[LIST_SIZE + 512];
    unsigned length = write_label(flag, label, sizeof label);
    snprintf(text, sizeof text, "%s", flag->help);
    if (flag->list != NULL) {
        flag->list(list, sizeof list);
        snprintf(text, sizeof text, "%s: %s", flag->help, list);
    }
    printf("  %s", label);
    if (2 + length + 2 > column)
        printf("\n%*s", (int)column, "");
    else
        printf("%*s", (int)(column - 2 - length), "");
    print_wrapped(text, column);
}

int command_help(const struct command *command)
{
    unsigned column = text_column(command->flags);
    const char *line = command->synopsis;
    printf("socktune %s: %s\n", command->name, command->summary);
    for (const char *lead = "Usage:"; line != NULL; lead = "") {
        size_t length = strcspn(line, "\n");
        unsigned indent = (unsigned)printf("%-6s socktune %s ", lead, command->name);
        char form[256];
        snprintf(form, sizeof form, "%.*s", (int)length, line);
        print_wrapped(form, indent);
        line = line[length] != '\0' ? line + length + 1 : NULL;
    }
    print_paragraphs(command->details);
    putchar('\n');
    for (const struct flag *flag = command->flags; flag->name != NULL; flag++)
        print_flag(flag, column);
    print_flag(&help_flag, column);
    print_paragraphs(command->notes);
    return 0;
}

/* Write the words of `list` without commas, or `words`. */
static void write_words(const struct flag *flag, char *text, size_t size)
{
    snprintf(text, size, "%s", flag->words != NULL ? flag->words : "");
    if (flag->list == NULL)
        return;
    flag->list(text, size);
    char *to = text;
    for (const char *from = text; *from != '\0'; from++)
        if (*from != ',')
            *to++ = *from;
    *to = '\0';
}

static void print_flag_completion(const struct flag *flag)
{
    static const char *const kinds[] = {
        [FLAG_SWITCH] = "switch", [FLAG_VALUE] = "value", [FLAG_OPTIONAL] = "optional"};
    char letter[] = {'-', flag->letter, '\0'}, words[LIST_SIZE];
    write_words(flag, words, sizeof words);
    printf("flag|%s|--%s|%s|%s|%s\n", flag->letter != 0 ? letter : "", flag->name,
           kinds[flag->kind], words, flag->help);
}

void command_print_completion(const struct command *command)
{
    for (const struct flag *flag = command->flags; flag->name != NULL; flag++)
        print_flag_completion(flag);
    print_flag_completion(&help_flag);
    if (command->operand != NULL)
        printf("operand|%s|%s\n", command->operand, command->operands_last ? "last" : "");
}
