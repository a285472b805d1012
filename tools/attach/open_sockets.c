/* SPDX-License-Identifier: MIT */
/*
 * Tunes sockets that are open when rules are attached. The command writes the processes of the
 * cgroup into a map. One BPF iterator stores the process of each socket; a second one sets the
 * options of the sockets of a network namespace.
 */
#include "attachment.h"

#include "process.h"
#include "text.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMESPACES_MAX = 256 }; /* per cgroup; mostly one per container */

struct visit {
    const struct bpf_object *object;
    ino_t seen[NAMESPACES_MAX];     /* network namespaces, by inode */
    int namespaces[NAMESPACES_MAX]; /* descriptors */
    unsigned count;
};

static void copy_name(char to[ATTACH_NAME_SIZE], const char *path)
{
    const char *name = path != NULL ? text_basename(path) : "";
    memcpy(to, name, strnlen(name, ATTACH_NAME_SIZE - 1));
}

static void note_process(const struct visit *visit, int pid)
{
    struct process process;
    struct attach_identity identity = {.uid = 0};
    uint32_t key = (uint32_t)pid;
    if (process_identify(pid, &process) == 0 && process_is_program(&process)) {
        struct identity known = process_identity(&process);
        copy_name(identity.name, known.executable);
        copy_name(identity.name0, known.argv[0]);
        identity.uid = process.effective_uid;
        identity.gid = process.effective_gid;
        bpf_map_update_elem(object_map(visit->object, "processes"), &key, &identity, BPF_ANY);
    }
    process_free(&process);
}

static void note_namespace(struct visit *visit, int pid)
{
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
    if (visit->count == NAMESPACES_MAX || stat(path, &status) != 0)
        return;
    for (unsigned i = 0; i < visit->count; i++)
        if (visit->seen[i] == status.st_ino)
            return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    visit->seen[visit->count] = status.st_ino;
    visit->namespaces[visit->count++] = fd;
}

static void visit_process(int pid, void *context)
{
    note_process(context, pid);
    note_namespace(context, pid);
}

static int iterate_in(const struct visit *visit, unsigned i, struct attach_error *error)
{
    if (setns(visit->namespaces[i], CLONE_NEWNET) != 0)
        return errno == EINVAL || errno == ENOENT
                   ? 0
                   : attach_fail(error, "cannot enter a network namespace of the cgroup: %s",
                                 strerror(errno));
    return object_iterate(visit->object, "socktune_open", error);
}

int attach_open_sockets(const struct bpf_object *object, const struct attach_cgroup *cgroup,
                        struct attach_error *error)
{
    struct visit *visit = calloc(1, sizeof *visit);
    int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int failed = 0;
    if (visit == NULL || own < 0) {
        failed = attach_fail(error, "%s", strerror(errno));
    } else {
        visit->object = object;
        cgroup_each_process(cgroup, visit_process, visit);
        if (visit->count > 0)
            failed = object_iterate(object, "socktune_files", error);
        for (unsigned i = 0; i < visit->count; i++) {
            if (failed == 0)
                failed = iterate_in(visit, i, error);
            close(visit->namespaces[i]);
        }
        if (visit->count > 0 && setns(own, CLONE_NEWNET) != 0 && failed == 0)
            failed = attach_fail(error, "cannot return to the own network namespace: %s",
                                 strerror(errno));
    }
    if (own >= 0)
        close(own);
    free(visit);
    return failed;
}
