/* SPDX-License-Identifier: MIT */
/*
 * Where this process is PID 1 or a subreaper (prctl(2)), the supervisor, being orphaned, would
 * become the program's child: a program that waits until it has no children would never end.
 */
#ifndef SOCKTUNE_STAY_PARENT_H
#define SOCKTUNE_STAY_PARENT_H

/*
 * If orphans come to this process, fork: the child returns and becomes the program; this process
 * stays as its parent, passes signals on, reaps orphans and ends as the program ends. Else nothing
 * happens. Call it before any other process or thread is started. Returns 0, or -1 with errno.
 */
int stay_parent_of_program(void);

/* In the program's process, when the supervisor has been orphaned: be a subreaper again, if this
 * process was one. */
void stay_parent_restore(void);

#endif
