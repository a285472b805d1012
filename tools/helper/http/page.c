/* SPDX-License-Identifier: MIT */
/*
 * The assembler includes the file; its path is relative to the top of the source tree, where make
 * runs.
 */
#include "page.h"

__asm__(".pushsection .rodata\n"
        ".global page_html\n"
        ".global page_html_size\n"
        "page_html:\n"
        ".incbin \"tools/helper/http/page.html\"\n"
        "page_html_end:\n"
        ".balign 8\n"
        "page_html_size:\n"
        ".quad page_html_end - page_html\n"
        ".popsection\n");
