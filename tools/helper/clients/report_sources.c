/* SPDX-License-Identifier: MIT */
/*
 * The connections of an attachment are grouped by network namespace and user, as the poller and the
 * users' limits require.
 */
#include "report_sources.h"
#include "clock.h"
#include "log.h"
#include "policy.h"
#include "report_ring.h"
#include "utf8.h"

#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#define PIN_ROOT        "/sys/fs/bpf/socktune"
#define REPORTS_AT_ONCE 8192u
#define ENTRY_BYTES     (sizeof(struct report_source) + sizeof(struct attach_channel))

/* One user's connections in one network namespace. */
struct report_group {
    struct report_group *next;
    uint64_t netns;
    uid_t uid;
    struct connection_owner owner;
};

struct report_source {
    struct report_source *next;
    struct report_sources *all;
    struct report_ring ring;
    uint64_t id;
    int pidfd;
    struct loop_source *end; /* event source: the process that passed it ended; NULL: not watched */
    bool ended;              /* read the remaining reports and stop */
    bool read;               /* the ring is mapped */
    struct report_group *groups; /* the most recently used one first */
};

struct report_sources {
    struct client_table_parts parts;
    struct report_source *first;
};

size_t report_sources_count(const struct report_sources *sources)
{
    size_t count = 0;
    for (const struct report_source *source = sources->first; source != NULL; source = source->next)
        count += source->read;
    return count;
}

/* Groups */

static bool join_group(const struct client_table_parts *parts, struct report_group *group)
{
    struct user_account *user = users_enter(parts->users, group->uid);
    if (user == NULL)
        return false;
    user->groups++;
    group->owner.user = user;
    group->owner.monitor = poller_join(parts->poller, -1, group->netns, user);
    if (group->owner.monitor != NULL)
        return true;
    user->groups--;
    users_leave(parts->users, user);
    return false;
}

/* Removes the group from the list and returns it; NULL if there is none. */
static struct report_group *take_group(struct report_source *source,
                                       const struct attach_report *report)
{
    struct report_group **link = &source->groups, *group;
    while ((group = *link) != NULL && (group->netns != report->netns || group->uid != report->uid))
        link = &group->next;
    if (group != NULL)
        *link = group->next;
    return group;
}

static struct report_group *new_group(const struct client_table_parts *parts,
                                      const struct attach_report *report)
{
    struct report_group *group = calloc(1, sizeof *group);
    if (group != NULL) {
        group->netns = report->netns;
        group->uid = report->uid;
        if (join_group(parts, group))
            return group;
    }
    free(group);
    parts->conntrack->counts->dropped[DROP_LIMIT]++;
    return NULL;
}

/* NULL if there is no room, which is counted. */
static struct report_group *group_of_program(struct report_source *source,
                                             const struct attach_report *report)
{
    struct report_group *group = take_group(source, report);
    if (group == NULL)
        group = new_group(&source->all->parts, report);
    if (group != NULL) {
        group->next = source->groups;
        source->groups = group;
    }
    return group;
}

static void free_group(const struct report_source *source, struct report_group *group)
{
    const struct client_table_parts *parts = &source->all->parts;
    poller_leave(parts->poller, group->owner.monitor);
    group->owner.user->groups--;
    users_leave(parts->users, group->owner.user);
    free(group);
}

/* In a blind namespace nothing else reports ends: the connections still open are counted as
 * lost. */
static void lose_blind(struct report_source *source)
{
    for (struct report_group *group = source->groups; group != NULL; group = group->next)
        if (netns_monitor_is_blind(group->owner.monitor))
            netns_monitor_lose_all(source->all->parts.conntrack, &group->owner);
}

static void free_groups(struct report_source *source, bool idle_alone)
{
    struct report_group **link = &source->groups, *group;
    while ((group = *link) != NULL) {
        if (idle_alone && group->owner.tracked > 0) {
            link = &group->next;
            continue;
        }
        *link = group->next;
        free_group(source, group);
    }
}

/* Reports */

static void add_applied_options(const struct attach_channel *names,
                                const struct attach_report *report, struct applied_options *options)
{
    for (uint32_t i = 0; i < names->option_count; i++) {
        const char *label = client_option_label(names->options[i].level, names->options[i].optname);
        if ((report->given >> i & 1) != 0) {
            options->applied++;
            if (options->named < APPLIED_NAMED_MAX)
                options->names[options->named++] = label;
        } else if ((report->refused >> i & 1) != 0 &&
                   options->failure_count < APPLIED_FAILURES_MAX) {
            options->failures[options->failure_count++] =
                (struct option_failure){label, report->errors[i]};
        }
    }
}

