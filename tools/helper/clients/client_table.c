/* SPDX-License-Identifier: MIT */
/*
 * Registered processes, their rings and their users.
 *
 * A ring is released in two steps. First its heartbeat becomes 0, so writers that still have it
 * register again. A second later the records begun meanwhile are read, and the ring is unmapped.
 * The entry stays as long as it owns connections.
 */
#include "client_table.h"
#include "clock.h"
#include "compat.h"
#include "log.h"
#include "multipath.h"
#include "option.h"
#include "policy.h"
#include "ring_reader.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(item) ((item)->hh.tbl = NULL)
#include <uthash.h>

#define RECORDS_AT_ONCE RING_SLOTS
#define IDLE_AFTER      (2 * SECOND) /* an ended process's ring without records */
#define CLOCK_TOLERANCE (60 * SECOND)

/* The trial to which a rule of the program belongs as an arm. */
struct client_trial {
    uint32_t number; /* from trials_join(); 0: no arm, or not followed */
    bool is_arm;
    struct trial_text text;
};

struct client_entry {
    UT_hash_handle hh; /* by ring.id */
    struct client client;
    struct connection_owner owner;
    struct client_table *table;
    struct ring_reader ring;
    struct ring_counts told; /* as last added to the helper's counts */
    struct loop_source *end; /* event source: the process ended */
    int pidfd;
    size_t memory; /* bytes charged for this entry */
    uint64_t number;
    uint64_t last_record; /* CLOCK_MONOTONIC */
    struct client_child *children;
    size_t child_room, last_child;
    bool same_pids;              /* the program's pid namespace is the helper's */
    bool closing;                /* its heartbeat is 0 */
    bool read;                   /* the ring is mapped */
    struct client_trial *trials; /* by rule; NULL: no rule is an arm */
    struct published_program *published;
    const char *rules[];
};

struct client_table {
    struct client_table_parts parts;
    struct client_entry **entries; /* sorted by number */
    size_t count;
    size_t room;
    uint64_t last_number;
    struct client_entry *rings; /* hash of the entries whose ring has an id */
};

size_t client_table_count(const struct client_table *table)
{
    return table->count;
}

const struct client *client_table_next(const struct client_table *table, uint64_t *cursor)
{
    size_t low = 0, high = table->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (table->entries[middle]->number <= *cursor)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == table->count)
        return NULL;
    *cursor = table->entries[low]->number;
    return &table->entries[low]->client;
}

/* Records */

const char *client_option_label(int level, int optname)
{
    const struct option *option = option_find_number(level, optname);
    return option != NULL ? option->name : "raw";
}

static uint8_t role_of_kind(uint8_t kind)
{
    static const uint8_t roles[] = {[RECORD_CONNECT] = ROLE_CONNECT,
                                    [RECORD_ACCEPT] = ROLE_ACCEPT,
                                    [RECORD_LISTEN] = ROLE_LISTEN,
                                    [RECORD_DATAGRAM] = ROLE_DATAGRAM};
    return roles[kind];
}

static bool is_connection(const struct record *record)
{
    return record->kind == RECORD_CONNECT || record->kind == RECORD_ACCEPT;
}

/* A socket that existed before takes no part in a trial; neither does a connection that is not in
 * the arm that its record claims. */
static void take_arm(const struct client_entry *entry, const struct record *record,
                     struct connection_start *start)
{
    const struct client_trial *arm;
    if (entry->trials == NULL || record->rule >= entry->client.rule_count ||
        !is_connection(record) || start->adopted)
        return;
    arm = &entry->trials[record->rule];
    if (arm->number == 0 || !trial_has(&arm->text, record->cookie, record->time_ns))
        return;
    start->trial = arm->number;
    start->trial_arm = (uint8_t)arm->text.arm;
    start->began = record->time_ns;
}

