/* SPDX-License-Identifier: MIT */
/*
 * Why a program cannot be executed: doctor and run say the same.
 */
#ifndef SOCKTUNE_EXECUTABLE_FAILURE_H
#define SOCKTUNE_EXECUTABLE_FAILURE_H

#include "executable.h"

/* Print why executable_read() failed with this errno. Returns an exit status, as env(1) does. */
int executable_failure(const struct executable *executable, int error);

#endif
