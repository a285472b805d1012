/* SPDX-License-Identifier: MIT */
/*
 * Writes capture files.
 */
#include "link/capture.h"

#include <stdint.h>

#define MAGIC_NANOSECONDS 0xa1b23c4d
#define LINKTYPE_RAW      101 /* IPv4 and IPv6, distinguished by the version field */
#define SNAPLEN           262144

FILE *capture_open(const char *path)
{
    const struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, accuracy, snaplen, linktype;
    } header = {.magic = MAGIC_NANOSECONDS,
                .major = 2,
                .minor = 4,
                .snaplen = SNAPLEN,
                .linktype = LINKTYPE_RAW};
    FILE *capture = fopen(path, "wbe");

    if (capture != NULL)
        fwrite(&header, sizeof header, 1, capture);
    return capture;
}

void capture_packet(FILE *capture, struct timespec when, const void *bytes, size_t size)
{
    const uint32_t header[4] = {(uint32_t)when.tv_sec, (uint32_t)when.tv_nsec, (uint32_t)size,
                                (uint32_t)size};
    fwrite(header, sizeof header, 1, capture);
    fwrite(bytes, 1, size, capture);
}
