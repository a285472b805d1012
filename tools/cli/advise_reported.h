/* SPDX-License-Identifier: MIT */
/*
 * Advice from what the helper (socktuned) has seen, in place of watching.
 */
#ifndef SOCKTUNE_ADVISE_REPORTED_H
#define SOCKTUNE_ADVISE_REPORTED_H

#include "query_client.h"
#include "sampler.h"

/*
 * Judge the helper's connections, those that are open and those that closed last, as far as
 * watch->watched.selection wants them. Fills watch->groups and watch->progress; both are to be
 * freed as after sampler_run(). Verdicts that the helper's figures do not tell are in
 * watch->groups.untold. Returns 0, or -1 with `error`.
 */
int advise_reported(struct advise_watch *watch, char error[QUERY_ERROR_SIZE]);

#endif
