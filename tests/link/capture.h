/* SPDX-License-Identifier: MIT */
/*
 * A capture file of what enters a link, in the format of libpcap (pcap-savefile(5)), for tcpdump.
 */
#ifndef SOCKTUNE_LINK_CAPTURE_H
#define SOCKTUNE_LINK_CAPTURE_H

#include <stddef.h>
#include <stdio.h>
#include <time.h>

/* A new capture file of bare IP packets. NULL and errno; the caller closes it by fclose(). */
FILE *capture_open(const char *path);

/* Add a packet that came at `when`, with nanoseconds. What cannot be written sets ferror(). */
void capture_packet(FILE *capture, struct timespec when, const void *bytes, size_t size);

#endif
