/* SPDX-License-Identifier: MIT */
/*
 * Writes the packets that enter a link to a capture file in libpcap format (pcap-savefile(5)), for
 * tcpdump.
 */
#ifndef SOCKTUNE_LINK_CAPTURE_H
#define SOCKTUNE_LINK_CAPTURE_H

#include <stddef.h>
#include <stdio.h>
#include <time.h>

/* Create a capture file of raw IP packets. NULL with errno on failure; close it with fclose(). */
FILE *capture_open(const char *path);

/* Append a packet that arrived at `when`, with nanoseconds. A write error sets ferror(). */
void capture_packet(FILE *capture, struct timespec when, const void *bytes, size_t size);

#endif
