/* SPDX-License-Identifier: MIT */
/*
 * The status page for people: page.html, as it is, in the program.
 */
#ifndef SOCKTUNE_HELPER_PAGE_H
#define SOCKTUNE_HELPER_PAGE_H

#include <stddef.h>

extern const char page_html[];
size_t page_length(void);

#endif
