/* SPDX-License-Identifier: MIT */
/*
 * Registered processes, their rings and their users.
 *
 * A ring is let go in two steps: first its heartbeat becomes 0, which sends writers that still
 * have it to register anew; a second later what they had begun to write is read, and then it is
 * unmapped. The entry stays as long as connections belong to it.
 */
#include "clients.h"
#include "deferred_close.h"
#include "multipath.h"
#include "option.h"
#include "policy.h"
#include "poller.h"
#include "ring_reader.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(item) ((item)->hh.tbl = NULL)
#include <uthash.h>

#define SECOND          UINT64_C(1000000000)
#define RECORDS_AT_ONCE RING_SLOTS
#define IDLE_AFTER      (2 * SECOND) /* an ended process's ring without records */
#define CLOCK_TOLERANCE (60 * SECOND)

struct known_user {
    UT_hash_handle hh;
    struct user user;
};

struct entry {
    UT_hash_handle hh; /* by ring.id */
    struct process process;
    struct tracker tracker;
    struct registry *registry;
    struct ring_reader ring;
    struct ring_counts told; /* as last added to the helper's counts */
    struct loop_source *end; /* of the process */
    int pidfd;
    uint64_t number;
    uint64_t last_record; /* CLOCK_MONOTONIC */
    bool same_pids;       /* the program's pids are the helper's */
    bool closing;         /* its heartbeat is 0 */
    bool read;            /* the ring is mapped */
    const char *rules[];
};

struct registry {
    struct helper *helper;
    struct entry **entries; /* by number */
    size_t count;
    size_t room;
    uint64_t last_number;
    struct known_user *users;
    struct entry *rings; /* those that have an id */
};

static const char *const drop_names[] = {
    [DROP_RING_FULL] = "ring_full",
    [DROP_ABANDONED] = "abandoned",
    [DROP_MALFORMED] = "malformed",
    [DROP_FOREIGN] = "foreign",
    [DROP_LIMIT] = "limit",
    [DROP_OVERRUN] = "overrun",
    [DROP_REGISTRATION] = "registration",
    [DROP_HANDOFF] = "handoff",
};
_Static_assert(sizeof drop_names / sizeof *drop_names == DROP_COUNT, "a name for each");

const char *drop_name(enum drop drop)
{
    return drop_names[drop];
}

size_t registry_count(const struct registry *registry)
{
    return registry->count;
}

const struct process *registry_next(const struct registry *registry, uint64_t *cursor)
{
    size_t low = 0, high = registry->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (registry->entries[middle]->number <= *cursor)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == registry->count)
        return NULL;
    *cursor = registry->entries[low]->number;
    return &registry->entries[low]->process;
}

/* --- users ---------------------------------------------------------------------------------- */

static struct user *find_user(const struct registry *registry, uid_t uid)
{
    struct known_user *known;

    HASH_FIND(hh, registry->users, &uid, sizeof uid, known);
    return known ? &known->user : NULL;
}

/* The user, who must be left again: known from now on. NULL without memory. */
static struct user *enter_user(struct registry *registry, uid_t uid)
{
    struct user *user = find_user(registry, uid);
    struct known_user *known;

    if (user)
        return user;
    known = calloc(1, sizeof *known);
    if (!known)
        return NULL;
    known->user.uid = uid;
    HASH_ADD(hh, registry->users, user.uid, sizeof uid, known);
    if (!known->hh.tbl) {
        free(known);
        return NULL;
    }
    return &known->user;
}

static void leave_user(struct registry *registry, struct user *user)
{
    struct known_user *known;

    if (--user->processes > 0)
        return;
    HASH_FIND(hh, registry->users, &user->uid, sizeof user->uid, known);
    if (!known)
        return;
    HASH_DEL(registry->users, known);
    free(known);
}

/* --- records -------------------------------------------------------------------------------- */

static const char *option_label(int level, int optname)
{
    const struct option *option = option_find_number(level, optname);

    return option ? option->name : "raw";
}

static uint8_t role_of(uint8_t kind)
{
    static const uint8_t roles[] = {[RECORD_CONNECT] = ROLE_CONNECT,
                                    [RECORD_ACCEPT] = ROLE_ACCEPT,
                                    [RECORD_LISTEN] = ROLE_LISTEN};

    return roles[kind];
}

/* The program's word, where it can be. */
static uint64_t opened_at(const struct entry *entry, uint64_t told)
{
    uint64_t now = now_real();

    return told <= now && told + CLOCK_TOLERANCE >= entry->process.registered ? told : now;
}

