/* SPDX-License-Identifier: MIT */
#include "wrap.h"
#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_MIN 40u

unsigned wrap_terminal(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 0;
    return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
}

static void begin_line(unsigned indent, unsigned *column)
{
    printf("\n%*s", (int)indent, "");
    *column = indent;
}

void wrap_print(const char *text, unsigned indent, unsigned end)
{
    unsigned column = indent;
    while (*text != '\0') {
        unsigned length = (unsigned)strcspn(text, " \n");
        if (end != 0 && column > indent && column + 1 + length > end)
            begin_line(indent, &column);
        if (column > indent && length > 0)
            column += (unsigned)printf(" ");
        column += (unsigned)printf("%.*s", (int)length, text);
        text += length;
        if (*text == '\n')
            begin_line(indent, &column);
        text += *text != '\0';
    }
    putchar('\n');
}

void wrap_line(const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    text = utf8_vprintable(format, arguments);
    va_end(arguments);
    if (text != NULL)
        wrap_print(text, 0, wrap_terminal());
    free(text);
}