static void copy_program(char to[ATTACH_CHANNEL_NAME_SIZE], const char *from)
{
    strcpy(to, from[0] != '\0' ? from : "?");
    utf8_replace_invisible(to);
}

/* Returns the connection, tracked and confirmed; NULL if it may not be tracked or has ended
 * already. */
static struct connection *open_connection(struct report_source *source,
                                          const struct attach_report *report)
{
    const struct client_table_parts *parts = &source->all->parts;
    struct connections *all = parts->conntrack->connections;
    struct report_group *group = group_of_program(source, report);
    char program[ATTACH_CHANNEL_NAME_SIZE + 1];
    if (group == NULL || !users_admit(parts->conntrack, parts->config, group->owner.user))
        return NULL;
    copy_program(program, report->program);
    struct connection_start start = {
        .netns = report->netns,
        .cookie = report->cookie,
        .opened = report->opened_ns,
        .program = program,
        .rule = source->ring.names->rules[report->rule],
        .peer = report->role == ROLE_LISTEN
                    ? ""
                    : peer_classes_find(&parts->config->peers, report->remote),
        .owner = &group->owner,
        .flow = flow_between(report->local, report->local_port, report->remote, report->remote_port,
                             report->family),
        .ifindex = report->interface,
        .pid = (pid_t)report->pid,
        .uid = report->uid,
        .protocol = IPPROTO_TCP,
        .role = report->role,
    };
    add_applied_options(source->ring.names, report, &start.options);
    if (!poller_open(parts->poller, &start))
        return NULL;
    struct connection *connection = connections_get(all, report->netns, report->cookie);
    if (connection != NULL)
        connections_confirm(all, connection);
    return connection;
}

/* An unknown connection began before this helper started, or its first report was lost. It is not
 * counted if its rule is unknown, too. */
static void end_connection(struct report_source *source, const struct attach_report *report)
{
    const struct conntrack *conntrack = source->all->parts.conntrack;
    struct connection *connection =
        connections_get(conntrack->connections, report->netns, report->cookie);
    if (connection == NULL && report->rule != ATTACH_FORMER_RULE)
        connection = open_connection(source, report);
    if (connection == NULL)
        return;
    if (connection->congestion[0] == '\0')
        memcpy(connection->congestion, report->congestion, sizeof connection->congestion);
    netns_monitor_end(
        conntrack, connection,
        &(struct connection_reading){.when = report->time_ns,
                                     .info = report->info,
                                     .info_length = report->info_length,
                                     .unacknowledged = report->unacknowledged,
                                     .ending = report->aborted ? CLOSE_ABORTED : CLOSE_NONE});
}

static void take_report(void *context, const struct attach_report *report)
{
    struct report_source *source = context;
    if (report->kind == ATTACH_ENDED) {
        end_connection(source, report);
        return;
    }
    source->all->parts.conntrack->counts->records++;
    (void)open_connection(source, report);
}

static unsigned read_source(struct report_source *source)
{
    uint64_t malformed = source->ring.malformed;
    unsigned taken = report_ring_read(&source->ring, REPORTS_AT_ONCE, take_report, source);
    source->all->parts.conntrack->counts->dropped[DROP_MALFORMED] +=
        source->ring.malformed - malformed;
    return taken;
}

void report_sources_read(struct report_sources *sources)
{
    for (struct report_source *source = sources->first; source != NULL; source = source->next)
        if (source->read)
            (void)read_source(source);
}

/* Coming and going */

static void forget_passer(struct report_source *source)
{
    if (source->end != NULL)
        loop_remove(source->all->parts.loop, source->end);
    source->end = NULL;
    if (source->pidfd >= 0)
        (void)close(source->pidfd);
    source->pidfd = -1;
}

static void passer_ended(void *context, uint32_t events)
{
    struct report_source *source = context;
    (void)events;
    source->ended = true;
    forget_passer(source);
}

/* The BPF programs no longer write. */
static void stop_reading(struct report_source *source)
{
    while (read_source(source) > 0)
        continue;
    source->read = false;
    report_ring_beat(&source->ring, 0);
    report_ring_close(&source->ring);
    lose_blind(source);
}

static void free_source(struct report_source *source)
{
    forget_passer(source);
    if (source->read)
        report_ring_beat(&source->ring, 0);
    report_ring_close(&source->ring);
    free_groups(source, false);
    source->all->parts.conntrack->counts->memory_beside -= ENTRY_BYTES;
    free(source);
}

