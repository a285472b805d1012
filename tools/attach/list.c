/* SPDX-License-Identifier: MIT */
/*
 * Lists what is attached. The kernel lists links and their programs, so no file is needed, and
 * remains of a killed command would be seen.
 */
#include "attachment.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM_PREFIX "socktune_"

enum { MAPS_MAX = 32 };

/* A socktune program and its maps. */
struct found {
    char name[16]; /* truncated by the kernel */
    uint32_t maps[MAPS_MAX];
    uint32_t map_count;
};

static bool read_program(uint32_t id, struct found *found)
{
    struct bpf_prog_info info = {0};
    uint32_t size = sizeof info;
    int fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0)
        return false;
    info.map_ids = (uint64_t)(uintptr_t)found->maps;
    info.nr_map_ids = MAPS_MAX;
    int failed = bpf_obj_get_info_by_fd(fd, &info, &size);
    close(fd);
    memcpy(found->name, info.name, sizeof found->name);
    found->map_count = info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX;
    return failed == 0 && strncmp(info.name, PROGRAM_PREFIX, strlen(PROGRAM_PREFIX)) == 0;
}

/* Opens the program's map with that name; -1 if there is none. */
static int open_map(const struct found *found, const char *name)
{
    for (uint32_t i = 0; i < found->map_count; i++) {
        struct bpf_map_info info = {0};
        uint32_t size = sizeof info;
        int fd = bpf_map_get_fd_by_id(found->maps[i]);
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
            strcmp(info.name, name) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

static bool read_about(const struct found *found, struct attach_about *about)
{
    uint32_t key = 0;
    int fd = open_map(found, "about");
    bool got = fd >= 0 && bpf_map_lookup_elem(fd, &key, about) == 0;
    if (fd >= 0)
        close(fd);
    return got;
}

static void add_counts(const struct found *found, struct attach_state *state)
{
    int processors = libbpf_num_possible_cpus();
    int fd = open_map(found, "counts");
    struct attach_count *counts = calloc(processors > 0 ? (size_t)processors : 1, sizeof *counts);
    for (uint32_t i = 0; fd >= 0 && counts != NULL && i < state->about.action_count; i++) {
        if (bpf_map_lookup_elem(fd, &i, counts) != 0)
            break;
        for (int p = 0; p < processors; p++) {
            state->given += counts[p].given;
            state->failed += counts[p].failed;
        }
    }
    free(counts);
    if (fd >= 0)
        close(fd);
}

static bool is_pinned(const struct attach_state *state)
{
    struct attach_cgroup cgroup = {.id = state->cgroup_id};
    char directory[PATH_MAX];
    snprintf(cgroup.path, sizeof cgroup.path, "%s", state->about.cgroup);
    attach_pin_directory(&cgroup, directory);
    return attach_has_pins(directory);
}

/* Returns the hook of a program whose name the kernel has truncated. */
static const char *hook_name(const char *cut)
{
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++)
        if (strncmp(attach_hooks[i].program, cut, strlen(cut)) == 0)
            return attach_hooks[i].name;
    return cut + strlen(PROGRAM_PREFIX);
}

/* Adds a link to its attachment: links of one attachment have the same cgroup and the same time. */
static int add_link(uint64_t cgroup_id, const struct found *found, const char *hook,
                    struct attach_state **states, size_t *count)
{
    struct attach_about about = {.since = 0};
    size_t i = 0;
    if (!read_about(found, &about))
        return 0;
    while (i < *count &&
           ((*states)[i].cgroup_id != cgroup_id || (*states)[i].about.since != about.since))
        i++;
    if (i == *count) {
        struct attach_state *more = realloc(*states, (*count + 1) * sizeof **states);
        if (more == NULL)
            return -1;
        *states = more;
        more[(*count)++] = (struct attach_state){.about = about, .cgroup_id = cgroup_id};
        more[i].pinned = is_pinned(&more[i]);
        add_counts(found, &more[i]);
    }
    struct attach_state *state = &(*states)[i];
    if (state->program_count < ATTACH_PROGRAMS_MAX)
        snprintf(state->programs[state->program_count++], sizeof state->programs[0], "%.15s", hook);
    return 0;
}

static int list_link(uint32_t id, struct attach_state **states, size_t *count)
{
    struct bpf_link_info info = {0};
    struct found found = {.map_count = 0};
    uint32_t size = sizeof info;
    int fd = bpf_link_get_fd_by_id(id);
    if (fd < 0)
        return 0; /* it has ended meanwhile */
    int failed = bpf_obj_get_info_by_fd(fd, &info, &size);
    close(fd);
    if (failed != 0 || info.type != BPF_LINK_TYPE_CGROUP || info.cgroup.cgroup_id == 0 ||
        !read_program(info.prog_id, &found))
        return 0;
    const char *hook = hook_name(found.name);
    if (info.cgroup.attach_type == BPF_CGROUP_INET6_CONNECT)
        hook = "connect6";
    return add_link(info.cgroup.cgroup_id, &found, hook, states, count);
}

int attach_list(struct attach_state **states, size_t *count, struct attach_error *error)
{
    uint32_t id = 0;
    *states = NULL;
    *count = 0;
    while (bpf_link_get_next_id(id, &id) == 0)
        if (list_link(id, states, count) != 0)
            return attach_fail(error, "%s", strerror(ENOMEM));
    if (errno == ENOENT)
        return 0;
    return attach_fail(error, "%s",
                       errno == EPERM
                           ? "what is attached can only be listed by root (CAP_SYS_ADMIN)"
                           : strerror(errno));
}