/* All but the options that were refused. */
static struct connection_start start_of(struct entry *entry, const struct record *record)
{
    const struct helper *helper = entry->registry->helper;
    struct connection_start start = {
        .netns = space_netns(entry->tracker.space),
        .cookie = record->cookie,
        .opened = opened_at(entry, record->time_ns),
        .program = entry->process.program,
        .rule = record->rule < entry->process.rule_count ? entry->rules[record->rule] : "",
        .peer =
            record->kind == RECORD_LISTEN ? "" : peers_class(&helper->config.peers, record->remote),
        .owner = &entry->tracker,
        .local_port = record->local_port,
        .remote_port = record->remote_port,
        .ifindex = record->interface,
        .pid = entry->same_pids ? (pid_t)record->pid : entry->process.pid,
        .uid = entry->process.uid,
        .protocol = record->protocol,
        .family = (uint8_t)record->family,
        .role = role_of(record->kind),
        .applied = record->applied};

    memcpy(start.local, record->local, sizeof start.local);
    memcpy(start.remote, record->remote, sizeof start.remote);
    if (record->protocol == IPPROTO_MPTCP && record->kind == RECORD_ACCEPT)
        start.cookie = multipath_identity(&start);
    return start;
}

static void take_record(void *context, const struct record *record)
{
    struct entry *entry = context;
    struct helper *helper = entry->registry->helper;
    struct connection_start start = start_of(entry, record);

    entry->process.records++;
    helper->records++;
    if (entry->tracker.user->connections >= helper->config.user_connections) {
        helper->dropped[DROP_LIMIT]++;
        entry->process.dropped++;
        return;
    }
    while (start.named < record->named && start.named < RECORD_NAMED_MAX) {
        const struct record_option *option = &record->options[start.named];

        start.options[start.named++] = option_label(option->level, option->optname);
    }
    while (start.failure_count < record->failed && start.failure_count < RECORD_FAILURES_MAX) {
        const struct record_failure *failure = &record->failures[start.failure_count];

        start.failures[start.failure_count++] =
            (struct option_failure){option_label(failure->level, failure->optname), failure->error};
    }
    if (!sampler_open(helper->sampler, &start))
        entry->process.dropped++;
}

static void count_losses(struct entry *entry)
{
    const struct ring_counts *now = &entry->ring.counts, *told = &entry->told;
    uint64_t full = now->dropped - told->dropped;
    uint64_t abandoned = now->abandoned - told->abandoned;
    uint64_t malformed = now->torn - told->torn + (now->refused - told->refused);
    uint64_t *dropped = entry->registry->helper->dropped;

    dropped[DROP_RING_FULL] += full;
    dropped[DROP_ABANDONED] += abandoned;
    dropped[DROP_MALFORMED] += malformed;
    entry->process.dropped += full + abandoned + malformed;
    entry->process.withheld += now->withheld - told->withheld;
    entry->registry->helper->withheld += now->withheld - told->withheld;
    entry->told = *now;
}

static void stop_reading(struct entry *entry)
{
    if (!entry->read)
        return;
    entry->read = false;
    if (entry->hh.tbl)
        HASH_DEL(entry->registry->rings, entry);
    entry->hh.tbl = NULL;
    ring_reader_close(&entry->ring);
}

static void read_ring(struct entry *entry, uint64_t now)
{
    int passed;

    if (!entry->read || !ring_reader_pending(&entry->ring))
        return;
    passed = ring_reader_read(&entry->ring, now, RECORDS_AT_ONCE, take_record, entry);
    count_losses(entry);
    if (passed > 0)
        entry->last_record = now;
    if (passed < 0) {
        helper_log(LOG_WARNING, "process %d of user %u is dropped: its ring lies",
                   (int)entry->process.pid, (unsigned)entry->process.uid);
        entry->process.dropped++;
        stop_reading(entry);
    }
}

void registry_read(struct registry *registry)
{
    uint64_t now = now_monotonic();

    for (size_t i = 0; i < registry->count; i++)
        read_ring(registry->entries[i], now);
}

/* --- coming and going ----------------------------------------------------------------------- */

static void forget_process(struct entry *entry)
{
    loop_remove(entry->registry->helper->loop, entry->end);
    entry->end = NULL;
    if (entry->pidfd >= 0)
        (void)close(entry->pidfd);
    entry->pidfd = -1;
}

static void free_entry(struct entry *entry)
{
    struct registry *registry = entry->registry;

    stop_reading(entry);
    forget_process(entry);
    if (entry->tracker.space)
        sampler_leave(registry->helper->sampler, entry->tracker.space);
    if (entry->tracker.user)
        leave_user(registry, entry->tracker.user);
    free(entry);
}