/* Everything but the refused options. */
static struct connection_start start_of(struct client_entry *entry, const struct record *record)
{
    const struct client_table_parts *parts = &entry->table->parts;
    struct connection_start start = {
        .netns = netns_monitor_netns(entry->owner.monitor),
        .cookie = record->cookie,
        .opened = clock_from_real(
            record->time_ns, (record->flags & RECORD_ADOPTED) != 0
                                 ? now_monotonic()
                                 : now_monotonic() - entry->client.registered + CLOCK_TOLERANCE),
        .program = entry->client.program,
        .rule = record->rule < entry->client.rule_count ? entry->rules[record->rule] : "",
        .peer =
            is_connection(record) ? peer_classes_find(&parts->config->peers, record->remote) : "",
        .owner = &entry->owner,
        .flow = flow_of_record(record),
        .ifindex = record->interface,
        .pid = entry->same_pids ? (pid_t)record->pid : entry->client.pid,
        .uid = entry->client.uid,
        .protocol = record->protocol,
        .role = role_of_kind(record->kind),
        .adopted = (record->flags & RECORD_ADOPTED) != 0,
        .begun = (record->flags & RECORD_BEGUN) != 0,
        .failed = (record->flags & RECORD_REFUSED) != 0      ? CLOSE_REFUSED
                  : (record->flags & RECORD_UNANSWERED) != 0 ? CLOSE_UNANSWERED
                                                             : CLOSE_NONE,
        .options.applied = record->applied};
    take_arm(entry, record, &start);
    if (record->protocol == IPPROTO_MPTCP && record->kind == RECORD_ACCEPT)
        start.cookie = multipath_identity(&start.flow, record->time_ns);
    return start;
}

static void take_options(const struct record *record, struct applied_options *options)
{
    while (options->named < record->named && options->named < RECORD_NAMED_MAX) {
        const struct record_option *option = &record->options[options->named];
        options->names[options->named++] = client_option_label(option->level, option->optname);
    }
    while (options->failure_count < record->failed &&
           options->failure_count < RECORD_FAILURES_MAX) {
        const struct record_failure *failure = &record->failures[options->failure_count];
        options->failures[options->failure_count++] = (struct option_failure){
            client_option_label(failure->level, failure->optname), failure->error};
    }
}

/* Returns whether the connection was accepted; it may have ended already. */
static bool enter_record(struct client_entry *entry, const struct record *record)
{
    const struct client_table_parts *parts = &entry->table->parts;
    struct connection_start start = start_of(entry, record);
    bool taken = false;
    if (users_admit(parts->conntrack, parts->config, entry->owner.user)) {
        take_options(record, &start.options);
        taken = poller_open(parts->poller, &start);
    }
    entry->client.dropped += !taken;
    return taken;
}

/* Sets the number of bytes charged for this entry. */
static void count_client_memory(struct client_entry *entry, size_t memory)
{
    struct helper_counts *counts = entry->table->parts.conntrack->counts;
    counts->memory_beside += memory - entry->memory;
    fair_share_change(&counts->memory, &entry->owner.user->memory, entry->memory, memory);
    entry->memory = memory;
}

/* Children */

static void count_child_memory(struct client_entry *entry, size_t room)
{
    count_client_memory(entry,
                        entry->memory + (room - entry->child_room) * sizeof *entry->children);
    entry->child_room = room;
}

static struct client_child *add_child(struct client_entry *entry, pid_t pid)
{
    if (entry->client.child_count == CLIENT_CHILDREN_MAX)
        return NULL;
    if (entry->client.child_count == entry->child_room) {
        size_t room = entry->child_room > 0 ? entry->child_room * 2 : 4;
        struct client_child *more = reallocarray(entry->children, room, sizeof *more);
        if (more == NULL)
            return NULL;
        entry->client.children = entry->children = more;
        count_child_memory(entry, room);
    }
    entry->children[entry->client.child_count] =
        (struct client_child){.pid = pid, .since = now_monotonic()};
    return &entry->children[entry->client.child_count++];
}

static struct client_child *find_child(struct client_entry *entry, pid_t pid)
{
    if (entry->last_child < entry->client.child_count &&
        entry->children[entry->last_child].pid == pid)
        return &entry->children[entry->last_child];
    for (size_t i = 0; i < entry->client.child_count; i++) {
        entry->last_child = i;
        if (entry->children[i].pid == pid)
            return &entry->children[i];
    }
    return NULL;
}

/* Counts a record for the process that wrote it. */
static void count_record(struct client_entry *entry, pid_t pid)
{
    struct client_child *child = NULL;
    entry->client.records++;
    entry->table->parts.conntrack->counts->records++;
    if (!entry->same_pids || pid == entry->client.pid || pid <= 0)
        return;
    child = find_child(entry, pid);
    if (child == NULL)
        child = add_child(entry, pid);
    if (child != NULL)
        child->records++;
}

