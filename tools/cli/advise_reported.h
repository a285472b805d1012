/* SPDX-License-Identifier: MIT */
/*
 * Advice from the figures of the helper (socktuned), instead of watching.
 */
#ifndef SOCKTUNE_ADVISE_REPORTED_H
#define SOCKTUNE_ADVISE_REPORTED_H

#include "query_client.h"
#include "sampler.h"

/*
 * Judge the helper's open and recently closed connections that watch->watched.selection selects.
 * Fills watch->groups and watch->progress; free both as after sampler_run(). watch->groups.skipped
 * lists the verdicts that the helper's figures cannot support. Returns 0, or -1 with `error`.
 */
int advise_reported(struct advise_watch *watch, char error[QUERY_ERROR_SIZE]);

#endif
