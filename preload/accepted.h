/* SPDX-License-Identifier: MIT */
/*
 * What accept() and accept4() have in common.
 */
#ifndef SOCKTUNE_ACCEPTED_H
#define SOCKTUNE_ACCEPTED_H

/* Give a just accepted socket what it does not have from its listener. Does nothing for a failed
 * accept (fd < 0). Keeps errno. Reports it, too, where a rule says so. */
void tune_accepted(int listener, int fd);

#endif
