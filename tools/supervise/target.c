/* SPDX-License-Identifier: MIT */
/*
 * Targets, by /proc, pidfds and process_vm_readv().
 *
 * Theory of operation: two tables behind one lock, `threads` by thread id and `programs` by random
 * bytes. Slow steps (reading /proc, matching rules) run without the lock; if two workers meet the
 * same program at once, the first entry stays. uthash keeps the order of insertion, and an entry
 * that is used moves to the end, so the least recently used one is always the first.
 */
#include "target.h"
#include "compat.h"
#include "fallback.h"
#include "process.h"
#include "rule_warnings.h"
#include "take_defaults.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define THREADS_MAX  1024u /* pidfds that are kept at most */
#define PROGRAMS_MAX 1024u /* programs that are remembered after their last known thread */
#define TRIES        3     /* at a program that keeps replacing itself */

static struct {
    pthread_mutex_t lock;
    struct target *threads;
    struct target_program *programs;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* /proc */

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

/* Process of a thread, or 0. */
static pid_t process_of(pid_t tid)
{
    char status[4096];
    const char *line;
    if (read_proc(tid, "status", status, sizeof status) < 0)
        return 0;
    line = strstr(status, "\nTgid:");
    return line != NULL ? (pid_t)strtol(line + 6, NULL, 10) : 0;
}

/* What the kernel reported the program at its start. */
struct start_facts {
    uint64_t random_at; /* 0: not reported */
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
static int read_start_facts(pid_t tid, struct start_facts *start)
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

/* Programs */

static void free_program(struct target_program *program)
{
    free(program->defaults);
    free((void *)program->active.rules);
    free(program);
}

/* Returns 0, or -1 with errno. */
static int take_program_defaults(struct target_program *program, const struct policy *policy)
{
    unsigned families = defaults_families(policy, &program->active);
    if (families == 0)
        return 0;
    program->defaults =
        calloc((size_t)DEFAULT_KINDS * policy->option_count, sizeof *program->defaults);
    if (program->defaults == NULL)
        return -1;
    defaults_take(policy, &program->active, families, program->defaults);
    return 0;
}

static int take_program_rules(struct target_program *program, const struct policy *policy,
                              const struct identity *identity)
{
    uint32_t *rules = malloc((policy->rule_count + 1) * sizeof *rules);
    if (rules == NULL)
        return -1;
    program->active.rules = rules;
    program->active.count = active_rules(policy, identity, rules);
    for (uint32_t i = 0; i < program->active.count; i++) {
        const struct policy_rule *rule = &policy->rules[rules[i]];
        program->phases |= rule->phases;
        program->families |= rule->families;
        program->roles |= rule->roles;
    }
    program->falls_back = fallback_concerns(policy, &program->active);
    rule_warnings_print(policy, &program->active);
    program->reporter = reporter_of(program->name, &program->active, &program->reports);
    return take_program_defaults(program, policy);
}

/* The rules for the program that process `pid` runs. NULL with errno. */
static struct target_program *make_program(const struct target_context *context, pid_t pid,
                                           const uint8_t random[RANDOM_BYTES], uint32_t uid)
{
    struct target_program *program = calloc(1, sizeof *program);
    struct process process = {.argv = NULL};
    int failed = program == NULL ? -1 : process_identify(pid, &process);
    if (failed == 0) {
        struct identity identity = process_identity(&process);
        identity.uid = uid;
        memcpy(program->random, random, RANDOM_BYTES);
        snprintf(program->name, sizeof program->name, "%.63s", process_program_name(&process));
        failed = take_program_rules(program, context->policy, &identity);
    }
    if (program != NULL)
        process_free(&process);
    if (failed != 0 && program != NULL) {
        free_program(program);
        program = NULL;
    }
    return program;
}

static void evict_programs(void)
{
    struct target_program *program, *next;
    unsigned excess = HASH_COUNT(table.programs);
    HASH_ITER(hh, table.programs, program, next)
    {
        if (excess-- <= PROGRAMS_MAX)
            break;
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        if (program->references == 0) {
            HASH_DEL(table.programs, program); /* NOLINT(clang-analyzer-unix.Malloc) */
            free_program(program);
        }
    }
}

/* The program with these random bytes, with one more reference; NULL if it is not known. */
static struct target_program *hold_program(const uint8_t random[RANDOM_BYTES])
{
    struct target_program *program;
    pthread_mutex_lock(&table.lock);
    HASH_FIND(hh, table.programs, random, RANDOM_BYTES, program);
    if (program != NULL) {
        program->references++;
        HASH_DEL(table.programs, program);
        HASH_ADD(hh, table.programs, random, RANDOM_BYTES, program);
    }
    pthread_mutex_unlock(&table.lock);
    return program;
}

/* As hold_program(), but makes what is not known. NULL with errno. */
static struct target_program *hold_or_make_program(const struct target_context *context, pid_t pid,
                                                   const uint8_t random[RANDOM_BYTES], uint32_t uid)
{
    struct target_program *program = hold_program(random), *made;
    if (program != NULL)
        return program;
    made = make_program(context, pid, random, uid);
    if (made == NULL)
        return NULL;
    pthread_mutex_lock(&table.lock);
    HASH_FIND(hh, table.programs, random, RANDOM_BYTES, program);
    if (program == NULL) {
        evict_programs();
        program = made;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was evicted left the table */
        HASH_ADD(hh, table.programs, random, RANDOM_BYTES, program);
        made = NULL;
    }
    program->references++;
    pthread_mutex_unlock(&table.lock);
    if (made != NULL)
        free_program(made);
    return program;
}

/* Threads */

/* Free a thread that is in no table and that no worker uses. With the lock held. */
static void free_thread(struct target *thread)
{
    close(thread->pidfd);
    thread->program->references--;
    free(thread);
}

/* Half of the descriptors that this process may have, for each call takes others. */
static unsigned threads_max(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur / 2 > THREADS_MAX)
        return THREADS_MAX;
    return (unsigned)files.rlim_cur / 2;
}

/* Forget threads that nobody uses, oldest first, until `most` are left. With the lock held. */
static void evict_threads(unsigned most)
{
    struct target *thread, *next;
    HASH_ITER(hh, table.threads, thread, next)
    {
        if (HASH_COUNT(table.threads) <= most) /* NOLINT(clang-analyzer-unix.Malloc) */
            break;
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        if (thread->references == 0) {       /* NOLINT(clang-analyzer-unix.Malloc) */
            HASH_DEL(table.threads, thread); /* NOLINT(clang-analyzer-unix.Malloc) */
            free_thread(thread);
        }
    }
}

static void release_idle_descriptors(void)
{
    pthread_mutex_lock(&table.lock);
    evict_threads(0);
    pthread_mutex_unlock(&table.lock);
}

static struct target *hold_thread(pid_t tid)
{
    struct target *thread;
    pthread_mutex_lock(&table.lock);
    HASH_FIND(hh, table.threads, &tid, sizeof tid, thread);
    if (thread != NULL) {
        thread->references++;
        HASH_DEL(table.threads, thread);
        HASH_ADD(hh, table.threads, tid, sizeof tid, thread);
    }
    pthread_mutex_unlock(&table.lock);
    return thread;
}

/* Put a thread in place of one that had its number; that one is freed by its last user. */
static void add_thread(struct target *thread)
{
    static unsigned most;
    struct target *former;
    pthread_mutex_lock(&table.lock);
    if (most == 0)
        most = threads_max();
    HASH_FIND(hh, table.threads, &thread->tid, sizeof thread->tid, former);
    if (former != NULL) {
        HASH_DEL(table.threads, former);
        if (former->references == 0)
            free_thread(former);
    }
    evict_threads(most - 1);
    HASH_ADD(hh, table.threads, tid, sizeof thread->tid, thread);
    pthread_mutex_unlock(&table.lock);
}

void target_release(struct target *target)
{
    struct target *listed;
    pthread_mutex_lock(&table.lock);
    HASH_FIND(hh, table.threads, &target->tid, sizeof target->tid, listed);
    if (--target->references == 0 && listed != target)
        free_thread(target);
    pthread_mutex_unlock(&table.lock);
}

/* Before Linux 6.9 a pidfd is of a process: descriptors are then those of its first thread. */
static int open_thread_pidfd(pid_t tid, pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
    return fd < 0 && errno == EINVAL ? (int)syscall(SYS_pidfd_open, pid, 0) : fd;
}

static bool is_descriptor_shortage(int error)
{
    return error == EMFILE || error == ENFILE;
}

static int open_pidfd(pid_t tid, pid_t pid)
{
    int fd = open_thread_pidfd(tid, pid);
    if (fd < 0 && is_descriptor_shortage(errno)) {
        release_idle_descriptors();
        fd = open_thread_pidfd(tid, pid);
    }
    return fd;
}

/* Memory of another process, as process_vm_readv() wants it named. */
static struct iovec at_target(uint64_t address, size_t size)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): no pointer of ours */
    return (struct iovec){(void *)(uintptr_t)address, size};
}

