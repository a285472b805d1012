/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. The rules are at a path X: a rule file, a directory, or a compiled policy.
 * Policies of X are stored at the places of policy_place.h. If one is fresh (policy_fresh.h), it is
 * used; most starts do no more.
 *
 * Without a fresh policy, the compiler runs outside this process, under a lock on X. So one
 * compiler at a time runs for a path, and a process that waited for the lock finds the policy that
 * the other one stored. A compiler that finds an error stores the last good rules together with the
 * error, under the stamps of the broken files; so the next start finds a fresh policy and compiles
 * nothing. If the compiler cannot run (a privileged program, a seccomp filter, unreadable rules, no
 * disk space), the last good policy is used although it is stale.
 *
 * A policy is trusted only if its owner is root, this process's user or the owner of X, and if
 * nobody else may write it: in a directory where everybody may create files, anybody could have put
 * it there.
 */
#include "load.h"

#include "bytes.h"
#include "compile_lock.h"
#include "confined.h"
#include "kernel.h"
#include "policy_fresh.h"
#include "policy_place.h"
#include "policy_reader.h"
#include "spawn.h"
#include "text.h"
#include "trace.h"

#include <errno.h>
#include <linux/limits.h>

#define DEFAULT_DIRECTORY "/etc/socktune.d"
#define DEFAULT_FILE      "/etc/socktune.conf"

/* One attempt at loading. */
struct attempt {
    const struct settings *settings;
    const char *path;         /* of the rules */
    const struct statx *root; /* status of `path` */
    struct own_executable *executable;
    struct policy *policy; /* out */
    void **extra;          /* out */
};

enum found { FOUND_NOTHING, FOUND_STALE, FOUND_FRESH };

/* Under AT_SECURE the caller must not choose the rules, so even files of the own user are not
 * trusted. */
static bool is_trusted_policy(const struct attempt *attempt, const struct statx *file)
{
    const struct settings *settings = attempt->settings;
    return (file->stx_mode & S_IFMT) == S_IFREG && (file->stx_mode & (S_IWGRP | S_IWOTH)) == 0 &&
           (file->stx_uid == 0 || file->stx_uid == attempt->root->stx_uid ||
            (!settings->secure && file->stx_uid == settings->owner.uid));
}

/* Reads from the open file what is for this program. */
static enum found read_policy_file(const struct attempt *attempt, int fd, uint64_t size)
{
    struct policy_reader reader;
    if (!policy_reader_start(&reader, fd, size) || policy_reader_check(&reader) != NULL)
        return FOUND_NOTHING;
    enum found found = policy_is_fresh(&reader.front, attempt->root) ? FOUND_FRESH : FOUND_STALE;
    if (policy_reader_take(&reader, attempt->executable, attempt->policy, attempt->extra) != NULL)
        found = FOUND_NOTHING;
    policy_reader_end(&reader);
    return found;
}

/* Reads the policy at `name`, if it is trusted and valid. */
static enum found read_kept(const struct attempt *attempt, const char *name)
{
    struct statx file;
    enum found found = FOUND_NOTHING;
    int fd = kernel_open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return FOUND_NOTHING;
    if (kernel_statx(fd, "", AT_EMPTY_PATH, &file) == 0 && is_trusted_policy(attempt, &file))
        found = read_policy_file(attempt, fd, file.stx_size);
    kernel_close(fd);
    return found;
}

/* The path of the rules without slashes at its end, as used in the names of stored policies. */
static bool trim_rules_path(struct text *rules, const char *path)
{
    text_put(rules, path);
    while (rules->length > 1 && rules->bytes[rules->length - 1] == '/')
        rules->bytes[--rules->length] = 0;
    return rules->length + 1 < rules->size;
}

/* Looks at all places for a fresh policy. Keeps the first stale one as a fallback. */
static enum found find_kept(const struct attempt *attempt)
{
    char rules_bytes[PATH_MAX];
    struct text rules = TEXT(rules_bytes);
    struct policy stale = {.blob = NULL};
    void *stale_extra = NULL;
    bool has_stale = false;
    if (!trim_rules_path(&rules, attempt->path) || text_ends(rules_bytes, POLICY_SUFFIX))
        return FOUND_NOTHING;
    const enum policy_place end = attempt->settings->secure ? PLACE_USER : PLACE_COUNT;
    for (enum policy_place place = PLACE_BESIDE; place < end; place++) {
        char bytes[PATH_MAX];
        struct text name = TEXT(bytes);
        if (!policy_place_path(&name, place, &attempt->settings->owner, rules_bytes))
            continue;
        enum found found = read_kept(attempt, bytes);
        if (found == FOUND_FRESH) {
            policy_release(&stale);
            return FOUND_FRESH;
        }
        if (found == FOUND_STALE && !has_stale) {
            has_stale = true;
            stale = *attempt->policy;
            stale_extra = *attempt->extra;
        } else if (found == FOUND_STALE) {
            policy_release(attempt->policy);
        }
    }
    if (!has_stale)
        return FOUND_NOTHING;
    *attempt->policy = stale;
    *attempt->extra = stale_extra;
    return FOUND_STALE;
}

static enum load_result leave_untuned(const struct settings *settings, const char *what,
                                      const char *why)
{
    trace_untuned(what, why, settings->strict);
    return LOAD_FAILED;
}

static const char *take_policy(const struct attempt *attempt, struct policy_reader *reader)
{
    const char *wrong = policy_reader_check(reader);
    if (wrong != NULL)
        return wrong;
    wrong = policy_reader_take(reader, attempt->executable, attempt->policy, attempt->extra);
    policy_reader_end(reader);
    return wrong;
}

