/* SPDX-License-Identifier: MIT */
/*
 * The lock is a file that only its owner can open: a process that could open it could hold the lock
 * for ever. The directory of the cgroup is no such file, because every user can open it; it is used
 * by commands that run with capabilities, but not as root. The file is removed when the lock is
 * released, so a process that got the lock has to check that its file is still there.
 */
#include "attach_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_FILE "/run/socktune-attach.lock"

enum { TRIES_MAX = 600, TRY_MS = 50 };

/* False if the file was removed while this process waited for the lock. */
static bool is_current(int lock, const char *path)
{
    struct stat locked, now;
    return fstat(lock, &locked) == 0 && stat(path, &now) == 0 && locked.st_ino == now.st_ino &&
           locked.st_dev == now.st_dev;
}

/* Returns the lock; -1 with errno, EWOULDBLOCK if another process has it. */
static int try_lock(const char *directory)
{
    const char *path = LOCK_FILE;
    int lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (lock < 0 && (errno == EACCES || errno == EROFS || errno == ENOENT))
        lock = open(path = directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return -1;
    int failed = 0;
    if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        failed = errno;
    else if (!is_current(lock, path))
        failed = EWOULDBLOCK;
    if (failed == 0)
        return lock;
    close(lock);
    errno = failed;
    return -1;
}

int attach_lock(const struct attach_cgroup *cgroup, struct attach_error *error)
{
    const struct timespec pause = {0, TRY_MS * 1000000L};
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        int lock = try_lock(cgroup->directory);
        if (lock >= 0)
            return lock;
        if (errno != EWOULDBLOCK)
            return attach_fail(error, "cannot lock the cgroup %s: %s", cgroup->path,
                               strerror(errno));
        nanosleep(&pause, NULL);
    }
    return attach_fail(error,
                       "another process holds the lock of the cgroup %s and does not end: see "
                       "lslocks",
                       cgroup->path);
}

void attach_unlock(int lock)
{
    unlink(LOCK_FILE);
    close(lock);
}
