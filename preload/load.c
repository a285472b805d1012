/* SPDX-License-Identifier: MIT */
/*
 * Loading a policy. The rules are at a path X: a rule file, a directory, or a compiled policy.
 * X.policy is taken if it is fresh, that is, if every file it was made from still has the stamp
 * that it had; otherwise the compiler runs outside this process and hands a policy over.
 *
 * A policy is read into private memory, never mapped from the file: the file may be cut short or
 * overwritten while the program runs.
 *
 * X.policy is believed only if it belongs to root, to this process's user or to the owner of X,
 * and nobody else may write it: in a directory where all may make files, it could be anyone's.
 */
#include "load.h"

#include "bytes.h"
#include "kernel.h"
#include "spawn.h"
#include "text.h"
#include "trace.h"

#include <errno.h>
#include <linux/limits.h>

#define DEFAULT_DIRECTORY "/etc/socktune.d"
#define DEFAULT_FILE      "/etc/socktune.conf"

/* How much room a caller gets behind a blob: 4 bytes for a rule of at least 72, 2 for an option of
 * 16. */
static size_t extra_of(size_t size)
{
    return size / 8 + 64;
}

/* At `offset`, so that it does not matter where the descriptor stands: a memfd of the compiler's
 * stands behind what it wrote. */
static long read_at(int fd, void *buffer, size_t size, size_t offset)
{
#if __SIZEOF_LONG__ == 8
    return kernel_call(SYS_pread64, fd, buffer, size, offset);
#else
    return kernel_call(SYS_pread64, fd, buffer, size, offset,
                       0L); /* two halves, little end first */
#endif
}

/* Read `size` bytes of `fd` into a new private mapping, or NULL. */
static void *read_blob(int fd, size_t size)
{
    uint8_t *blob = kernel_map(size + extra_of(size));
    size_t done = 0;
    while (blob != NULL && done < size) {
        long got = read_at(fd, blob + done, size - done, done);
        if (got <= 0)
            break; /* the checksum will tell */
        done += (size_t)got;
    }
    return blob;
}

static void unmap(const void *blob, size_t size)
{
    if (blob != NULL)
        kernel_call(SYS_munmap, blob, size + extra_of(size));
}

/* Read and check the policy in the open file. NULL, or what is wrong. */
static const char *read_policy(int fd, uint64_t size, struct policy *policy, void **extra)
{
    if (size > POLICY_SIZE_MAX)
        return "larger than a policy can be";
    void *blob = read_blob(fd, (size_t)size);
    if (blob == NULL)
        return "no memory";
    const char *wrong = policy_open(policy, blob, (size_t)size);
    if (wrong != NULL)
        unmap(blob, (size_t)size);
    else
        *extra = (uint8_t *)blob + size;
    return wrong;
}

static bool same_stamp(const struct policy_source *source, const struct statx *now)
{
    bool directory = (now->stx_mode & S_IFMT) == S_IFDIR;
    return source->directory == directory && (directory || source->size == now->stx_size) &&
           source->inode == now->stx_ino && source->mtime_sec == now->stx_mtime.tv_sec &&
           source->mtime_nsec == now->stx_mtime.tv_nsec &&
           source->ctime_sec == now->stx_ctime.tv_sec &&
           source->ctime_nsec == now->stx_ctime.tv_nsec;
}

/* The first source is the path that was compiled; `root` is its status, asked for by the name that
 * we know it by. */
static bool is_fresh(const struct policy *policy, const struct statx *root)
{
    if (policy->source_count == 0 || !same_stamp(&policy->sources[0], root))
        return false;
    for (uint32_t i = 1; i < policy->source_count; i++) {
        struct statx now;
        const char *path = policy_string(policy, policy->sources[i].path);
        if (kernel_statx(AT_FDCWD, path, 0, &now) != 0 || !same_stamp(&policy->sources[i], &now))
            return false;
    }
    return true;
}

static bool is_trusted(const struct settings *settings, const struct statx *file,
                       const struct statx *root)
{
    return (file->stx_mode & S_IFMT) == S_IFREG && (file->stx_mode & (S_IWGRP | S_IWOTH)) == 0 &&
           (file->stx_uid == 0 || file->stx_uid == settings->uid || file->stx_uid == root->stx_uid);
}

