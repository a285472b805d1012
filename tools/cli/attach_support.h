/* SPDX-License-Identifier: MIT */
/*
 * Which options this kernel lets BPF set, for `attach --probe` and `options`.
 */
#ifndef SOCKTUNE_ATTACH_SUPPORT_H
#define SOCKTUNE_ATTACH_SUPPORT_H

#include "attach.h"

#include <stdbool.h>

struct attach_support {
    bool known;  /* it has been tried */
    bool v4, v6; /* attach can set it on IPv4 sockets, on IPv6 sockets */
};

/* Tries each option on sockets of this process. Returns an array by row of option_table(); free()
 * it. NULL with `error`: the privileges of `attach` are needed. */
struct attach_support *attach_support_probe(struct attach_error *error);

/* "yes", "IPv4 only", "IPv6 only", "no"; "-" if unknown. Static text. */
const char *attach_support_text(const struct attach_support *support);

#endif
