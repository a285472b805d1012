/* SPDX-License-Identifier: MIT */
/*
 * The command's end of the reports from the BPF programs to the helper
 * (preload/wire/attach_report.h).
 */
#ifndef SOCKTUNE_REPORT_CHANNEL_H
#define SOCKTUNE_REPORT_CHANNEL_H

#include "object.h"

/* Write the options and the names of the rules to which the reports refer. */
int channel_fill(const struct bpf_object *object, const struct attach_tables *tables,
                 struct attach_error *error);

/* Map the channel; release it with channel_unmap(). NULL with errno. */
struct attach_channel *channel_map(int fd);
void channel_unmap(struct attach_channel *channel);

/* Notify the helper that the attachment has ended, so that it releases the maps. NULL or a negative
 * descriptor do nothing. */
void channel_close(struct attach_channel *channel);
void channel_close_fd(int fd);

/* True if a helper reads the reports. */
bool channel_is_read(const struct attach_channel *channel);

/* Pass both maps to the first helper that exists and belongs to root or to the own user. False if
 * there is none. */
bool channel_pass(int reports, int channel, bool pinned);

#endif