static void forget_ended_children(struct client_entry *entry)
{
    size_t kept = 0;
    for (size_t i = 0; i < entry->client.child_count; i++)
        if (kill(entry->children[i].pid, 0) == 0 || errno != ESRCH)
            entry->children[kept++] = entry->children[i];
    entry->client.child_count = kept;
}

static void take_record(void *context, const struct record *record)
{
    struct client_entry *entry = context;
    /* another record will follow for this connection */
    if ((record->flags & RECORD_BEGUN) == 0)
        count_record(entry, (pid_t)record->pid);
    (void)enter_record(entry, record);
}

static void count_losses(struct client_entry *entry)
{
    const struct ring_counts *now = &entry->ring.counts, *told = &entry->told;
    uint64_t full = now->dropped - told->dropped;
    uint64_t abandoned = now->abandoned - told->abandoned;
    uint64_t malformed = now->torn - told->torn + (now->refused - told->refused);
    struct helper_counts *counts = entry->table->parts.conntrack->counts;
    uint64_t *dropped = counts->dropped;
    dropped[DROP_RING_FULL] += full;
    dropped[DROP_ABANDONED] += abandoned;
    dropped[DROP_MALFORMED] += malformed;
    entry->client.dropped += full + abandoned + malformed;
    entry->client.withheld += now->withheld - told->withheld;
    counts->withheld += now->withheld - told->withheld;
    entry->told = *now;
}

static void stop_reading(struct client_entry *entry)
{
    if (!entry->read)
        return;
    entry->read = false;
    if (entry->hh.tbl != NULL)
        HASH_DEL(entry->table->rings, entry);
    entry->hh.tbl = NULL;
    publisher_leave(entry->table->parts.publisher, entry->published);
    entry->client.published = entry->published = NULL;
    ring_reader_close(&entry->ring);
}

static void read_ring(struct client_entry *entry, uint64_t now)
{
    int passed;
    if (!entry->read || !ring_reader_pending(&entry->ring))
        return;
    passed = ring_reader_read(&entry->ring, now, RECORDS_AT_ONCE, take_record, entry);
    count_losses(entry);
    if (passed > 0)
        entry->last_record = now;
    if (passed < 0) {
        helper_log_user(LOG_WARNING, entry->client.uid,
                        "process %d of user %u is dropped: its ring lies", (int)entry->client.pid,
                        (unsigned)entry->client.uid);
        entry->client.dropped++;
        stop_reading(entry);
    }
}

void client_table_read(struct client_table *table)
{
    uint64_t now = now_monotonic();
    for (size_t i = 0; i < table->count; i++)
        read_ring(table->entries[i], now);
}

/* Coming and going */

static void forget_process(struct client_entry *entry)
{
    if (entry->end != NULL)
        loop_remove(entry->table->parts.loop, entry->end);
    entry->end = NULL;
    if (entry->pidfd >= 0)
        (void)close(entry->pidfd);
    entry->pidfd = -1;
}

/* Size of an entry with its names, the mapped parts of its ring, and the room for published
 * rules. */
static size_t memory_of_client(const struct registration_names *names)
{
    return sizeof(struct client_entry) + names->head.size +
           names->head.rule_count * sizeof(char *) + sizeof(struct ring_header) +
           names->head.ring_size / sizeof(struct ring_slot) / 8 + 2 * (size_t)names->live.room;
}

static void free_entry(struct client_entry *entry)
{
    struct client_table *table = entry->table;
    stop_reading(entry);
    forget_process(entry);
    if (entry->owner.monitor != NULL)
        poller_leave(table->parts.poller, entry->owner.monitor);
    if (entry->owner.user != NULL) {
        count_client_memory(entry, 0);
        entry->owner.user->processes--;
        users_leave(table->parts.users, entry->owner.user);
    }
    free(entry->children);
    free(entry->trials);
    free(entry);
}

static void handle_process_end(void *context, uint32_t events)
{
    struct client_entry *entry = context;
    (void)events;
    entry->client.ended = true;
    entry->last_record = now_monotonic();
    forget_process(entry);
}

/* A process that registers again, for example after execve(), writes no more to its older rings;
 * its children may. */
static void supersede_older(const struct client_table *table, const struct client_entry *newest)
{
    for (size_t i = 0; i < table->count; i++) {
        struct client_entry *entry = table->entries[i];
        if (entry != newest && entry->client.pid == newest->client.pid && !entry->client.ended)
            handle_process_end(entry, 0);
    }
}

