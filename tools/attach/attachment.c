/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation: programs are attached by links. A link ends with its last descriptor, so an
 * attachment ends with the command, however that ends. A pin in the BPF file system is another
 * reference (pins.c). The programs are attached before the open sockets are visited, so no socket
 * is missed in between.
 */
#include "attachment.h"

#include "attach_lock.h"
#include "compat.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NEED(member) offsetof(struct attach_needs, member)

const struct attach_hook attach_hooks[ATTACH_PROGRAMS_MAX] = {
    {"socktune_connect4", "connect4", NEED(connect)},
    {"socktune_connect6", "connect6", NEED(connect)},
    {"socktune_bind4", "bind4", NEED(bind)},
    {"socktune_bind6", "bind6", NEED(bind)},
    {"socktune_sockops", "sockops", NEED(listen)},
    {"socktune_setsockopt", "setsockopt", NEED(setsockopt)},
};

static bool is_needed(const struct attach_tables *tables, const struct attach_hook *hook)
{
    return *(const bool *)((const char *)&tables->needs + hook->need);
}

/* Maps */

static void size_maps(struct bpf_object *object, const struct attach_tables *tables)
{
    object_size(object, "rules", tables->rule_count);
    object_size(object, "actions", tables->action_count);
    object_size(object, "counts", tables->action_count);
    object_size(object, "options", tables->option_count);
    object_size(object, "matchers", tables->matcher_count);
    object_size(object, "prefixes", tables->prefix_count);
    object_size(object, "ports", tables->port_count);
    object_size(object, "guards", tables->guard_count);
    object_size(object, "defaults", ATTACH_KINDS * ATTACH_OPTIONS_MAX);
    if (tables->needs.report)
        object_size(object, "reports", ATTACH_REPORTS_SIZE);
}

static uint32_t attach_option_index(const struct attach_tables *tables, int level, int optname)
{
    uint32_t i = 0;
    while (i < tables->option_count &&
           (tables->options[i].level != level || tables->options[i].optname != optname))
        i++;
    return i < tables->option_count ? i : ATTACH_OPTIONS_MAX;
}

/* Returns the microseconds per kernel tick: the coarse clock advances with the ticks. */
static uint32_t jiffy_microseconds(void)
{
    struct timespec tick = {0, 4000000};
    clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
    return (uint32_t)(tick.tv_nsec / 1000);
}

static int fill_constants(const struct bpf_object *object, const struct attach_tables *tables,
                          struct attach_error *error)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const struct attach_constants constants = {
        .rule_count = tables->rule_count,
        .option_count = tables->option_count,
        .guard_count = tables->guard_count,
        .tracked = tables->needs.setsockopt,
        .priority = attach_option_index(tables, SOL_SOCKET, SO_PRIORITY),
        .source = attach_option_index(tables, LEVEL_SOCKTUNE, SOCKTUNE_SOURCE),
        .reports = tables->needs.report,
        .jiffy_us = jiffy_microseconds(),
        .generation = ((uint32_t)now.tv_sec ^ ((uint32_t)now.tv_nsec << 2)) | 1u};
    return object_set_constants(object, &constants, error);
}

