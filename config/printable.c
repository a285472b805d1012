/* SPDX-License-Identifier: MIT */
#include "printable.h"

void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}
