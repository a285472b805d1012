/* SPDX-License-Identifier: MIT */
/*
 * Pristine values, against which `default` compares what a program has made of an option.
 */
#ifndef SOCKTUNE_BASELINE_H
#define SOCKTUNE_BASELINE_H

/*
 * If an active rule has a `default` that is decided after socket(), make one socket of each kind,
 * treat it as the hook of socket() would, note its options, and close it again. For the
 * constructor alone. Changes errno.
 */
void baseline_take(void);

#endif