static enum target_result target_failure(int error)
{
    errno = error;
    return error == ESRCH || error == ENOENT ? TARGET_GONE : TARGET_REFUSED;
}

/* The random bytes of the program that a thread runs. Returns 0, or -1 with errno. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the kernel writes to it */
static int read_random(pid_t tid, struct start_facts *start, uint8_t random[RANDOM_BYTES])
{
    struct iovec local = {random, RANDOM_BYTES}, remote;
    if (read_start_facts(tid, start) != 0)
        return -1;
    if (start->random_at == 0) {
        errno = EPERM;
        return -1;
    }
    remote = at_target(start->random_at, RANDOM_BYTES);
    return process_vm_readv(tid, &local, 1, &remote, 1, 0) == (ssize_t)RANDOM_BYTES ? 0 : -1;
}

/* Identify the thread that has this number now, and add it. */
static enum target_result identify_thread(const struct target_context *context, pid_t tid,
                                          struct target **target)
{
    uint8_t random[RANDOM_BYTES];
    struct start_facts start;
    pid_t pid = process_of(tid);
    int error, pidfd = pid == 0 ? -1 : open_pidfd(tid, pid);
    struct target *thread = NULL;
    if (pid == 0)
        return TARGET_GONE;
    if (pidfd < 0)
        return target_failure(errno);
    if (read_random(tid, &start, random) == 0)
        thread = calloc(1, sizeof *thread);
    if (thread != NULL) {
        *thread = (struct target){.tid = tid,
                                  .pid = pid,
                                  .pidfd = pidfd,
                                  .random_at = start.random_at,
                                  .references = 1,
                                  .program = hold_or_make_program(context, pid, random, start.uid)};
        if (thread->program != NULL) {
            add_thread(thread);
            *target = thread;
            return TARGET_FOUND;
        }
    }
    error = errno;
    free(thread);
    close(pidfd);
    return target_failure(error);
}

