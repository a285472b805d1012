/* SPDX-License-Identifier: MIT */
/*
 * Asks the running kernel whether it knows an option.
 */
#ifndef SOCKTUNE_PROBE_H
#define SOCKTUNE_PROBE_H

#include "option.h"

enum kernel_support {
    KERNEL_HAS,
    KERNEL_LACKS,
    KERNEL_UNTOLD /* no socket could be made that would take it (IPv6 switched off, say) */
};

/* Makes a socket that the option is for, asks for the option there, and closes it. */
enum kernel_support kernel_support(const struct option *option);

#endif
