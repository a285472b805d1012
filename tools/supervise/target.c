/* SPDX-License-Identifier: MIT */
/*
 * Peers, by /proc, pidfds and process_vm_readv().
 */
#include "target.h"
#include "take_defaults.h"

#include "compat.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define COMMAND_MAX (128u << 10) /* bytes of a command line that are looked at */
#define TRIES       3            /* at a program that keeps replacing itself */

/* --- /proc ------------------------------------------------------------------------------------ */

/* Up to `size` - 1 bytes of /proc/TID/NAME, NUL behind them. -1 with errno. */
static ssize_t read_proc(pid_t tid, const char *name, char *buffer, size_t size)
{
    char path[64];
    size_t length = 0;
    ssize_t got = 0;
    int fd;

    snprintf(path, sizeof path, "/proc/%d/%s", tid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    while (length < size - 1 && (got = read(fd, buffer + length, size - 1 - length)) > 0)
        length += (size_t)got;
    close(fd);
    buffer[length] = '\0';
    return got < 0 ? -1 : (ssize_t)length;
}

static void read_executable(pid_t tid, char *path, size_t size)
{
    char link[64];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/%d/exe", tid);
    length = readlink(link, path, size - 1);
    path[length > 0 ? length : 0] = '\0';
}

/* Process of a thread, or 0. */
static pid_t process_of(pid_t tid)
{
    char status[4096];
    const char *line;

    if (read_proc(tid, "status", status, sizeof status) < 0)
        return 0;
    line = strstr(status, "\nTgid:");
    return line ? (pid_t)strtol(line + 6, NULL, 10) : 0;
}

/* What the kernel told the program at its start. */
struct start {
    uint64_t random_at; /* 0: not told */
    uint32_t uid;       /* effective */
};

static uint64_t word_at(const char *bytes, size_t size)
{
    uint32_t small;
    uint64_t large;

    if (size == sizeof small) {
        memcpy(&small, bytes, sizeof small);
        return small;
    }
    memcpy(&large, bytes, sizeof large);
    return large;
}

/* Words of 4 bytes, read as one of 8, make a type far beyond any that there is: the first value is
 * an address. */
static size_t word_size(const char *bytes)
{
    return word_at(bytes, 8) > UINT32_MAX ? 4 : 8;
}

/* Returns 0, or -1 with errno. */
static int read_start(pid_t tid, struct start *start)
{
    char bytes[4096] = {0};
    ssize_t length = read_proc(tid, "auxv", bytes, sizeof bytes);
    const size_t size = word_size(bytes);

    memset(start, 0, sizeof *start);
    for (ssize_t at = 0; at + 2 * (ssize_t)size <= length; at += 2 * (ssize_t)size) {
        uint64_t type = word_at(bytes + at, size);
        uint64_t value = word_at(bytes + at + size, size);
        if (type == AT_RANDOM)
            start->random_at = value;
        else if (type == AT_EUID)
            start->uid = (uint32_t)value;
    }
    return length < 0 ? -1 : 0;
}

/* --- which rules are for it ------------------------------------------------------------------- */

/* The strings of a command line, NUL after each; NULL with errno. The pointers are malloc()ed. */
static const char **split(const char *line, size_t length)
{
    size_t count = 0;
    const char **argv;

    for (size_t i = 0; i < length; i++)
        count += line[i] == '\0';
    argv = calloc(count + 2, sizeof *argv);
    if (!argv)
        return NULL;
    count = 0;
    for (size_t at = 0; at < length; at += strlen(line + at) + 1)
        argv[count++] = line + at;
    return argv;
}

static void name_peer(struct peer *peer, const char *executable, const char *argv0)
{
    const char *path = argv0 && *argv0 ? argv0 : executable;
    const char *slash = strrchr(path, '/');

    snprintf(peer->name, sizeof peer->name, "%.63s", slash ? slash + 1 : path);
}

/* Returns 0, or -1 with errno. */
static int take_defaults(struct peer *peer, const struct policy *policy)
{
    unsigned families = defaults_families(policy, &peer->active);

    if (!families)
        return 0;
    peer->defaults = calloc((size_t)DEFAULT_KINDS * policy->option_count, sizeof *peer->defaults);
    if (!peer->defaults)
        return -1;
    defaults_take(policy, &peer->active, families, peer->defaults);
    return 0;
}

static int take_rules(struct peer *peer, const struct guide *guide, const struct identity *identity)
{
    const struct policy *policy = guide->policy;
    uint32_t *rules = malloc((policy->rule_count + 1) * sizeof *rules);

    if (!rules)
        return -1;
    peer->active.rules = rules;
    peer->active.count = active_rules(policy, identity, rules);
    peer->phases = peer->families = 0;
    for (uint32_t i = 0; i < peer->active.count; i++) {
        peer->phases |= policy->rules[rules[i]].phases;
        peer->families |= policy->rules[rules[i]].families;
    }
    peer->reporter = reporter_of(peer->name, &peer->active, &peer->reports);
    return take_defaults(peer, policy);
}

static int identify(struct peer *peer, const struct guide *guide, uint32_t uid)
{
    char executable[PATH_MAX];
    char *line = malloc(COMMAND_MAX);
    ssize_t length = line ? read_proc(peer->tid, "cmdline", line, COMMAND_MAX) : -1;
    const char **argv = length >= 0 ? split(line, (size_t)length) : NULL;
    int failed = -1;

    read_executable(peer->tid, executable, sizeof executable);
    if (argv) {
        const struct identity identity = {
            .executable = *executable ? executable : NULL, .argv = argv, .uid = uid};
        name_peer(peer, executable, argv[0]);
        failed = take_rules(peer, guide, &identity);
    }
    free(argv);
    free(line);
    return failed;
}

/* --- its memory ------------------------------------------------------------------------------- */

/* Memory of another process, as process_vm_readv() wants it named. */
static struct iovec at_peer(uint64_t address, size_t size)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): no pointer of ours */
    return (struct iovec){(void *)(uintptr_t)address, size};
}

