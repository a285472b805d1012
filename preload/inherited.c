/* SPDX-License-Identifier: MIT */
/*
 * Adopting the sockets a program is started with. /proc/self/fd names all descriptors in two or
 * three system calls; only those that are sockets are looked into. Without /proc there is nothing
 * to adopt.
 */
#include "inherited.h"

#include "apply.h"
#include "backlog.h"
#include "bytes.h"
#include "kernel.h"
#include "kernel_socket.h"
#include "learn.h"
#include "report.h"
#include "tune.h"

#include <dirent.h>

static void adopt(int fd)
{
    struct sockinfo sockinfo;
    struct decision decision;
    if (!learn_history(KERNEL_SOCKET(fd), &sockinfo))
        return;
    unsigned phases = sockinfo_phases_behind(&sockinfo);
    tune_decide(fd, &sockinfo, PHASE_SOCKET, phases, &decision);
    if (sockinfo_is_connection(&sockinfo))
        apply_drop_early(&state.policy, &decision);
    tune_apply(fd, &sockinfo, &decision, phases);
    if ((sockinfo.roles & ROLE_LISTEN) != 0)
        waiting_count(fd);
    report_adopted(fd, &sockinfo);
}

void adopt_accepted(int fd)
{
    struct sockinfo sockinfo;
    struct decision decision;
    sockinfo_at_accept(&sockinfo);
    unsigned phases = sockinfo_phases_behind(&sockinfo);
    tune_decide(fd, &sockinfo, PHASE_ACCEPT, phases, &decision);
    apply_drop_early(&state.policy, &decision);
    tune_apply(fd, &sockinfo, &decision, phases);
}

/* The number in a directory entry's name, or -1. */
static int number_of(const char *name)
{
    int number = 0;
    if (*name < '0' || *name > '9')
        return -1;
    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (*name - '0');
    return number;
}

static bool is_socket(int directory, const char *name)
{
    char target[8] = {0};
    return kernel_call(SYS_readlinkat, directory, name, target, sizeof target - 1) > 0 &&
           bytes_equal(target, "socket:", 7);
}

/* As getdents64(2) returns it; glibc has no name for it that fits every word size. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
} __attribute__((packed));

void adopt_sockets(void)
{
    int directory = kernel_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        return;
    char buffer[2048];
    long got;
    while ((got = kernel_call(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(buffer + at);
            at += entry->size;
            int fd = number_of(entry->name);
            if (fd >= 0 && fd != directory && is_socket(directory, entry->name))
                adopt(fd);
        }
    }
    kernel_close(directory);
}