/* True for an ended process without open connections, unread or recent records. */
static bool is_idle(const struct client_entry *entry, uint64_t now)
{
    return entry->client.ended && entry->owner.tracked == 0 &&
           !(entry->read && ring_reader_pending(&entry->ring)) &&
           now - entry->last_record > IDLE_AFTER;
}

static bool is_unneeded(const struct client_entry *entry)
{
    return !entry->read && entry->owner.tracked == 0;
}

/* In a blind namespace nothing else reports the ends of these connections. Children that still run
 * register again. */
static void end_blind(struct client_entry *entry)
{
    netns_monitor_lose_all(entry->table->parts.conntrack, &entry->owner);
    if (!entry->read || entry->closing)
        return;
    entry->closing = true;
    ring_reader_beat(&entry->ring, 0);
}

/* Writes to the ring which trials of the program have ended or cannot be followed. */
static void publish_ended_trials(struct client_entry *entry)
{
    const struct trials *trials = entry->table->parts.trials;
    uint64_t ended = 0;
    for (size_t i = 0; entry->trials != NULL && i < entry->client.rule_count; i++) {
        const struct client_trial *arm = &entry->trials[i];
        const struct trial_state *trial =
            arm->number != 0 && trials != NULL ? trials_get(trials, arm->number) : NULL;
        if (arm->is_arm && (trial == NULL || trial->ended))
            ended |= UINT64_C(1) << arm->text.number;
    }
    ring_reader_put_ended_trials(&entry->ring, ended);
}

static void settle_old_client(struct client_entry *entry, uint64_t now)
{
    forget_ended_children(entry);
    if (entry->client.ended && netns_monitor_is_blind(entry->owner.monitor))
        end_blind(entry);
    if (!entry->read)
        return;
    ring_reader_settle(&entry->ring);
    publish_ended_trials(entry);
    /* The writers' count of dropped records changes even without a record. */
    (void)ring_reader_read(&entry->ring, now, 0, take_record, entry);
    count_losses(entry);
    if (!is_idle(entry, now)) {
        if (!entry->closing)
            ring_reader_beat(&entry->ring, now_real());
    } else if (entry->closing) {
        stop_reading(entry);
    } else {
        entry->closing = true;
        ring_reader_beat(&entry->ring, 0);
    }
}

void client_table_each_second(struct client_table *table)
{
    uint64_t now = now_monotonic();
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        struct client_entry *entry = table->entries[i];
        read_ring(entry, now);
        settle_old_client(entry, now);
        if (is_unneeded(entry))
            free_entry(entry);
        else
            table->entries[kept++] = entry;
    }
    table->count = kept;
}

/* Evict ended clients, so that short-lived programs do not use up the limits. */
static void evict_ended(struct client_table *table, uid_t uid)
{
    for (size_t i = 0; i < table->count; i++) {
        struct client_entry *entry = table->entries[i];
        if (entry->client.uid != uid || !entry->client.ended || entry->owner.tracked > 0)
            continue;
        read_ring(entry, now_monotonic());
        if (entry->owner.tracked > 0)
            continue;
        free_entry(entry);
        table->count--;
        memmove(table->entries + i, table->entries + i + 1,
                (table->count - i) * sizeof(struct client_entry *));
        return;
    }
}

const char *client_table_no_room(struct client_table *table, uid_t uid)
{
    const struct user_account *user = users_find(table->parts.users, uid);
    if (user != NULL && user->processes >= table->parts.config->user_processes) {
        evict_ended(table, uid);
        user = users_find(table->parts.users, uid);
    }
    if (user == NULL)
        return NULL;
    if (user->processes >= table->parts.config->user_processes)
        return "its user has registered as many processes as one may";
    return user_account_may_grow(table->parts.conntrack, user)
               ? NULL
               : "its user has as much memory of the helper as one may";
}

static struct client_entry *new_entry(const struct registration_names *names)
{
    size_t length = strlen(names->program) + 1;
    struct client_entry *entry;
    char *text;
    for (uint32_t i = 0; i < names->head.rule_count; i++)
        length += strlen(names->rules[i]) + 1;
    entry = calloc(1, sizeof *entry + names->head.rule_count * sizeof(char *) + length);
    if (entry == NULL)
        return NULL;
    text = (char *)(entry->rules + names->head.rule_count);
    entry->client.program = strcpy(text, names->program);
    text += strlen(text) + 1;
    for (uint32_t i = 0; i < names->head.rule_count; i++) {
        entry->rules[i] = strcpy(text, names->rules[i]);
        text += strlen(text) + 1;
    }
    entry->client.rules = entry->rules;
    entry->client.rule_count = names->head.rule_count;
    entry->pidfd = -1;
    return entry;
}