static void ended(void *context, uint32_t events)
{
    struct entry *entry = context;

    (void)events;
    entry->process.ended = true;
    entry->last_record = now_monotonic();
    forget_process(entry);
}

/* A process that registers anew, for one when it has executed another program, writes no more to
 * its older rings; its children may. */
static void supersede(const struct registry *registry, const struct entry *newest)
{
    for (size_t i = 0; i < registry->count; i++) {
        struct entry *entry = registry->entries[i];

        if (entry != newest && entry->process.pid == newest->process.pid && !entry->process.ended)
            ended(entry, 0);
    }
}

/* An ended process of which nothing is open. */
static bool is_idle(const struct entry *entry, uint64_t now)
{
    return entry->process.ended && entry->tracker.tracked == 0 &&
           !(entry->read && ring_reader_pending(&entry->ring)) &&
           now - entry->last_record > IDLE_AFTER;
}

static bool is_over(const struct entry *entry)
{
    return !entry->read && entry->tracker.tracked == 0;
}

/* Nothing else tells that they are over; children that live on register anew. */
static void end_blind(struct entry *entry)
{
    space_lose(entry->registry->helper, &entry->tracker);
    if (!entry->read || entry->closing)
        return;
    entry->closing = true;
    ring_reader_beat(&entry->ring, 0);
}

static void age(struct entry *entry, uint64_t now)
{
    if (entry->process.ended && space_is_blind(entry->tracker.space))
        end_blind(entry);
    if (!entry->read)
        return;
    ring_reader_settle(&entry->ring);
    /* The writers' count of what found no room changes without a record. */
    (void)ring_reader_read(&entry->ring, now, 0, take_record, entry);
    count_losses(entry);
    ring_reader_rest(&entry->ring);
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

void registry_each_second(struct registry *registry)
{
    uint64_t now = now_monotonic();
    size_t kept = 0;

    for (size_t i = 0; i < registry->count; i++) {
        struct entry *entry = registry->entries[i];

        read_ring(entry, now);
        age(entry, now);
        if (is_over(entry))
            free_entry(entry);
        else
            registry->entries[kept++] = entry;
    }
    registry->count = kept;
}

/* Programs that come and go quickly must not keep new ones out. */
static void evict_ended(struct registry *registry, uid_t uid)
{
    for (size_t i = 0; i < registry->count; i++) {
        struct entry *entry = registry->entries[i];

        if (entry->process.uid != uid || !entry->process.ended || entry->tracker.tracked > 0)
            continue;
        read_ring(entry, now_monotonic());
        if (entry->tracker.tracked > 0)
            continue;
        free_entry(entry);
        registry->count--;
        memmove(registry->entries + i, registry->entries + i + 1,
                (registry->count - i) * sizeof(struct entry *));
        return;
    }
}

bool registry_has_room(struct registry *registry, uid_t uid)
{
    const struct user *user = find_user(registry, uid);

    if (!user || user->processes < registry->helper->config.user_processes)
        return true;
    evict_ended(registry, uid);
    user = find_user(registry, uid);
    return !user || user->processes < registry->helper->config.user_processes;
}

static struct entry *new_entry(const struct registration_names *names)
{
    size_t length = strlen(names->program) + 1;
    struct entry *entry;
    char *text;

    for (uint32_t i = 0; i < names->head.rule_count; i++)
        length += strlen(names->rules[i]) + 1;
    entry = calloc(1, sizeof *entry + names->head.rule_count * sizeof(char *) + length);
    if (!entry)
        return NULL;
    text = (char *)(entry->rules + names->head.rule_count);
    entry->process.program = strcpy(text, names->program);
    text += strlen(text) + 1;
    for (uint32_t i = 0; i < names->head.rule_count; i++) {
        entry->rules[i] = strcpy(text, names->rules[i]);
        text += strlen(text) + 1;
    }
    entry->process.rules = entry->rules;
    entry->process.rule_count = names->head.rule_count;
    entry->pidfd = -1;
    return entry;
}

static int put(struct registry *registry, struct entry *entry)
{
    struct entry **more;

    if (registry->count == registry->room) {
        more = reallocarray(registry->entries, registry->room + 64, sizeof(struct entry *));
        if (!more)
            return -1;
        registry->entries = more;
        registry->room += 64;
    }
    entry->number = ++registry->last_number;
    registry->entries[registry->count++] = entry;
    return 0;
}

/* What the process is, apart from what it passed. */
static const char *settle(struct registry *registry, struct entry *entry,
                          const struct registrant *who)
{
    entry->registry = registry;
    entry->process.pid = who->pid;
    entry->process.uid = who->uid;
    entry->process.registered = now_real();
    entry->last_record = now_monotonic();
    entry->tracker.user = enter_user(registry, who->uid);
    if (!entry->tracker.user)
        return "memory is out";
    entry->tracker.user->processes++;
    entry->pidfd = who->pidfd;
    if (who->pidfd >= 0)
        entry->end = loop_watch(registry->helper->loop, who->pidfd, EPOLLIN, ended, entry);
    /* It ended before it could be watched. */
    entry->process.ended = !entry->end;
    return NULL;
}

/* So that what is handed over finds it. An id that is there already is forged. */
static void remember_ring(struct registry *registry, struct entry *entry)
{
    struct entry *other;

    if (entry->ring.id == 0)
        return;
    HASH_FIND(hh, registry->rings, &entry->ring.id, sizeof entry->ring.id, other);
    if (!other)
        HASH_ADD(hh, registry->rings, ring.id, sizeof entry->ring.id, entry);
}

/* The second may be -1. */
static void part_with_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            part_with(fds[i]);
}

