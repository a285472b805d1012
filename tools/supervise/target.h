/* SPDX-License-Identifier: MIT */
/*
 * Targets: the supervised threads that make notified calls, and the programs that they run.
 *
 * A thread is recognised by a pidfd, which stops answering when the thread has ended. A program is
 * recognised by the 16 random bytes that the kernel places on the stack at every execve()
 * (AT_RANDOM of getauxval(3)). fork() copies them, so all processes of one execve() share one
 * entry: a program keeps its rules when it changes its title, and its children inherit them.
 *
 * One table serves all threads of the supervisor; all functions are thread-safe.
 */
#ifndef SOCKTUNE_TARGET_H
#define SOCKTUNE_TARGET_H

#include "apply.h"
#include "connection_reports.h"

#include <sys/types.h>
#include <uthash.h>

#define RANDOM_BYTES 16u

/* What every target is matched against. */
struct target_context {
    const struct policy *policy;
    const struct default_value *kernel_defaults; /* of sockets as the kernel makes them */
};

/* What one execve() started. */
struct target_program {
    uint8_t random[RANDOM_BYTES];
    unsigned references; /* targets that run it */
    char name[64];       /* for messages */
    struct active active;
    struct default_value *defaults;   /* for `default` after socket(); NULL if no rule asks */
    unsigned phases;                  /* union of the active rules' phases, PHASE_BIT()s */
    unsigned families;                /* union of the families that they are for */
    unsigned roles;                   /* union of their roles */
    bool falls_back;                  /* fallback_concerns() of them */
    struct target_reporter *reporter; /* NULL: nothing of it is reported */
    unsigned reports;                 /* the roles that are reported, enum role_bit */
    unsigned warned;                  /* enum target_warning: messages printed already */
    UT_hash_handle hh;
};

enum target_warning { TARGET_WARNED_URING = 1, TARGET_WARNED_REFUSED = 2 };

/* A thread. Valid between target_find() and target_release(). */
struct target {
    pid_t tid;
    pid_t pid;
    int pidfd;
    uint64_t random_at;
    unsigned references; /* workers that use it */
    struct target_program *program;
    UT_hash_handle hh;
};

enum target_result { TARGET_FOUND, TARGET_GONE, TARGET_REFUSED };

/*
 * Find the thread that made a call. In the same system call, read `size` bytes of its memory at
 * `address` into `buffer`; nothing if `size` is 0. Memory that is not mapped leaves `*got` at 0 and
 * is no error. Returns TARGET_FOUND with `*target`, to be passed to target_release(); TARGET_GONE
 * if the thread ended or keeps changing; TARGET_REFUSED with errno.
 */
enum target_result target_find(const struct target_context *context, pid_t tid, uint64_t address,
                               void *buffer, size_t size, size_t *got, struct target **target);

void target_release(struct target *target);

/* In a forked child: forget what the parent knew. Its descriptors have been closed. */
void targets_forget(void);

/* Duplicate a descriptor of the target. Close it at once. Returns -1 with errno. When descriptors
 * have run out, those of idle targets are closed first. */
int target_duplicate(const struct target *target, int fd);

/* Mark a warning as printed. Returns true the first time for this program. */
bool target_warns_first(struct target_program *program, enum target_warning warning);

/* For struct target_context, in the network namespace of this thread; malloc()ed. NULL with
 * errno. */
struct default_value *target_kernel_defaults(const struct policy *policy);

#endif
