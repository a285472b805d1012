/* SPDX-License-Identifier: MIT */
/*
 * Which options this kernel lets BPF set, for `attach --probe` and `options`.
 */
#ifndef SOCKTUNE_ATTACH_SUPPORT_H
#define SOCKTUNE_ATTACH_SUPPORT_H

#include "attach.h"

#include <stdbool.h>

struct attach_support {
    bool known;  /* it has been found out */
    bool v4, v6; /* attach gives it to IPv4 sockets, to IPv6 sockets */
};

/* By row of option_table(), found out on sockets of this process; free() it. NULL with `error`: it
 * takes the privileges of `attach`. */
struct attach_support *attach_support_probe(struct attach_error *error);

/* "yes", "IPv4 only", "IPv6 only", "no"; "-" if it is not known. Static text. */
const char *attach_support_text(const struct attach_support *support);

#endif