/* Read on condition that the thread still runs the program that is known. */
static bool read_known(const struct target *target, uint64_t address, void *buffer, size_t size,
                       size_t *got)
{
    uint8_t random[RANDOM_BYTES];
    const struct iovec local[] = {{random, sizeof random}, {buffer, size}};
    const struct iovec remote[] = {at_target(target->random_at, sizeof random),
                                   at_target(address, size)};
    unsigned long count = size != 0 ? 2 : 1;
    ssize_t length = process_vm_readv(target->tid, local, count, remote, count, 0);
    if (length < (ssize_t)sizeof random ||
        memcmp(random, target->program->random, sizeof random) != 0)
        return false;
    *got = (size_t)length - sizeof random;
    return true;
}

static bool is_alive(const struct target *target)
{
    return syscall(SYS_pidfd_send_signal, target->pidfd, 0, NULL, 0) == 0 || errno == EPERM;
}

enum target_result target_find(const struct target_context *context, pid_t tid, uint64_t address,
                               void *buffer, size_t size, size_t *got, struct target **target)
{
    struct target *known = hold_thread(tid);
    enum target_result result;
    *got = 0;
    *target = known;
    if (known != NULL && read_known(known, address, buffer, size, got) && is_alive(known))
        return TARGET_FOUND;
    if (known != NULL)
        target_release(known);
    for (int i = 0; i < TRIES; i++) {
        result = identify_thread(context, tid, target);
        if (result != TARGET_FOUND)
            return result;
        if (read_known(*target, address, buffer, size, got))
            return TARGET_FOUND;
        target_release(*target);
    }
    return TARGET_GONE;
}

void targets_forget(void)
{
    pthread_mutex_init(&table.lock, NULL);
    table.threads = NULL;
    table.programs = NULL;
}

int target_duplicate(const struct target *target, int fd)
{
    int copy = (int)syscall(SYS_pidfd_getfd, target->pidfd, fd, 0);
    if (copy < 0 && is_descriptor_shortage(errno)) {
        release_idle_descriptors();
        copy = (int)syscall(SYS_pidfd_getfd, target->pidfd, fd, 0);
    }
    return copy;
}

bool target_warns_first(struct target_program *program, enum target_warning warning)
{
    unsigned bit = warning;
    return (__atomic_fetch_or(&program->warned, bit, __ATOMIC_RELAXED) & bit) == 0;
}

struct default_value *target_kernel_defaults(const struct policy *policy)
{
    const struct active none = {NULL, 0};
    struct default_value *defaults =
        calloc((size_t)DEFAULT_KINDS * policy->option_count + 1, sizeof *defaults);
    if (defaults != NULL)
        defaults_take(policy, &none, FAMILY_ALL, defaults);
    return defaults;
}
