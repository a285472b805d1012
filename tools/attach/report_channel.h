/* SPDX-License-Identifier: MIT */
/*
 * The command's end of what the BPF programs report to the helper (preload/wire/attach_report.h).
 */
#ifndef SOCKTUNE_REPORT_CHANNEL_H
#define SOCKTUNE_REPORT_CHANNEL_H

#include "object.h"

/* Say what options and rules the numbers in the reports mean. */
int channel_fill(const struct bpf_object *object, const struct attach_tables *tables,
                 struct attach_error *error);

/* Map the channel of that map, to be released with channel_unmap(); NULL with errno. */
struct attach_channel *channel_map(int fd);
void channel_unmap(struct attach_channel *channel);

/* Tell the helper that the attachment has ended, so that it lets go of the maps. NULL and a
 * negative descriptor do nothing. */
void channel_close(struct attach_channel *channel);
void channel_close_fd(int fd);

/* Does a helper read the reports? */
bool channel_is_read(const struct attach_channel *channel);

/* Pass both maps to the first helper that there is and that is root's or the own user's. False:
 * there is none. */
bool channel_pass(int reports, int channel, bool pinned);

#endif
