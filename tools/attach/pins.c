/* SPDX-License-Identifier: MIT */
/*
 * Attachments that outlive the command: a directory of pins for each cgroup, with one pin per link,
 * and pins of the maps of sockets and reports; the next attachment takes over the map of sockets.
 *
 * The program of a link is replaced atomically, so a hook never lacks a program.
 */
#include "attachment.h"

#include "attach_lock.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { PIN_PATH_SIZE = PATH_MAX + 32 };

/* Names there may not contain a dot. The number distinguishes paths that become equal by its
 * replacement. */
void attach_pin_directory(const struct attach_cgroup *cgroup, char directory[PATH_MAX])
{
    char name[128] = "root";
    size_t length = 0;
    for (const char *c = cgroup->path + 1; *c != '\0' && length < sizeof name - 1; c++)
        name[length++] = isalnum((unsigned char)*c) || *c == '-' ? *c : '_';
    if (length > 0)
        name[length] = '\0';
    snprintf(directory, PATH_MAX, "%s/%s-%llu", ATTACH_PIN_ROOT, name,
             (unsigned long long)cgroup->id);
}

static void pin_path(const struct attach_cgroup *cgroup, const char *name, char path[PIN_PATH_SIZE])
{
    char directory[PATH_MAX];
    attach_pin_directory(cgroup, directory);
    snprintf(path, PIN_PATH_SIZE, "%s/%s", directory, name);
}

/* The pinned maps. */
static const char *const pinned_maps[] = {"sockets", "reports", "channel"};
enum { PINNED_MAPS = sizeof pinned_maps / sizeof *pinned_maps };

static int open_pin(const char *directory, const char *name)
{
    char path[PIN_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return bpf_obj_get(path);
}

/* Removes the maps' pins, and notifies the helper that the attachment has ended. */
static void unpin_maps(const char *directory)
{
    char path[PIN_PATH_SIZE];
    int channel = open_pin(directory, "channel");
    channel_close_fd(channel);
    if (channel >= 0)
        close(channel);
    for (unsigned i = 0; i < PINNED_MAPS; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, pinned_maps[i]);
        unlink(path);
    }
}

static void unpin_all(const char *directory)
{
    char path[PIN_PATH_SIZE];
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, attach_hooks[i].name);
        unlink(path);
    }
    unpin_maps(directory);
    rmdir(directory);
}

bool attach_has_pins(const char *directory)
{
    char path[PIN_PATH_SIZE];
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, attach_hooks[i].name);
        if (access(path, F_OK) == 0)
            return true;
    }
    return false;
}

bool link_is_stale(int link)
{
    struct bpf_link_info info = {0};
    uint32_t size = sizeof info;
    return bpf_obj_get_info_by_fd(link, &info, &size) == 0 && info.cgroup.cgroup_id == 0;
}

static bool has_stale_pins(const char *directory)
{
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++) {
        int link = open_pin(directory, attach_hooks[i].name);
        if (link < 0)
            continue;
        bool stale = link_is_stale(link);
        close(link);
        return stale;
    }
    return false;
}

/* Calls `visit` for the directory of each pinned attachment. */
static void each_pinned(void (*visit)(const char *directory, void *context), void *context)
{
    DIR *root = opendir(ATTACH_PIN_ROOT);
    const struct dirent *entry;
    char directory[PATH_MAX];
    while (root != NULL && (entry = readdir(root)) != NULL) {
        snprintf(directory, sizeof directory, "%s/%s", ATTACH_PIN_ROOT, entry->d_name);
        if (entry->d_name[0] != '.')
            visit(directory, context);
    }
    if (root != NULL)
        closedir(root);
}

/* Removes the pins if their cgroup no longer exists. */
static void remove_if_stale(const char *directory, void *context)
{
    unsigned *removed = context;
    if (!has_stale_pins(directory))
        return;
    unpin_all(directory);
    (*removed)++;
}

unsigned attach_remove_stale(void)
{
    unsigned removed = 0;
    each_pinned(remove_if_stale, &removed);
    rmdir(ATTACH_PIN_ROOT); /* succeeds only if nothing is pinned any more */
    return removed;
}

int pins_prepare(const struct attach_cgroup *cgroup, struct attach_error *error)
{
    struct statfs system;
    char directory[PATH_MAX];
    if (statfs("/sys/fs/bpf", &system) != 0 || (unsigned long)system.f_type != BPF_FS_MAGIC)
        return attach_fail(error, "--pin needs the BPF file system at /sys/fs/bpf: "
                                  "mount -t bpf bpf /sys/fs/bpf");
    attach_remove_stale();
    attach_pin_directory(cgroup, directory);
    if ((mkdir(ATTACH_PIN_ROOT, 0700) != 0 && errno != EEXIST) ||
        (mkdir(directory, 0700) != 0 && errno != EEXIST))
        return attach_fail(error, "%s: %s", directory, strerror(errno));
    return 0;
}

static uint32_t program_of(const struct bpf_link *link)
{
    struct bpf_link_info info = {0};
    uint32_t size = sizeof info;
    return bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size) == 0 ? info.prog_id : 0;
}

