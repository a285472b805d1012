/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses as people write them: 192.0.2.1:80, [2001:db8::1]:80, :80, /run/x.sock, @name.
 */
#ifndef SOCKTUNE_ENDPOINT_H
#define SOCKTUNE_ENDPOINT_H

#include <sys/socket.h>

/* The family that the text implies: AF_INET, AF_INET6 or AF_UNIX; AF_UNSPEC where it has a port
 * alone. Does not check the rest of it. */
int endpoint_family(const char *text);

/*
 * Read an address of the family `domain`; a port alone means every address of it, and an IPv4
 * address becomes v4-mapped in AF_INET6. Returns NULL, or a static phrase that says what is wrong.
 */
const char *endpoint_read(const char *text, int domain, struct sockaddr_storage *to);

#endif
