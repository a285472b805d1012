/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: a socket is duplicated, described, matched and given its options; the
 * results go into memory allocated before. Then the duplicate is closed, and only then the results
 * are printed. Sockets are identified by inode, so a socket that several descriptors or processes
 * share is treated once. A socket that is neither connected nor listening has no role yet; the next
 * round examines it again.
 */
#include "apply_run.h"
#include "apply_undo.h"
#include "duplicate.h"
#include "kernel_socket.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <unistd.h>

/* A socket that has been treated. */
struct seen_socket {
    uint64_t inode;
    bool settled; /* its role is known: later rounds skip it */
};

/* What treat_duplicate() may need: the defaults of a socket of the same kind, or the remote address
 * of a connection in SYN_SENT. */
enum { NEEDS_DEFAULTS = 1, NEEDS_REMOTE };

static int by_inode(const void *left, const void *right)
{
    const struct seen_socket *a = left, *b = right;
    return (a->inode > b->inode) - (a->inode < b->inode);
}

/* Record that a socket exists; NULL if it needs no treatment, or memory is exhausted. */
static struct seen_socket *note_seen(struct apply_run *run, uint64_t inode)
{
    struct seen_socket *seen;
    struct seen_socket *const *last;

    if (tfind(&(struct seen_socket){.inode = inode}, &run->seen, by_inode) != NULL)
        return NULL;
    seen = malloc(sizeof *seen);
    if (seen == NULL)
        return NULL;
    *seen = (struct seen_socket){.inode = inode};
    last = tfind(seen, &run->seen_last, by_inode);
    run->seen_before = last != NULL;
    if (last != NULL)
        seen->settled = (*last)->settled;
    if (tsearch(seen, &run->seen, by_inode) == NULL) {
        free(seen);
        return NULL;
    }
    return seen->settled ? NULL : seen;
}

/* Make this round the previous one. Sockets that it did not see are forgotten. */
void apply_end_seen_round(struct apply_run *run)
{
    tdestroy(run->seen_last, free);
    run->seen_last = run->seen;
    run->seen = NULL;
}

static bool is_settled(const struct socket_description *description)
{
    if (!description->sockinfo.families)
        return true;
    return description->sockinfo.known & FACT_ROLE &&
           (description->sockinfo.roles != ROLE_DATAGRAM || description->remote_length);
}

/* It can receive from any peer. It is examined again, because a later connect() names a peer. */
static bool is_bound_datagram(const struct socket_description *description)
{
    return description->sockinfo.roles == ROLE_DATAGRAM && description->sockinfo.local_port != 0;
}

/*
 * Describe a duplicate and reconcile it with the rules. Returns 0; NEEDS_DEFAULTS or NEEDS_REMOTE
 * if more than system calls on the duplicate is needed for that; -1 with errno.
 */
static int treat_duplicate(struct apply_run *run, const struct socket_owner *owner, int fd)
{
    struct socket_description *description = &run->description;
    const struct default_socket *reference = NULL;
    run->result->count = 0;
    if (describe_socket(fd, description) != 0)
        return -1;
    if (description->connecting && run->remote_length == 0)
        return NEEDS_REMOTE;
    if (description->connecting)
        description_set_remote(description, &run->remote, run->remote_length);
    if (description->sockinfo.families && run->reconciler.needs_defaults) {
        reference = default_sockets_find(&run->defaults, owner->network, description->domain,
                                         description->type, description->protocol);
        if (reference == NULL)
            return NEEDS_DEFAULTS;
    }
    reconcile_socket(KERNEL_SOCKET(fd), description, reference != NULL ? reference->defaults : NULL,
                     &run->reconciler, &run->active, run->result);
    return 0;
}

/* Duplicate a socket, treat the duplicate and close it. Returns the same as treat_duplicate(). */
static int treat_socket(struct apply_run *run, const struct socket_owner *owner,
                        const struct open_socket *sockets, size_t count)
{
    int fd = socket_duplicate(owner, sockets, count), result;
    if (fd < 0)
        return -1;
    result = treat_duplicate(run, owner, fd);
    close(fd);
    return result;
}

/* Get what treat_duplicate() needed. Returns 0, or -1 with errno. */
static int prepare_treatment(struct apply_run *run, const struct socket_owner *owner,
                             const struct open_socket *sockets, int lacked)
{
    const struct socket_description *description = &run->description;
    if (lacked == NEEDS_REMOTE) {
        if (process_socket_remote(owner->pid, sockets->inode, &run->remote, &run->remote_length) ==
            0)
            return 0;
        errno = EBADF; /* no longer in SYN_SENT */
        return -1;
    }
    return default_sockets_get(&run->defaults, owner, description->domain, description->type,
                               description->protocol) != NULL
               ? 0
               : -1;
}

int apply_socket(struct apply_run *run, const struct socket_owner *owner,
                 const struct process *process, const struct open_socket *sockets, size_t count)
{
    struct seen_socket *seen = note_seen(run, sockets->inode);
    const struct socket_description *description = &run->description;
    int result;
    if (seen == NULL)
        return 0;
    run->remote_length = 0;
    while ((result = treat_socket(run, owner, sockets, count)) > 0)
        if (prepare_treatment(run, owner, sockets, result) != 0)
            return is_gone(errno) ? 0 : -1;
    if (result != 0)
        return is_gone(errno) ? 0 : -1;
    seen->settled = is_settled(description);
    if (!run->dry_run && (seen->settled || (is_bound_datagram(description) && !run->seen_before)))
        apply_report_to_helper(run, process);
    if (run->save != NULL && !run->dry_run)
        undo_note(run->undo_notes, run->reconciler.policy, process, sockets, description,
                  run->result);
    if (description->sockinfo.families)
        apply_report_socket(run, process, sockets, count);
    return 0;
}
