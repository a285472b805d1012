/* SPDX-License-Identifier: MIT */
/*
 * Reporting to the helper on behalf of supervised programs.
 *
 * A notified call has not happened yet, accept() is not notified, and no duplicate of a socket may
 * outlive the notification. So what a call is about to open is noted by the socket's cookie, and a
 * thread that listens to sock_diag, as the helper does, finds out whether it succeeded.
 *
 * What is reported to a reporter may be reported by any thread.
 */
#ifndef SOCKTUNE_CONNECTION_REPORTS_H
#define SOCKTUNE_CONNECTION_REPORTS_H

#include "match.h"
#include "ring.h"

#include <sys/types.h>

/* A program, as it is registered with the helper. */
struct target_reporter;

/* Before the program starts: note the sockets that this process has open, for reports_inherited().
 */
void reports_note_opened(void);

/* Begin, if a rule of the policy reports. The helper is looked for as the environment says. */
void reports_start(const struct policy *policy);

/* The sockets noted are those of a process with these active rules. */
void reports_inherited(const char *program, const struct active *active, pid_t pid);

/* All programs have ended: report what is left. Takes up to some seconds. */
void reports_finish(void);

/* In a forked child: what the parent knew is not known here. */
void reports_forget(void);

/*
 * The reporter of a program with these active rules, registered by now if there is a helper; NULL
 * if no rule reports, or none can be made. Stays valid. `roles` (enum role_bit) of what is to be
 * reported.
 */
struct target_reporter *reporter_of(const char *program, const struct active *active,
                                    unsigned *roles);

/* What became of setting an option (index into policy->options): 0, errno or RECORD_KEPT. */
void reporter_note(struct target_reporter *reporter, uint32_t option, unsigned result);

/* A connection begins: note in its sockinfo what its arm in a trial depends on. Nothing is noted
 * where no trial concerns the program, or while no helper reads its ring. */
void reporter_moment(struct target_reporter *reporter, struct sockinfo *sockinfo);

/* RECORD_CONNECT or RECORD_LISTEN: a process is about to do so with the socket of which `fd` is a
 * duplicate, and for which `sockinfo` was made. RECORD_ACCEPT: it has accepted it. Returns false
 * where it will not be reported as told here, such as an accepted socket that is reported already.
 */
bool reporter_expect(struct target_reporter *reporter, int fd, const struct sockinfo *sockinfo,
                     enum record_kind kind, pid_t pid);

#endif
