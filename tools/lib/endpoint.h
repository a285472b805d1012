/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses as text: 192.0.2.1:80, [2001:db8::1]:80, :80, /run/x.sock, @name.
 */
#ifndef SOCKTUNE_ENDPOINT_H
#define SOCKTUNE_ENDPOINT_H

#include <sys/socket.h>

/* Returns the family that the text implies: AF_INET, AF_INET6 or AF_UNIX; AF_UNSPEC for a port
 * alone. Does not check the rest of the text. */
int endpoint_family(const char *text);

/*
 * Parse an address of the family `domain`. A port alone means the wildcard address; an IPv4 address
 * becomes v4-mapped for AF_INET6. Returns NULL, or a static phrase that says what is wrong.
 */
const char *endpoint_read(const char *text, int domain, struct sockaddr_storage *to);

/* Room for any address as text. */
#define ENDPOINT_SIZE 512

/* Format an address of `length` bytes; a link-local one with its interface's index. Unnamed Unix
 * sockets and other families give "". Characters that are not printable ASCII become `?`. */
void endpoint_format(const struct sockaddr_storage *from, socklen_t length,
                     char text[ENDPOINT_SIZE]);

#endif