/* What it passed. Takes over the descriptors. */
static const char *join(struct registry *registry, struct entry *entry, size_t ring_size,
                        uint64_t netns, const int fds[2])
{
    const char *wrong = ring_size > (size_t)registry->helper->config.ring_kib * 1024
                            ? "its ring is too large"
                            : ring_reader_open(&entry->ring, fds[0], ring_size);

    part_with_all(fds, 1);
    entry->read = !wrong;
    if (!wrong && fds[1] >= 0)
        wrong = diag_check(fds[1], &netns);
    if (wrong) {
        part_with_all(fds + 1, 1);
        return wrong;
    }
    remember_ring(registry, entry);
    entry->tracker.space =
        sampler_join(registry->helper->sampler, fds[1], netns, entry->process.uid);
    if (!entry->tracker.space)
        return "its network namespace cannot be watched";
    ring_reader_beat(&entry->ring, now_real());
    return NULL;
}

const char *registry_add(struct registry *registry, const struct registrant *who,
                         const struct registration_names *names, const int fds[2])
{
    struct entry *entry = new_entry(names);
    const char *wrong;

    if (!entry) {
        if (who->pidfd >= 0)
            (void)close(who->pidfd);
        part_with_all(fds, 2);
        return "memory is out";
    }
    entry->same_pids = names->head.pid == (uint32_t)who->pid;
    wrong = settle(registry, entry, who);
    if (wrong) {
        part_with_all(fds, 2);
    } else {
        wrong = join(registry, entry, names->head.ring_size, who->netns, fds);
    }
    if (!wrong && put(registry, entry) != 0)
        wrong = "memory is out";
    if (wrong)
        free_entry(entry);
    else
        supersede(registry, entry);
    return wrong;
}

/* The process whose ring it is. What root's programs register may be used by the users that they
 * became; the id is told to no one else. */
static struct entry *find_ring(struct registry *registry, uid_t uid, uint64_t id)
{
    struct entry *entry;

    HASH_FIND(hh, registry->rings, &id, sizeof id, entry);
    return entry && (entry->process.uid == uid || entry->process.uid == 0) ? entry : NULL;
}

void registry_handed(struct registry *registry, uid_t uid, const struct handoff *handoff)
{
    struct entry *entry = find_ring(registry, uid, handoff->ring);

    if (entry)
        ring_reader_took(&entry->ring);
}

const char *registry_hand(struct registry *registry, uid_t uid, const struct handoff *handoff,
                          const struct handed *handed)
{
    struct entry *entry = find_ring(registry, uid, handoff->ring);
    struct connections *all = registry->helper->connections;
    struct connection *connection;
    struct connection_start start;

    if (!entry)
        return "it names no ring of its user";
    start = start_of(entry, &handoff->record);
    if (handed->netns && handed->netns != start.netns)
        return "what was handed over is of another network namespace";
    read_ring(entry, now_monotonic());
    connection = connections_get(all, start.netns, start.cookie);
    /* The ring may have been full. */
    if (!connection)
        take_record(entry, &handoff->record);
    connection = connections_get(all, start.netns, start.cookie);
    if (!connection || connection->owner != &entry->tracker)
        return "what was handed over is tracked for somebody else, or may not be tracked";
    entry->process.handed++;
    registry->helper->handed++;
    space_take(registry->helper, connection, handed);
    return NULL;
}

struct registry *registry_new(struct helper *helper)
{
    struct registry *registry = calloc(1, sizeof *registry);

    if (registry)
        registry->helper = helper;
    return registry;
}

void registry_free(struct registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->count; i++)
        free_entry(registry->entries[i]);
    free(registry->entries);
    free(registry);
}