/* Reads the values of new sockets. */
static void take_defaults(const struct attach_tables *tables, struct attach_default *defaults)
{
    for (unsigned kind = 0; kind < ATTACH_KINDS; kind++) {
        bool v6 = kind == KIND_STREAM6 || kind == KIND_DATAGRAM6, stream = kind <= KIND_STREAM6;
        int fd =
            socket(v6 ? AF_INET6 : AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
        for (uint32_t i = 0; fd >= 0 && i < tables->option_count; i++) {
            struct attach_default *value = &defaults[kind * ATTACH_OPTIONS_MAX + i];
            bool rate = tables->options[i].level == SOL_SOCKET &&
                        tables->options[i].optname == SO_MAX_PACING_RATE;
            socklen_t length = rate ? sizeof(int) : sizeof value->value;
            if (tables->options[i].level != LEVEL_SOCKTUNE &&
                getsockopt(fd, tables->options[i].level, tables->options[i].optname, value->value,
                           &length) == 0)
                value->length = length;
        }
        if (fd >= 0)
            close(fd);
    }
}

static int fill_defaults(const struct bpf_object *object, const struct attach_tables *tables,
                         struct attach_error *error)
{
    const uint32_t count = ATTACH_KINDS * ATTACH_OPTIONS_MAX;
    struct attach_default *defaults = calloc(count, sizeof *defaults);
    if (defaults == NULL)
        return attach_fail(error, "%s", strerror(errno));
    take_defaults(tables, defaults);
    int failed = object_fill(object, "defaults", defaults, sizeof *defaults, count, error);
    free(defaults);
    return failed;
}

static int fill_about(const struct bpf_object *object, const struct attach_request *request,
                      struct attach_error *error)
{
    struct attach_about about = {.since = time(NULL),
                                 .rule_count = request->tables->rule_count,
                                 .action_count = request->tables->action_count};
    snprintf(about.rules, sizeof about.rules, "%s", request->rules);
    snprintf(about.cgroup, sizeof about.cgroup, "%s", request->cgroup->path);
    return object_fill(object, "about", &about, sizeof about, 1, error);
}

#define FILL(map, member, count_member)                                                            \
    object_fill(object, map, tables->member, sizeof *tables->member, tables->count_member, error)

static int fill_maps(const struct bpf_object *object, const struct attach_request *request,
                     struct attach_error *error)
{
    const struct attach_tables *tables = request->tables;
    return FILL("rules", rules, rule_count) != 0 || FILL("actions", actions, action_count) != 0 ||
                   FILL("options", options, option_count) != 0 ||
                   FILL("matchers", matchers, matcher_count) != 0 ||
                   FILL("prefixes", prefixes, prefix_count) != 0 ||
                   FILL("ports", ports, port_count) != 0 ||
                   FILL("guards", guards, guard_count) != 0 ||
                   fill_defaults(object, tables, error) != 0 ||
                   fill_about(object, request, error) != 0 ||
                   channel_fill(object, tables, error) != 0 ||
                   fill_constants(object, tables, error) != 0
               ? -1
               : 0;
}

/* Links */

static int link_failed(const struct attach_request *request, int reason, struct attach_error *error)
{
    const char *cgroup = request->cgroup->path;
    if (reason == EPERM)
        return attach_fail(error,
                           "cannot attach to the cgroup %s: another BPF program is attached to it "
                           "or above it, and lets none be attached beside it",
                           cgroup);
    if (reason == E2BIG)
        return attach_fail(error, "cannot attach to the cgroup %s: it has 64 BPF programs already",
                           cgroup);
    return attach_fail(error, "cannot attach to the cgroup %s: %s", cgroup, strerror(reason));
}

static int make_links(struct attachment *attachment, const struct attach_request *request,
                      struct attach_error *error)
{
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++) {
        if (!is_needed(request->tables, &attach_hooks[i]))
            continue;
        attachment->links[i] = bpf_program__attach_cgroup(
            object_program(attachment->object, attach_hooks[i].program), attachment->cgroup);
        if (attachment->links[i] == NULL)
            return link_failed(request, errno, error);
    }
    return 0;
}

/* The whole attachment */

/* Another version of socktune may have pinned a map with another layout. Such a map is not used;
 * then nothing is known about the sockets. */
static void reuse_sockets(struct bpf_object *object, const struct attach_cgroup *cgroup)
{
    char path[PATH_MAX + 16], directory[PATH_MAX];
    attach_pin_directory(cgroup, directory);
    snprintf(path, sizeof path, "%s/sockets", directory);
    int fd = bpf_obj_get(path);
    if (fd < 0)
        return;
    struct bpf_map_info info = {0};
    uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 &&
        info.value_size == sizeof(struct attach_socket))
        bpf_map__reuse_fd(bpf_object__find_map_by_name(object, "sockets"), fd);
    close(fd);
}

/* For --status: a map that a program does not use is bound to it, so that it can be found and lives
 * as long. */
static void bind_maps(const struct bpf_object *object, const struct attach_tables *tables)
{
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++) {
        if (!is_needed(tables, &attach_hooks[i]))
            continue;
        int program = bpf_program__fd(object_program(object, attach_hooks[i].program));
        bpf_prog_bind_map(program, object_map(object, "about"), NULL);
        bpf_prog_bind_map(program, object_map(object, "counts"), NULL);
    }
}