static void settle_old_source(struct report_source *source, uint64_t now)
{
    if (source->read) {
        uint64_t lost = report_ring_count_lost(&source->ring);
        source->all->parts.conntrack->counts->dropped[DROP_RING_FULL] += lost;
        if (lost > 0)
            lose_blind(source);
        if (source->ended || report_ring_is_closed(&source->ring))
            stop_reading(source);
        else
            report_ring_beat(&source->ring, now);
    }
    free_groups(source, true);
}

void report_sources_each_second(struct report_sources *sources)
{
    struct report_source **link = &sources->first, *source;
    uint64_t now = now_monotonic();
    while ((source = *link) != NULL) {
        settle_old_source(source, now);
        if (source->read || source->groups != NULL) {
            link = &source->next;
            continue;
        }
        *link = source->next;
        free_source(source);
    }
}

static bool is_known(const struct report_sources *sources, uint64_t id)
{
    for (const struct report_source *source = sources->first; source != NULL; source = source->next)
        if (source->read && source->id == id)
            return true;
    return false;
}

static struct report_source *new_source(struct report_sources *sources, int pidfd)
{
    struct report_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        if (pidfd >= 0)
            (void)close(pidfd);
        return NULL;
    }
    source->all = sources;
    source->pidfd = pidfd;
    sources->parts.conntrack->counts->memory_beside += ENTRY_BYTES;
    return source;
}

/* The attachment ends with the process, unless it is pinned. */
static void watch_passer(struct report_source *source, bool pinned)
{
    struct loop *loop = source->all->parts.loop;
    if (pinned) {
        forget_passer(source);
        return;
    }
    if (source->pidfd >= 0 && loop != NULL)
        source->end = loop_watch(loop, source->pidfd, EPOLLIN, passer_ended, source);
    source->ended = source->end == NULL && loop != NULL;
}

const char *report_sources_add(struct report_sources *sources, const struct report_passer *who,
                               const int fds[2])
{
    struct report_source *source = new_source(sources, who->pidfd);
    const char *wrong = source == NULL ? "memory is out"
                        : who->uid != 0 && who->uid != geteuid()
                            ? "only root may pass what BPF programs report"
                            : report_ring_open(&source->ring, fds[0], fds[1]);
    (void)close(fds[0]);
    (void)close(fds[1]);
    if (source == NULL)
        return wrong;
    if (wrong != NULL || is_known(sources, source->ring.names->id)) {
        free_source(source);
        return wrong;
    }
    source->id = source->ring.names->id;
    source->read = true;
    watch_passer(source, who->pinned);
    source->next = sources->first;
    sources->first = source;
    report_ring_beat(&source->ring, now_monotonic());
    return NULL;
}

/* Pins */

static int open_pinned_map(const char *directory, const char *name)
{
    char path[512];
    union bpf_attr attributes = {.pathname = (uint64_t)(uintptr_t)path};
    if (snprintf(path, sizeof path, PIN_ROOT "/%s/%s", directory, name) >= (int)sizeof path)
        return -1;
    return (int)syscall(SYS_bpf, BPF_OBJ_GET, &attributes, sizeof attributes);
}

static void add_pinned(struct report_sources *sources, const char *directory)
{
    const struct report_passer root = {.uid = 0, .pidfd = -1, .pinned = true};
    const int fds[2] = {open_pinned_map(directory, "reports"),
                        open_pinned_map(directory, "channel")};
    if (fds[0] < 0 || fds[1] < 0) {
        if (fds[0] >= 0)
            (void)close(fds[0]);
        if (fds[1] >= 0)
            (void)close(fds[1]);
        return;
    }
    const char *wrong = report_sources_add(sources, &root, fds);
    if (wrong != NULL)
        helper_log(LOG_WARNING, "%s/%s: %s", PIN_ROOT, directory, wrong);
}

void report_sources_find_pinned(struct report_sources *sources)
{
    DIR *root = opendir(PIN_ROOT);
    const struct dirent *entry;
    while (root != NULL && (entry = readdir(root)) != NULL)
        if (entry->d_name[0] != '.')
            add_pinned(sources, entry->d_name);
    if (root != NULL)
        (void)closedir(root);
}

/* The whole */

struct report_sources *report_sources_new(const struct client_table_parts *parts)
{
    struct report_sources *sources = calloc(1, sizeof *sources);
    if (sources != NULL)
        sources->parts = *parts;
    return sources;
}

void report_sources_free(struct report_sources *sources)
{
    if (sources == NULL)
        return;
    while (sources->first != NULL) {
        struct report_source *source = sources->first;
        sources->first = source->next;
        free_source(source);
    }
    free(sources);
}
