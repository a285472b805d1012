/* SPDX-License-Identifier: MIT */
/*
 * The status page for people: page.html, included unchanged.
 */
#ifndef SOCKTUNE_HELPER_PAGE_H
#define SOCKTUNE_HELPER_PAGE_H

#include <stdint.h>

extern const char page_html[];
extern const uint64_t page_html_size; /* bytes; no NUL follows */

#endif
