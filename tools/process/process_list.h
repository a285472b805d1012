/* SPDX-License-Identifier: MIT */
/*
 * Lists of processes and of their descriptors.
 */
#ifndef SOCKTUNE_PROCESS_LIST_H
#define SOCKTUNE_PROCESS_LIST_H

#include "process.h"

/* How many of the items from `first` on are descriptors of one socket. */
size_t descriptors_of_one(const struct open_sockets *open, size_t first);

/* The number that a word stands for; false if it is no process ID. */
bool read_pid(const char *word, pid_t *pid);

/* All processes but this one, ascending, malloc()ed; NULL with errno. */
pid_t *all_processes(size_t *count);

#endif
