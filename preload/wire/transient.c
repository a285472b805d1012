/* SPDX-License-Identifier: MIT */
/*
 * The table of transient descriptors. A thread claims an entry by storing the inode. The child that
 * closes has the table for itself, since fork() copied it.
 */
#include "transient.h"

#include "kernel.h"

/* Interval and maximum number of waits of a thread that forks, until no other thread is opening. */
#define WAIT_NS   200000L
#define WAITS_MAX 500

static uint64_t inode_of(int fd)
{
    struct statx status;
    return kernel_statx(fd, "", AT_EMPTY_PATH, &status) == 0 ? status.stx_ino : 0;
}

void transient_opening(struct transient *transient)
{
    if (transient != NULL)
        __atomic_fetch_add(&transient->opening, 1, __ATOMIC_ACQ_REL);
}

static void put_entry(struct transient *transient, int fd, uint64_t inode)
{
    for (unsigned i = 0; i < TRANSIENT_MAX; i++) {
        uint64_t unused = 0;
        if (!__atomic_compare_exchange_n(&transient->open[i].inode, &unused, inode, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        __atomic_store_n(&transient->open[i].fd, fd, __ATOMIC_RELEASE);
        break;
    }
}

int transient_note(struct transient *transient, int fd)
{
    if (transient == NULL)
        return fd;
    uint64_t inode = fd >= 0 ? inode_of(fd) : 0;
    if (inode != 0)
        put_entry(transient, fd, inode);
    __atomic_fetch_sub(&transient->opening, 1, __ATOMIC_ACQ_REL);
    return fd;
}

void transient_close(struct transient *transient, int fd)
{
    if (fd < 0)
        return;
    uint64_t inode = transient != NULL ? inode_of(fd) : 0;
    kernel_close(fd);
    for (unsigned i = 0; inode != 0 && i < TRANSIENT_MAX; i++)
        if (__atomic_load_n(&transient->open[i].inode, __ATOMIC_ACQUIRE) == inode) {
            __atomic_store_n(&transient->open[i].fd, -1, __ATOMIC_RELEASE);
            __atomic_store_n(&transient->open[i].inode, 0, __ATOMIC_RELEASE);
            break;
        }
}

void transient_before_fork(struct transient *transient)
{
    const struct {
        long seconds, nanoseconds;
    } wait = {0, WAIT_NS};
    if (transient == NULL)
        return;
    for (unsigned i = 0;
         i < WAITS_MAX && __atomic_load_n(&transient->opening, __ATOMIC_ACQUIRE) != 0; i++)
        kernel_call(SYS_nanosleep, &wait, NULL);
}

void transient_after_fork_in_child(struct transient *transient)
{
    if (transient == NULL)
        return;
    transient->opening = 0;
    for (unsigned i = 0; i < TRANSIENT_MAX; i++) {
        int fd = transient->open[i].fd;
        if (transient->open[i].inode != 0 && fd >= 0 && inode_of(fd) == transient->open[i].inode)
            kernel_close(fd);
        transient->open[i].inode = 0;
    }
}
