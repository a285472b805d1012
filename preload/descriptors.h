/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of this process, as /proc/self/fd names them.
 */
#ifndef SOCKTUNE_DESCRIPTORS_H
#define SOCKTUNE_DESCRIPTORS_H

#include <stdbool.h>

/* Call `look` for each descriptor until it returns false. `name` is the entry in `directory` (the
 * descriptor of /proc/self/fd), `number` the descriptor's number. Returns false if there is no
 * /proc. Async-signal-safe; changes errno. */
bool descriptors_each(bool (*look)(void *context, int directory, const char *name, int number),
                      void *context);

#endif