/* --- one peer --------------------------------------------------------------------------------- */

static void forget(struct peer *peer)
{
    if (!peer->tid)
        return;
    close(peer->pidfd);
    free(peer->defaults);
    free((void *)peer->active.rules);
    memset(peer, 0, sizeof *peer);
}

/* Before Linux 6.9 a pidfd is of a process: descriptors are then those of its first thread. */
static int open_pidfd(pid_t tid, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);

    return fd < 0 && errno == EINVAL ? (int)syscall(SYS_pidfd_open, pid, 0) : fd;
}

static enum peer_step failure(void)
{
    return errno == ESRCH || errno == ENOENT ? PEER_GONE : PEER_REFUSED;
}

/* Get to know whoever has this number now. */
static enum peer_step meet(struct peer *peer, const struct guide *guide, pid_t tid)
{
    struct start start;
    struct iovec local = {peer->random, sizeof peer->random}, remote;

    forget(peer);
    peer->pid = process_of(tid);
    if (!peer->pid)
        return PEER_GONE;
    peer->pidfd = open_pidfd(tid, peer->pid);
    if (peer->pidfd < 0)
        return failure();
    peer->tid = tid;
    if (read_start(tid, &start) == 0 && start.random_at) {
        peer->random_at = start.random_at;
        remote = at_peer(start.random_at, sizeof peer->random);
        if (process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)sizeof peer->random &&
            identify(peer, guide, start.uid) == 0)
            return PEER_OK;
    }
    int error = errno;
    forget(peer);
    errno = error;
    return failure();
}

/* Read on condition that it is still the program that we know. */
static bool read_known(const struct peer *peer, uint64_t address, void *buffer, size_t size,
                       size_t *got)
{
    uint8_t random[RANDOM_BYTES];
    const struct iovec local[] = {{random, sizeof random}, {buffer, size}};
    const struct iovec remote[] = {at_peer(peer->random_at, sizeof random), at_peer(address, size)};
    unsigned long count = size ? 2 : 1;
    ssize_t length = process_vm_readv(peer->tid, local, count, remote, count, 0);

    if (length < (ssize_t)sizeof random || memcmp(random, peer->random, sizeof random) != 0)
        return false;
    *got = (size_t)length - sizeof random;
    return true;
}

/* Its pidfd answers as long as it lives. */
static bool is_alive(const struct peer *peer)
{
    return syscall(SYS_pidfd_send_signal, peer->pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

enum peer_step peer_find(struct peers *peers, const struct guide *guide, pid_t tid,
                         uint64_t address, void *buffer, size_t size, size_t *got,
                         struct peer **peer)
{
    struct peer *slot = &peers->slots[(unsigned)tid % PEERS_MAX];
    enum peer_step step;

    *peer = slot;
    *got = 0;
    if (slot->tid == tid && read_known(slot, address, buffer, size, got) && is_alive(slot))
        return PEER_OK;
    for (int i = 0; i < TRIES; i++) {
        step = meet(slot, guide, tid);
        if (step != PEER_OK)
            return step;
        if (read_known(slot, address, buffer, size, got))
            return PEER_OK;
    }
    return PEER_GONE;
}

int peer_borrow(const struct peer *peer, int fd)
{
    return (int)syscall(SYS_pidfd_getfd, peer->pidfd, fd, 0);
}

struct default_value *fresh_defaults(const struct policy *policy)
{
    const struct active none = {NULL, 0};
    struct default_value *fresh =
        calloc((size_t)DEFAULT_KINDS * policy->option_count + 1, sizeof *fresh);

    if (fresh)
        defaults_take(policy, &none, FAMILY_ALL, fresh);
    return fresh;
}