/* Replaces the program of a hook's pinned link, or creates and pins a link. */
static int replace_one(struct attachment *attachment, const struct attach_request *request,
                       unsigned hook, uint32_t *former, struct attach_error *error)
{
    struct bpf_program *program = object_program(attachment->object, attach_hooks[hook].program);
    char path[PIN_PATH_SIZE];
    pin_path(request->cgroup, attach_hooks[hook].name, path);
    struct bpf_link *link = bpf_link__open(path);
    if (link != NULL) {
        *former = program_of(link);
        attachment->links[hook] = link;
        return bpf_link__update_program(link, program) == 0
                   ? 0
                   : attach_fail(error, "cannot replace the program of %s: %s", path,
                                 strerror(errno));
    }
    link = bpf_program__attach_cgroup(program, attachment->cgroup);
    if (link == NULL)
        return attach_fail(error, "cannot attach to the cgroup %s: %s", request->cgroup->path,
                           errno == EPERM ? "another BPF program lets none be attached beside it"
                                          : strerror(errno));
    attachment->links[hook] = link;
    if (bpf_link__pin(link, path) != 0)
        return attach_fail(error, "%s: %s", path, strerror(errno));
    return 0;
}

static void put_back(struct attachment *attachment, unsigned hook, uint32_t former)
{
    struct bpf_link *link = attachment->links[hook];
    if (link == NULL)
        return;
    if (former == 0) {
        bpf_link__unpin(link);
        return;
    }
    int fd = bpf_prog_get_fd_by_id(former);
    if (fd >= 0) {
        bpf_link_update(bpf_link__fd(link), fd, NULL);
        close(fd);
    }
}

static void unpin_link(const struct attach_cgroup *cgroup, const char *name)
{
    char path[PIN_PATH_SIZE];
    pin_path(cgroup, name, path);
    unlink(path);
}

static bool needs_hook(const struct attach_request *request, unsigned hook)
{
    return *(const bool *)((const char *)&request->tables->needs + attach_hooks[hook].need);
}

static void pin_maps(const struct attachment *attachment, const struct attach_cgroup *cgroup)
{
    char directory[PATH_MAX], path[PIN_PATH_SIZE];
    attach_pin_directory(cgroup, directory);
    unpin_maps(directory);
    for (unsigned i = 0; i < PINNED_MAPS; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, pinned_maps[i]);
        if (i == 0 || attachment->channel != NULL)
            bpf_obj_pin(object_map(attachment->object, pinned_maps[i]), path);
    }
}

int pins_replace(struct attachment *attachment, const struct attach_request *request,
                 struct attach_error *error)
{
    uint32_t former[ATTACH_PROGRAMS_MAX] = {0};
    int failed = 0;
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX && failed == 0; i++)
        if (needs_hook(request, i))
            failed = replace_one(attachment, request, i, &former[i], error);
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++) {
        if (failed != 0)
            put_back(attachment, i, former[i]);
        else if (!needs_hook(request, i))
            unpin_link(request->cgroup, attach_hooks[i].name);
    }
    if (failed == 0)
        pin_maps(attachment, request->cgroup);
    return failed;
}

static int remove_pins(const char *directory, struct attach_error *error)
{
    unpin_all(directory);
    rmdir(ATTACH_PIN_ROOT); /* succeeds only for the last attachment */
    return access(directory, F_OK) != 0 ? 0
                                        : attach_fail(error, "%s: %s", directory, strerror(errno));
}

int attach_detach(const struct attach_cgroup *cgroup, struct attach_error *error)
{
    char directory[PATH_MAX];
    struct stat status;
    attach_pin_directory(cgroup, directory);
    if (stat(directory, &status) != 0)
        return errno == ENOENT ? 1 : attach_fail(error, "%s: %s", directory, strerror(errno));
    int lock = attach_lock(cgroup, error);
    if (lock < 0)
        return -1;
    int failed = remove_pins(directory, error);
    attach_unlock(lock);
    return failed;
}

/* Reports */

struct passing {
    int passed, failed;
};

static void pass_reports(const char *directory, void *context)
{
    struct passing *passing = context;
    int reports = open_pin(directory, "reports"), channel = open_pin(directory, "channel");
    if (reports >= 0 && channel >= 0) {
        bool passed = channel_pass(reports, channel, true);
        passing->passed += passed;
        passing->failed += !passed;
    }
    if (reports >= 0)
        close(reports);
    if (channel >= 0)
        close(channel);
}

int attach_pass_pinned(struct attach_error *error)
{
    struct passing passing = {0, 0};
    if (access(ATTACH_PIN_ROOT, R_OK) != 0 && errno != ENOENT)
        return attach_fail(error, "%s: %s", ATTACH_PIN_ROOT, strerror(errno));
    each_pinned(pass_reports, &passing);
    return passing.failed == 0
               ? passing.passed
               : attach_fail(error, "there is no helper that takes what %d attachment%s report%s",
                             passing.failed, passing.failed == 1 ? "" : "s",
                             passing.failed == 1 ? "s" : "");
}
