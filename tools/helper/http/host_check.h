/* SPDX-License-Identifier: MIT */
/*
 * Whom a request over TCP was sent to, by its Host header. A web page of a foreign name that comes
 * to point to our address (DNS rebinding) could else read what we answer. Pure.
 */
#ifndef SOCKTUNE_HELPER_HOST_CHECK_H
#define SOCKTUNE_HELPER_HOST_CHECK_H

#include <stdbool.h>

/*
 * Does the Host header name us: by an address, as localhost, by the machine's own name, or by one
 * of the patterns in `hosts`, separated by spaces ("*.example.org web1")? A port behind it is
 * ignored, as are a dot at the end and the case of letters. No header (NULL, in HTTP/1.0) is fine:
 * browsers send one.
 */
bool host_is_ours(const char *header, const char *machine, const char *hosts);

#endif
