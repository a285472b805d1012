/* SPDX-License-Identifier: MIT */
/*
 * The mark of socktune's own programs. They export this symbol, and the library does nothing where
 * it finds it. Named in /etc/ld.so.preload, the library is loaded into the rule compiler too, finds
 * the same stale policy there, and would start the next compiler.
 */
#ifndef SOCKTUNE_NEVER_TUNE_H
#define SOCKTUNE_NEVER_TUNE_H

extern const char socktune_never_tune;

#endif