/* Loads the rules' path itself if it is a compiled policy. LOAD_NONE: it is a text, or cannot be
 * read. */
static enum load_result load_itself(const struct attempt *attempt)
{
    struct policy_reader reader;
    enum load_result result = LOAD_NONE;
    int fd = kernel_open(attempt->path, O_RDONLY | O_NONBLOCK);
    if (fd < 0)
        return LOAD_NONE;
    if (policy_reader_start(&reader, fd, attempt->root->stx_size)) {
        const char *wrong = take_policy(attempt, &reader);
        result = wrong == NULL ? LOAD_OK : leave_untuned(attempt->settings, attempt->path, wrong);
    }
    kernel_close(fd);
    return result;
}

/* Runs the compiler. Returns NULL, or why there is no policy; "" if the compiler has printed the
 * reason. */
static const char *take_compiled(const struct attempt *attempt)
{
    struct spawned spawned = spawn_compiler(attempt->path, attempt->settings);
    if (spawned.fd < 0)
        return spawned.why != NULL ? spawned.why : "";
    struct statx file;
    struct policy_reader reader;
    const char *wrong = "the compiler's answer cannot be read";
    if (kernel_statx(spawned.fd, "", AT_EMPTY_PATH, &file) == 0 &&
        policy_reader_start(&reader, spawned.fd, file.stx_size))
        wrong = take_policy(attempt, &reader);
    kernel_close(spawned.fd);
    return wrong;
}

/* Returns why this process cannot compile the rules at all, or NULL. */
static const char *why_no_compiler(const struct attempt *attempt)
{
    if (attempt->settings->secure)
        return "no fresh policy, and a privileged program runs no compiler";
    if (confined_at_start())
        return "no fresh policy, and a seccomp filter forbids to run the compiler";
    return NULL;
}

/* No stored policy is fresh: compile the rules, or use the last good policy. */
static enum load_result load_compiled(const struct attempt *attempt, enum found found)
{
    const struct policy stale = *attempt->policy;
    void *const stale_extra = *attempt->extra;
    const char *why = why_no_compiler(attempt);
    int lock = -1;
    if (why == NULL)
        why = compile_lock(attempt->path, attempt->settings->owner.uid, &lock);
    if (why == NULL) {
        /* Another process may have compiled them meanwhile. */
        enum found again = find_kept(attempt);
        if (again == FOUND_STALE)
            policy_release(attempt->policy);
        why = again == FOUND_FRESH ? NULL : take_compiled(attempt);
    }
    compile_unlock(lock);
    if (why == NULL) {
        if (found == FOUND_STALE)
            policy_release(&stale);
        bool broken = attempt->policy->failure[0] != 0;
        return broken && attempt->settings->strict ? LOAD_FAILED : LOAD_OK;
    }
    if (found == FOUND_STALE && !attempt->settings->strict) {
        *attempt->policy = stale;
        *attempt->extra = stale_extra;
        return LOAD_OK;
    }
    return why[0] != 0 ? leave_untuned(attempt->settings, attempt->path, why) : LOAD_FAILED;
}

/* The rules could not be compiled. The compiler printed the error when it tried; it is printed
 * again for users who named the rules themselves or set SOCKTUNE_STRICT. */
static enum load_result check_failure(const struct settings *settings, const struct policy *policy)
{
    const char *failure = policy->failure;
    if (failure[0] == 0)
        return LOAD_OK;
    bool named = settings->rules != NULL;
    if (settings->strict || (named && policy->rule_total == 0))
        return leave_untuned(settings, NULL, failure);
    return LOAD_OK;
}

static enum load_result load_path(const struct attempt *attempt)
{
    unsigned type = attempt->root->stx_mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR)
        return leave_untuned(attempt->settings, attempt->path,
                             "neither a rule file nor a directory");
    enum found found = find_kept(attempt);
    if (found == FOUND_FRESH)
        return check_failure(attempt->settings, attempt->policy);
    if (type == S_IFREG) {
        enum load_result result = load_itself(attempt);
        if (result != LOAD_NONE)
            return result;
    }
    return load_compiled(attempt, found);
}

/* It is no error that there are no rules, unless SOCKTUNE_STRICT is set. */
static enum load_result no_rules(const struct settings *settings)
{
    if (settings->strict)
        trace_untuned(NULL,
                      "no rules: SOCKTUNE_RULES is not set, and there is neither " DEFAULT_DIRECTORY
                      " nor " DEFAULT_FILE,
                      true);
    return LOAD_NONE;
}

enum load_result load_policy(const struct settings *settings, struct own_executable *executable,
                             struct policy *policy, void **extra, struct rules_place *place)
{
    static const char *const defaults[] = {DEFAULT_DIRECTORY, DEFAULT_FILE};
    struct statx root;
    struct attempt attempt = {settings, NULL, &root, executable, policy, extra};
    bool named = settings->rules != NULL && settings->rules[0] != 0;
    for (size_t i = 0; i < (named ? 1 : sizeof defaults / sizeof defaults[0]); i++) {
        attempt.path = place->path = named ? settings->rules : defaults[i];
        if (kernel_statx(AT_FDCWD, attempt.path, 0, &root) == 0) {
            place->device = statx_device(&root);
            place->inode = root.stx_ino;
            return load_path(&attempt);
        }
        if (named || (settings->strict && errno != ENOENT && errno != ENOTDIR))
            return leave_untuned(settings, attempt.path,
                                 errno == ENOENT ? "no such file or directory" : "cannot be read");
    }
    return no_rules(settings);
}
