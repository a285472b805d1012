/* SPDX-License-Identifier: MIT */
#include "policy_fresh.h"

#include "bytes.h"
#include "kernel.h"

#include <errno.h>
#include <linux/limits.h>

#define READ_BYTES 4096

static bool is_directory(const struct statx *file)
{
    return (file->stx_mode & S_IFMT) == S_IFDIR;
}

static bool same_stamp(const struct policy_source *source, const struct statx *now)
{
    return (source->kind == SOURCE_DIRECTORY || source->size == now->stx_size) &&
           source->inode == now->stx_ino && source->mtime_sec == now->stx_mtime.tv_sec &&
           source->mtime_nsec == now->stx_mtime.tv_nsec &&
           source->ctime_sec == now->stx_ctime.tv_sec &&
           source->ctime_nsec == now->stx_ctime.tv_nsec;
}

static uint64_t hash_file(int fd)
{
    uint64_t hash = BYTES_HASH_BEGIN;
    char bytes[READ_BYTES];
    long got;
    while ((got = kernel_call(SYS_read, fd, bytes, sizeof bytes)) > 0)
        hash = bytes_hash(hash, bytes, (size_t)got);
    return hash;
}

/* The layout of getdents64(2). */
struct entry64 {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

static uint64_t hash_directory(int fd)
{
    uint64_t hash = 0;
    char bytes[READ_BYTES] __attribute__((aligned(8)));
    long got;
    while ((got = kernel_call(SYS_getdents64, fd, bytes, sizeof bytes)) > 0)
        for (long at = 0; at < got;) {
            const struct entry64 *entry = (const void *)(bytes + at);
            hash += policy_name_hash(entry->name);
            at += entry->length;
        }
    return hash;
}

/* 0: `path` is no link. */
static uint64_t hash_link(const char *path)
{
    char target[PATH_MAX];
    long length = kernel_call(SYS_readlinkat, AT_FDCWD, path, target, sizeof target);
    return length > 0 ? bytes_hash(BYTES_HASH_BEGIN, target, (size_t)length) : 0;
}

static bool same_content(const struct policy_source *source, const char *path)
{
    if (source->kind == SOURCE_LINK)
        return source->hash != 0 && source->hash == hash_link(path);
    int fd = kernel_open(path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return false;
    uint64_t hash = source->kind == SOURCE_DIRECTORY ? hash_directory(fd) : hash_file(fd);
    kernel_close(fd);
    return hash == source->hash;
}

static bool is_same(const struct policy_source *source, const char *path, const struct statx *now)
{
    if (source->kind != SOURCE_LINK && is_directory(now) != (source->kind == SOURCE_DIRECTORY))
        return false;
    return same_stamp(source, now) ||
           ((source->kind != SOURCE_FILE || source->size == now->stx_size) &&
            same_content(source, path));
}

bool policy_is_fresh(const struct policy *policy, const struct statx *root)
{
    const struct policy_source *source = policy->sources;
    if (policy->source_count == 0 || !is_same(source, policy_string(policy, source->path), root))
        return false;
    for (uint32_t i = 1; i < policy->source_count; i++) {
        struct statx now;
        const char *path = policy_string(policy, source[i].path);
        /* Do not follow a link: it may lead to a file system that does not answer. */
        int flags = source[i].kind == SOURCE_LINK ? AT_SYMLINK_NOFOLLOW : 0;
        if (kernel_statx(AT_FDCWD, path, flags, &now) == 0) {
            if (!is_same(&source[i], path, &now))
                return false;
        } else if (errno != EACCES && (errno != ENOENT || source[i].inode != 0)) {
            return false;
        }
    }
    return true;
}