/* X.policy, if there is one, it is trusted, sound and fresh. */
static bool load_kept(const struct settings *settings, const char *path, const struct statx *root,
                      struct policy *policy, void **extra)
{
    char name[PATH_MAX];
    struct text text = TEXT(name);
    text_put(&text, path);
    while (text.length > 1 && text.bytes[text.length - 1] == '/')
        text.length--;
    text_put(&text, POLICY_SUFFIX);
    if (text.length + 1 == text.size)
        return false;
    int fd = kernel_open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return false;
    struct statx file;
    bool ok = kernel_statx(fd, "", AT_EMPTY_PATH, &file) == 0 &&
              is_trusted(settings, &file, root) &&
              read_policy(fd, file.stx_size, policy, extra) == NULL;
    kernel_close(fd);
    if (ok && !is_fresh(policy, root)) {
        unmap(policy->blob, policy->size);
        ok = false;
    }
    return ok;
}

static enum load_result fail(const char *what, const char *why)
{
    trace_untuned(what, why);
    return LOAD_FAILED;
}

/* The file itself, if it begins as a policy does. LOAD_NONE: it is a text. */
static enum load_result load_itself(const char *path, const struct statx *root,
                                    struct policy *policy, void **extra)
{
    int fd = kernel_open(path, O_RDONLY);
    if (fd < 0)
        return fail(path, errno == EACCES ? "may not be read" : "cannot be opened");
    char magic[sizeof POLICY_MAGIC - 1];
    enum load_result result = LOAD_NONE;
    if (read_at(fd, magic, sizeof magic, 0) == (long)sizeof magic &&
        bytes_equal(magic, POLICY_MAGIC, sizeof magic)) {
        const char *wrong = read_policy(fd, root->stx_size, policy, extra);
        result = wrong == NULL ? LOAD_OK : fail(path, wrong);
    }
    kernel_close(fd);
    return result;
}

/* Have the rules compiled outside. */
static enum load_result load_compiled(const struct settings *settings, const char *path,
                                      struct policy *policy, void **extra)
{
    if (settings->secure)
        return fail(path, "no fresh policy, and a privileged program runs no compiler");
    struct spawned spawned = spawn_compiler(path);
    if (spawned.fd < 0) {
        if (spawned.why != NULL)
            trace_untuned(path, spawned.why);
        return LOAD_FAILED;
    }
    struct statx file;
    const char *wrong = kernel_statx(spawned.fd, "", AT_EMPTY_PATH, &file) != 0
                            ? "the compiler's answer cannot be read"
                            : read_policy(spawned.fd, file.stx_size, policy, extra);
    kernel_close(spawned.fd);
    return wrong == NULL ? LOAD_OK : fail(path, wrong);
}

static enum load_result load_path(const struct settings *settings, const char *path,
                                  const struct statx *root, struct policy *policy, void **extra)
{
    unsigned type = root->stx_mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR)
        return fail(path, "neither a rule file nor a directory");
    if (!text_ends(path, POLICY_SUFFIX) && load_kept(settings, path, root, policy, extra))
        return LOAD_OK;
    if (type == S_IFREG) {
        enum load_result result = load_itself(path, root, policy, extra);
        if (result != LOAD_NONE)
            return result;
    }
    return load_compiled(settings, path, policy, extra);
}

enum load_result load_policy(const struct settings *settings, struct policy *policy, void **extra,
                             const char **rules)
{
    static const char *const defaults[] = {DEFAULT_DIRECTORY, DEFAULT_FILE};
    struct statx root;
    if (settings->rules != NULL && settings->rules[0] != 0) {
        *rules = settings->rules;
        if (kernel_statx(AT_FDCWD, *rules, 0, &root) != 0)
            return fail(*rules, errno == ENOENT ? "no such file or directory" : "cannot be read");
        return load_path(settings, *rules, &root, policy, extra);
    }
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        *rules = defaults[i];
        if (kernel_statx(AT_FDCWD, *rules, 0, &root) == 0)
            return load_path(settings, *rules, &root, policy, extra);
    }
    return LOAD_NONE;
}