static int load_object(struct attachment *attachment, const struct attach_request *request,
                       struct attach_error *error)
{
    attachment->object = object_open(error);
    if (attachment->object == NULL)
        return -1;
    size_maps(attachment->object, request->tables);
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++)
        if (is_needed(request->tables, &attach_hooks[i]))
            object_want(attachment->object, attach_hooks[i].program);
    object_want(attachment->object, "socktune_files");
    object_want(attachment->object, "socktune_open");
    if (request->pin)
        reuse_sockets(attachment->object, request->cgroup);
    if (object_load(attachment->object, error) != 0)
        return -1;
    bind_maps(attachment->object, request->tables);
    if (fill_maps(attachment->object, request, error) != 0)
        return -1;
    if (!request->tables->needs.report)
        return 0;
    attachment->channel = channel_map(object_map(attachment->object, "channel"));
    return attachment->channel != NULL
               ? 0
               : attach_fail(error, "cannot map what is reported: %s", strerror(errno));
}

/* Only one attachment per cgroup is allowed; a pinned one can be replaced. */
static int check_others(const struct attach_request *request, struct attach_error *error)
{
    struct attach_state *states;
    size_t count;
    int failed = attach_list(&states, &count, error);
    for (size_t i = 0; failed == 0 && i < count; i++)
        if (states[i].cgroup_id == request->cgroup->id && !(states[i].pinned && request->pin))
            failed = attach_fail(error, "the cgroup %s has rules already, from %s; %s",
                                 request->cgroup->path, states[i].about.rules,
                                 states[i].pinned ? "replace them with --pin, or remove them with "
                                                    "`socktune detach`"
                                                  : "the command that attached them still runs");
    free(states);
    return failed;
}

static int attach_locked(struct attachment *attachment, const struct attach_request *request,
                         struct attach_error *error)
{
    if (check_others(request, error) != 0 ||
        (request->pin && pins_prepare(request->cgroup, error) != 0) ||
        load_object(attachment, request, error) != 0)
        return -1;
    return request->pin ? pins_replace(attachment, request, error)
                        : make_links(attachment, request, error);
}

static int open_and_attach(struct attachment *attachment, const struct attach_request *request,
                           struct attach_error *error)
{
    attachment->cgroup = open(request->cgroup->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (attachment->cgroup < 0)
        return attach_fail(error, "%s: %s", request->cgroup->directory, strerror(errno));
    int lock = attach_lock(request->cgroup, error);
    if (lock < 0)
        return -1;
    int failed = attach_locked(attachment, request, error);
    attach_unlock(lock);
    return failed;
}

struct attachment *attach_rules(const struct attach_request *request, struct attach_error *error)
{
    struct attachment *attachment = calloc(1, sizeof *attachment);
    if (attachment == NULL) {
        attach_fail(error, "%s", strerror(errno));
        return NULL;
    }
    if (open_and_attach(attachment, request, error) != 0) {
        attach_release(attachment);
        return NULL;
    }
    error->text[0] = '\0';
    attachment->pinned = request->pin;
    attach_pass_reports(attachment);
    attach_open_sockets(attachment->object, request->cgroup, error);
    return attachment;
}

bool attach_is_in_force(const struct attachment *attachment)
{
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++)
        if (attachment->links[i] != NULL)
            return !link_is_stale(bpf_link__fd(attachment->links[i]));
    return true;
}

void attach_pass_reports(struct attachment *attachment)
{
    if (attachment->channel != NULL && !channel_is_read(attachment->channel))
        channel_pass(object_map(attachment->object, "reports"),
                     object_map(attachment->object, "channel"), attachment->pinned);
}

bool attach_has_reports(const struct attachment *attachment)
{
    return attachment->channel != NULL;
}

void attach_release(struct attachment *attachment)
{
    if (!attachment->pinned)
        channel_close(attachment->channel);
    channel_unmap(attachment->channel);
    for (unsigned i = 0; i < ATTACH_PROGRAMS_MAX; i++)
        bpf_link__destroy(attachment->links[i]);
    bpf_object__close(attachment->object);
    if (attachment->cgroup >= 0)
        close(attachment->cgroup);
    free(attachment);
}
