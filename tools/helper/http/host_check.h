/* SPDX-License-Identifier: MIT */
/*
 * Checks the Host header of requests over TCP. Otherwise a web page whose name is made to resolve
 * to our address (DNS rebinding) could read our answers. Pure.
 */
#ifndef SOCKTUNE_HELPER_HOST_CHECK_H
#define SOCKTUNE_HELPER_HOST_CHECK_H

#include <stdbool.h>

/*
 * True if the Host header names this machine: by an address, as localhost, by the machine's own
 * name, or by one of the patterns in `hosts`, separated by spaces ("*.example.org web1"). A port, a
 * final dot and the case of letters are ignored. A missing header (NULL, in HTTP/1.0) is accepted,
 * since browsers always send one.
 */
bool host_is_ours(const char *header, const char *machine, const char *hosts);

#endif
