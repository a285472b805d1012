/* SPDX-License-Identifier: MIT */
/*
 * The main loop of the emulator.
 */
#ifndef SOCKTUNE_LINK_FORWARD_H
#define SOCKTUNE_LINK_FORWARD_H

#include "link/paths.h"

/* Forward packets and answer lines of standard input, until its end. */
void link_forward(struct link *link);

#endif
