/* SPDX-License-Identifier: MIT */
#include "page.h"

/* The assembler finds the file from the top of the source tree, where make runs. */
__asm__(".section .rodata\n"
        ".global page_html\n"
        ".global page_html_end\n"
        ".type page_html, %object\n"
        "page_html:\n"
        ".incbin \"tools/helper/page.html\"\n"
        "page_html_end:\n"
        ".byte 0\n"
        ".previous\n");

extern const char page_html_end[];

size_t page_length(void)
{
    return (size_t)(page_html_end - page_html);
}
