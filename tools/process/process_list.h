/* SPDX-License-Identifier: MIT */
/*
 * Lists of processes.
 */
#ifndef SOCKTUNE_PROCESS_LIST_H
#define SOCKTUNE_PROCESS_LIST_H

#include "process_sockets.h"

/* The number that a word stands for; false if it is no process ID. */
bool read_pid(const char *word, pid_t *pid);

/* All processes but this one, ascending, malloc()ed; NULL with errno. */
pid_t *all_processes(size_t *count);

#endif