static void join_trial(struct client_entry *entry, size_t rule, const char *text)
{
    struct client_trial *arm = &entry->trials[rule];
    struct trials *trials = entry->table->parts.trials;
    arm->is_arm = text != NULL && trial_text_read(text, &arm->text);
    if (arm->is_arm && trials != NULL)
        arm->number =
            trials_join(trials, entry->client.uid, entry->rules[rule], &arm->text, now_real());
}

/* Without memory, no trial is followed. */
static void join_trials(struct client_entry *entry, const struct registration_names *names)
{
    if (names->head.version < REGISTRATION_WITH_TRIALS)
        return;
    entry->trials = calloc(names->head.rule_count + 1, sizeof *entry->trials);
    for (uint32_t i = 0; entry->trials != NULL && i < names->head.rule_count; i++)
        join_trial(entry, i, names->trials[i]);
    publish_ended_trials(entry);
}

/* Without memory, the program keeps its rules. */
static void join_publisher(struct client_entry *entry, const struct client_identity *who,
                           const struct registration_names *names)
{
    struct publisher *publisher = entry->table->parts.publisher;
    const struct publisher_client client = {.pid = who->pid,
                                            .uid = who->uid,
                                            .gid = who->gid,
                                            .executable = names->executable,
                                            .program = names->program,
                                            .path = names->rules_path,
                                            .device = names->live.device,
                                            .inode = names->live.inode,
                                            .checksum = names->live.policy,
                                            .fd = entry->ring.fd,
                                            .offset = names->live.published,
                                            .room = names->live.room};
    if (publisher != NULL && names->live.room != 0)
        entry->client.published = entry->published = publisher_join(publisher, &client);
}

static int put_client(struct client_table *table, struct client_entry *entry)
{
    struct client_entry **more;
    if (table->count == table->room) {
        more = reallocarray(table->entries, table->room + 64, sizeof(struct client_entry *));
        if (more == NULL)
            return -1;
        table->entries = more;
        table->room += 64;
    }
    entry->number = ++table->last_number;
    table->entries[table->count++] = entry;
    return 0;
}

/* Fills in the process's identity, without what it passed. */
static const char *take_identity(struct client_table *table, struct client_entry *entry,
                                 const struct client_identity *who)
{
    entry->table = table;
    entry->client.pid = who->pid;
    entry->client.uid = who->uid;
    entry->client.registered = now_monotonic();
    entry->last_record = now_monotonic();
    entry->owner.user = users_enter(table->parts.users, who->uid);
    if (entry->owner.user == NULL)
        return "memory is out";
    entry->owner.user->processes++;
    entry->pidfd = who->pidfd;
    if (who->pidfd >= 0 && table->parts.loop != NULL)
        entry->end = loop_watch(table->parts.loop, who->pidfd, EPOLLIN, handle_process_end, entry);
    /* the process ended before it could be watched */
    entry->client.ended = entry->end == NULL;
    return NULL;
}

/* Enters the ring in the hash, for handoffs. A duplicate id is forged, and ignored. */
static void remember_ring(struct client_table *table, struct client_entry *entry)
{
    struct client_entry *other;
    if (entry->ring.id == 0)
        return;
    HASH_FIND(hh, table->rings, &entry->ring.id, sizeof entry->ring.id, other);
    if (other == NULL)
        HASH_ADD(hh, table->rings, ring.id, sizeof entry->ring.id, entry);
}

static void close_descriptor(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* Opens the ring and joins the monitor. Takes ownership of the descriptors. */
static const char *take_ring_and_monitor(struct client_table *table, struct client_entry *entry,
                                         const struct registration_names *names, uint64_t netns,
                                         const int fds[2])
{
    const size_t ring_size = names->head.ring_size;
    const char *wrong = ring_size > (size_t)table->parts.config->ring_kib * 1024
                            ? "its ring is too large"
                            : ring_reader_open(&entry->ring, fds[0], ring_size,
                                               registration_memory(ring_size, names->live.room));
    close_descriptor(fds[0]);
    entry->read = wrong == NULL;
    if (wrong == NULL && fds[1] >= 0)
        wrong = sock_diag_check(fds[1], &netns);
    if (wrong != NULL) {
        close_descriptor(fds[1]);
        return wrong;
    }
    remember_ring(table, entry);
    entry->owner.monitor = poller_join(table->parts.poller, fds[1], netns, entry->owner.user);
    if (entry->owner.monitor == NULL)
        return "its network namespace cannot be watched";
    ring_reader_beat(&entry->ring, now_real());
    return NULL;
}

const char *client_table_add(struct client_table *table, const struct client_identity *who,
                             const struct registration_names *names, const int fds[2])
{
    struct client_entry *entry = new_entry(names);
    const char *wrong;
    if (entry == NULL) {
        if (who->pidfd >= 0)
            (void)close(who->pidfd);
        close_descriptor(fds[0]);
        close_descriptor(fds[1]);
        return "memory is out";
    }
    entry->same_pids = names->head.pid == (uint32_t)who->pid;
    wrong = take_identity(table, entry, who);
    if (entry->owner.user != NULL)
        count_client_memory(entry, memory_of_client(names));
    if (wrong != NULL) {
        close_descriptor(fds[0]);
        close_descriptor(fds[1]);
    } else {
        wrong = take_ring_and_monitor(table, entry, names, who->netns, fds);
    }
    if (wrong == NULL) {
        join_trials(entry, names);
        join_publisher(entry, who, names);
    }
    if (wrong == NULL && put_client(table, entry) != 0)
        wrong = "memory is out";
    if (wrong != NULL)
        free_entry(entry);
    else
        supersede_older(table, entry);
    return wrong;
}

/* Finds the client that owns the ring. A ring registered by root is also accepted from other users:
 * a program may have dropped its privileges since. Only the program knows the ring's id. */
static struct client_entry *find_ring(struct client_table *table, uid_t uid, uint64_t id)
{
    struct client_entry *entry;
    HASH_FIND(hh, table->rings, &id, sizeof id, entry);
    return entry != NULL && (entry->client.uid == uid || entry->client.uid == 0) ? entry : NULL;
}

void client_table_handoff_done(struct client_table *table, uid_t uid, const struct handoff *handoff)
{
    struct client_entry *entry = find_ring(table, uid, handoff->ring);
    if (entry != NULL)
        ring_reader_took(&entry->ring);
}

const char *client_table_take_handoff(struct client_table *table, uid_t uid,
                                      const struct handoff *handoff,
                                      const struct handoff_reading *reading)
{
    static const char may_not[] =
        "what was handed over is tracked for somebody else, or may not be tracked";
    struct client_entry *entry = find_ring(table, uid, handoff->ring);
    struct connections *all = table->parts.conntrack->connections;
    struct connection *connection;
    struct connection_start start;
    if (entry == NULL)
        return "it names no ring of its user";
    start = start_of(entry, &handoff->record);
    if (reading->netns != 0 && reading->netns != start.netns)
        return "what was handed over is of another network namespace";
    read_ring(entry, now_monotonic());
    connection = connections_get(all, start.netns, start.cookie);
    /* the record may be missing, if the ring was full */
    if (connection == NULL && !enter_record(entry, &handoff->record))
        return may_not;
    connection = connections_get(all, start.netns, start.cookie);
    if (connection != NULL && connection->owner != &entry->owner)
        return may_not;
    entry->client.handed++;
    table->parts.conntrack->counts->handed++;
    /* The connection has ended since it was read: keep the kernel's final figures. */
    if (connection == NULL)
        return NULL;
    netns_monitor_take_reading(table->parts.conntrack, connection, reading->owner,
                               &(struct connection_reading){.when = now_monotonic(),
                                                            .state = reading->state,
                                                            .info = reading->info,
                                                            .info_length = reading->info_length,
                                                            .congestion = reading->congestion},
                               reading->options, reading->options_length);
    return NULL;
}

struct client_table *client_table_new(const struct client_table_parts *parts)
{
    struct client_table *table = calloc(1, sizeof *table);
    if (table != NULL)
        table->parts = *parts;
    return table;
}

void client_table_free(struct client_table *table)
{
    if (table == NULL)
        return;
    for (size_t i = 0; i < table->count; i++)
        free_entry(table->entries[i]);
    free(table->entries);
    free(table);
}
