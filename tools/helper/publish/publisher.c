/* SPDX-License-Identifier: MIT */
/*
 * A reply of a watcher updates a rule set. Programs of the set that have another policy are queued;
 * publisher_work() serves the queue for a bounded time. The queue is first come, first served, so a
 * user with many programs delays others by one round at most.
 */
#include "publisher.h"
#include "clock.h"
#include "log.h"
#include "published.h"
#include "published_memory.h"
#include "rule_watcher.h"
#include "utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#define HASH_NONFATAL_OOM         1
#define uthash_nonfatal_oom(item) ((item)->hh.tbl = NULL)
#include <uthash.h>
#include <utlist.h>

#define WATCHERS_MAX  64u
#define RESTART_AFTER (5 * SECOND)
#define SETS_MAX      256u          /* per user; the watcher accepts no more */
#define KEEP_UNUSED   (60 * SECOND) /* short-lived programs of one kind often follow each other */
#define UNUSED_MAX    16u           /* per user: their memory is charged to nobody */
#define LOOK_PATIENCE (3 * SECOND)  /* after this time nobody waits for the user's watcher */
#define LOOK_MAX      (30 * SECOND) /* a watcher that takes longer is considered hung */
#define WORK_NS       (10 * SECOND / 1000)

struct rule_owner;

/* The rules of one user's programs with the same names and path. */
struct rule_set {
    UT_hash_handle hh; /* by id */
    uint32_t id;
    struct rule_owner *owner;
    struct rule_watch_request request; /* as sent to the watcher */
    size_t names_size;
    bool asked;            /* the watcher has received the request */
    enum publishing state; /* PUBLISHING_CURRENT: `policy` is up to date with the rules */
    void *policy;
    uint32_t size;
    uint64_t checksum;
    char error[RULE_WATCH_TEXT];
    struct published_program *programs;
    uint64_t unused;              /* since when no program uses it, CLOCK_MONOTONIC ns */
    struct rule_set *prev, *next; /* of the owner */
};

/* A user whose programs take new rules. */
struct rule_owner {
    UT_hash_handle hh; /* by uid */
    struct publisher *publisher;
    uid_t uid;
    gid_t gid;
    struct rule_watcher *watcher; /* NULL: none runs */
    bool watcher_ended;
    uint64_t restart; /* earliest time of a restart, CLOCK_MONOTONIC ns */
    uint32_t looking; /* number of the look in progress; 0: none */
    uint64_t look_began;
    struct rule_set *sets;
    unsigned set_count;
};

struct published_program {
    struct rule_set *set;
    struct published_memory memory;
    uint64_t checksum;   /* of the policy in force */
    uint64_t given;      /* checksum of the last published policy; 0: none */
    uint64_t generation; /* generation of the last published policy */
    bool queued;
    bool failed;                                       /* the last attempt to publish failed */
    struct published_program *prev, *next;             /* of the set */
    struct published_program *queue_prev, *queue_next; /* of the publisher */
};

struct publisher {
    struct loop *loop;
    struct rule_owner *owners;
    struct rule_set *sets; /* by id */
    struct published_program *queue;
    uint32_t last_id;
    struct publisher_counts counts;
};

static const char *const names[PUBLISHING_COUNT] = {
    [PUBLISHING_CURRENT] = "current",     [PUBLISHING_WAITING] = "waiting",
    [PUBLISHING_REFUSED] = "refused",     [PUBLISHING_BROKEN] = "broken",
    [PUBLISHING_ELSEWHERE] = "elsewhere", [PUBLISHING_TOO_LARGE] = "too_large",
    [PUBLISHING_LIMIT] = "limit",         [PUBLISHING_NO_MEMORY] = "no_memory",
    [PUBLISHING_UNWATCHED] = "unwatched"};

const char *publishing_name(enum publishing state)
{
    return names[state];
}

const struct publisher_counts *publisher_counts(const struct publisher *publisher)
{
    return &publisher->counts;
}

/* The queue */

static void leave_queue(struct publisher *publisher, struct published_program *program)
{
    if (program->queued)
        DL_DELETE2(publisher->queue, program, queue_prev, queue_next);
    program->queued = false;
}

/* True if the last policy that was published to it, or at first its own, is not the current one. */
static bool needs_policy(const struct published_program *program)
{
    const struct rule_set *set = program->set;
    return set->state == PUBLISHING_CURRENT &&
           (program->given != 0 ? program->given : program->checksum) != set->checksum;
}

static void queue_program(struct publisher *publisher, struct published_program *program)
{
    if (program->queued || !needs_policy(program))
        return;
    DL_APPEND2(publisher->queue, program, queue_prev, queue_next);
    program->queued = true;
}

static void give_policy(struct publisher *publisher, struct published_program *program)
{
    const struct rule_set *set = program->set;
    const uint64_t generation = published_memory_put(&program->memory, set->policy, set->size);
    program->failed = generation == 0;
    if (program->failed)
        return;
    program->generation = generation;
    program->given = set->checksum;
    publisher->counts.published++;
}

void publisher_work(struct publisher *publisher)
{
    const uint64_t end = now_monotonic() + WORK_NS;
    while (publisher->queue != NULL && now_monotonic() < end) {
        struct published_program *program = publisher->queue;
        leave_queue(publisher, program);
        if (needs_policy(program))
            give_policy(publisher, program);
    }
}

/* Replies of watchers */

static bool keep_policy_of_rules(struct rule_set *set, const struct rule_watch_reply *reply,
                                 const void *policy)
{
    void *copy = malloc(reply->size);
    if (copy == NULL)
        return false;
    memcpy(copy, policy, reply->size);
    free(set->policy);
    set->policy = copy;
    set->size = reply->size;
    set->checksum = reply->checksum;
    return true;
}

static void note_broken(struct rule_set *set, const char *error)
{
    if (set->state == PUBLISHING_BROKEN && strcmp(set->error, error) == 0)
        return;
    snprintf(set->error, sizeof set->error, "%s", error);
    utf8_replace_invisible(set->error);
    set->owner->publisher->counts.broken++;
    helper_log_user(LOG_WARNING, set->owner->uid, "user %u: running programs keep their rules: %s",
                    (unsigned)set->owner->uid, set->error);
}

static void take_reply(void *context, const struct rule_watch_reply *reply, const void *policy)
{
    static const enum publishing states[] = {[RULE_WATCH_POLICY] = PUBLISHING_CURRENT,
                                             [RULE_WATCH_BROKEN] = PUBLISHING_BROKEN,
                                             [RULE_WATCH_ELSEWHERE] = PUBLISHING_ELSEWHERE,
                                             [RULE_WATCH_TOO_LARGE] = PUBLISHING_TOO_LARGE,
                                             [RULE_WATCH_TOO_MANY] = PUBLISHING_LIMIT};
    struct rule_owner *owner = context;
    struct rule_set *set = NULL;
    struct published_program *program;
    if (reply->answer == RULE_WATCH_LOOKED && reply->id == owner->looking)
        owner->looking = 0;
    HASH_FIND(hh, owner->publisher->sets, &reply->id, sizeof reply->id, set);
    if (set == NULL || set->owner != owner || reply->answer < RULE_WATCH_POLICY ||
        reply->answer > RULE_WATCH_TOO_MANY)
        return;
    if (reply->answer == RULE_WATCH_POLICY && !keep_policy_of_rules(set, reply, policy))
        return;
    if (reply->answer == RULE_WATCH_BROKEN)
        note_broken(set, reply->text);
    set->state = states[reply->answer];
    for (program = set->programs; program != NULL; program = program->next)
        queue_program(owner->publisher, program);
}

/* The watcher is stopped later, not within its own event. */
static void note_watcher_end(void *context)
{
    struct rule_owner *owner = context;
    owner->watcher_ended = true;
    owner->looking = 0;
}

/* Watchers */

static unsigned running_watchers(const struct publisher *publisher)
{
    unsigned count = 0;
    for (const struct rule_owner *owner = publisher->owners; owner != NULL; owner = owner->hh.next)
        count += owner->watcher != NULL;
    return count;
}

static bool ask_watcher(const struct rule_set *set, uint32_t wish)
{
    struct rule_watch_request request = set->request;
    request.wish = wish;
    return set->owner->watcher != NULL && !set->owner->watcher_ended &&
           rule_watcher_ask(set->owner->watcher, &request, set->names_size);
}

/* Requests that the watcher could not take are sent again each second. */
static void ask_for_sets(struct rule_owner *owner)
{
    for (struct rule_set *set = owner->sets; set != NULL; set = set->next)
        if (!set->asked)
            set->asked = ask_watcher(set, RULE_WATCH_ADD);
}

static void start_watcher(struct rule_owner *owner)
{
    const struct rule_watcher_events events = {take_reply, note_watcher_end, owner};
    if (owner->uid != 0 && running_watchers(owner->publisher) >= WATCHERS_MAX)
        return;
    owner->restart = now_monotonic() + RESTART_AFTER;
    owner->watcher = rule_watcher_start(owner->publisher->loop, owner->uid, owner->gid, &events);
    if (owner->watcher == NULL) {
        helper_log_user(LOG_WARNING, owner->uid,
                        "the rules of user %u cannot be watched (socktune-compile): %s",
                        (unsigned)owner->uid, strerror(errno));
        return;
    }
    ask_for_sets(owner);
}

static void stop_watcher(struct rule_owner *owner)
{
    struct rule_set *set;
    rule_watcher_stop(owner->watcher);
    owner->watcher = NULL;
    owner->watcher_ended = false;
    owner->looking = 0;
    for (set = owner->sets; set != NULL; set = set->next) {
        set->state = PUBLISHING_UNWATCHED;
        set->asked = false;
    }
}

void publisher_look(struct publisher *publisher, bool one_user, uid_t uid)
{
    for (struct rule_owner *owner = publisher->owners; owner != NULL; owner = owner->hh.next) {
        struct rule_watch_request request = {.wish = RULE_WATCH_LOOK, .id = ++publisher->last_id};
        if (owner->watcher == NULL || owner->watcher_ended || (one_user && owner->uid != uid) ||
            !rule_watcher_ask(owner->watcher, &request, 0))
            continue;
        owner->looking = request.id;
        owner->look_began = now_monotonic();
    }
}

bool publisher_is_busy(const struct publisher *publisher, bool one_user, uid_t uid)
{
    const struct published_program *program;
    for (program = publisher->queue; program != NULL; program = program->queue_next)
        if (!one_user || program->set->owner->uid == uid)
            return true;
    for (const struct rule_owner *owner = publisher->owners; owner != NULL; owner = owner->hh.next)
        if (owner->looking != 0 && now_monotonic() - owner->look_began < LOOK_PATIENCE &&
            (!one_user || owner->uid == uid))
            return true;
    return false;
}

/* Coming and going */

static struct rule_owner *enter_owner(struct publisher *publisher,
                                      const struct publisher_client *client)
{
    struct rule_owner *owner = NULL;
    HASH_FIND(hh, publisher->owners, &client->uid, sizeof client->uid, owner);
    if (owner != NULL)
        return owner;
    owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return NULL;
    owner->publisher = publisher;
    owner->uid = client->uid;
    owner->gid = client->gid;
    HASH_ADD(hh, publisher->owners, uid, sizeof owner->uid, owner);
    if (owner->hh.tbl == NULL) {
        free(owner);
        return NULL;
    }
    start_watcher(owner);
    return owner;
}

static void forget_set(struct rule_set *set)
{
    struct rule_owner *owner = set->owner;
    (void)ask_watcher(set, RULE_WATCH_REMOVE);
    HASH_DELETE(hh, owner->publisher->sets, set);
    DL_DELETE(owner->sets, set);
    owner->set_count--;
    free(set->policy);
    free(set);
}

/* Removes the sets that no program has used for at least `age`. */
static void forget_unused(struct rule_owner *owner, uint64_t age)
{
    struct rule_set *set, *next;
    for (set = owner->sets; set != NULL; set = next) {
        next = set->next;
        if (set->programs == NULL && now_monotonic() - set->unused >= age)
            forget_set(set);
    }
}

/* Removes the oldest unused set if there are too many. */
static void bound_unused(struct rule_owner *owner)
{
    struct rule_set *set, *oldest = NULL;
    unsigned count = 0;
    for (set = owner->sets; set != NULL; set = set->next) {
        if (set->programs != NULL)
            continue;
        count++;
        if (oldest == NULL || set->unused < oldest->unused)
            oldest = set;
    }
    if (count > UNUSED_MAX)
        forget_set(oldest);
}

static void forget_owner(struct rule_owner *owner)
{
    HASH_DELETE(hh, owner->publisher->owners, owner);
    rule_watcher_stop(owner->watcher);
    free(owner);
}

/* Puts the names into the request. False if they are too long. */
static bool put_names(struct rule_set *set, const struct publisher_client *client)
{
    const char *const parts[] = {client->executable, client->program, client->path};
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(parts[i]) + 1;
        if (length > sizeof set->request.names - set->names_size)
            return false;
        memcpy(set->request.names + set->names_size, parts[i], length);
        set->names_size += length;
    }
    return true;
}

static struct rule_set *new_set(const struct publisher_client *client)
{
    struct rule_set *set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    set->state = PUBLISHING_UNWATCHED;
    set->request.device = client->device;
    set->request.inode = client->inode;
    set->request.pid = client->pid;
    if (put_names(set, client))
        return set;
    free(set);
    return NULL;
}

static bool is_same_set(const struct rule_set *one, const struct rule_set *other)
{
    return one->request.device == other->request.device &&
           one->request.inode == other->request.inode && one->names_size == other->names_size &&
           memcmp(one->request.names, other->request.names, one->names_size) == 0;
}

static struct rule_set *enter_set(struct rule_owner *owner, const struct publisher_client *client)
{
    struct rule_set *made = new_set(client), *set = NULL;
    if (made == NULL)
        return NULL;
    for (set = owner->sets; set != NULL; set = set->next)
        if (is_same_set(set, made)) {
            free(made);
            return set;
        }
    made->owner = owner;
    made->id = made->request.id = ++owner->publisher->last_id;
    HASH_ADD(hh, owner->publisher->sets, id, sizeof made->id, made);
    if (made->hh.tbl == NULL) {
        free(made);
        return NULL;
    }
    DL_APPEND(owner->sets, made);
    owner->set_count++;
    made->asked = ask_watcher(made, RULE_WATCH_ADD);
    return made;
}

struct published_program *publisher_join(struct publisher *publisher,
                                         const struct publisher_client *client)
{
    struct rule_owner *owner = enter_owner(publisher, client);
    struct rule_set *set = owner != NULL ? enter_set(owner, client) : NULL;
    struct published_program *program = set != NULL ? calloc(1, sizeof *program) : NULL;
    if (program == NULL)
        return NULL;
    program->set = set;
    program->memory = (struct published_memory){client->fd, client->offset, client->room};
    program->checksum = client->checksum;
    DL_APPEND(set->programs, program);
    queue_program(publisher, program);
    return program;
}

void publisher_leave(struct publisher *publisher, struct published_program *program)
{
    struct rule_set *set;
    if (program == NULL)
        return;
    set = program->set;
    leave_queue(publisher, program);
    DL_DELETE(set->programs, program);
    free(program);
    if (set->programs != NULL)
        return;
    set->unused = now_monotonic();
    bound_unused(set->owner);
}

/* Repeats what failed. */
static void serve_owner(struct rule_owner *owner)
{
    rule_watcher_each_second(owner->watcher);
    ask_for_sets(owner);
    for (struct rule_set *set = owner->sets; set != NULL; set = set->next)
        for (struct published_program *program = set->programs; program != NULL;
             program = program->next)
            queue_program(owner->publisher, program);
}

static void tend_owner(struct rule_owner *owner)
{
    if (owner->watcher_ended ||
        (owner->looking != 0 && now_monotonic() - owner->look_began > LOOK_MAX))
        stop_watcher(owner);
    forget_unused(owner, KEEP_UNUSED);
    if (owner->sets == NULL)
        forget_owner(owner);
    else if (owner->watcher != NULL)
        serve_owner(owner);
    else if (now_monotonic() >= owner->restart)
        start_watcher(owner);
}

void publisher_each_second(struct publisher *publisher)
{
    struct rule_owner *owner, *next;
    HASH_ITER(hh, publisher->owners, owner, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        tend_owner(owner);
    }
}

/* Answers */

/* The reason why a program refused, by enum published_answer. */
static const char *reason_text(uint32_t reason)
{
    static const char *const texts[] = {
        [PUBLISHED_TOO_LARGE] = "the rules are too large",
        [PUBLISHED_MALFORMED] = "the program is of another version of socktune",
        [PUBLISHED_NO_SLOT] = "its threads still use all memory for rules; it tries again",
        [PUBLISHED_CONFINED] = "the program has confined itself by seccomp"};
    const char *text = reason < sizeof texts / sizeof *texts ? texts[reason] : NULL;
    return text != NULL ? text : "the program gives no reason";
}

static const char *path_of(const struct rule_set *set)
{
    const char *path = set->request.names;
    for (size_t i = 0; i < 2; i++)
        path += strlen(path) + 1;
    return path;
}

static void take_answers(const struct published_program *program, struct publishing_state *state)
{
    struct published_answers answers;
    if (program->generation == 0 || !published_memory_read(&program->memory, &answers))
        return;
    if (answers.adopted == program->generation)
        state->checksum = program->given;
    else if (answers.refused == program->generation)
        state->error = reason_text(answers.reason);
}

void publisher_state(const struct published_program *program, struct publishing_state *state)
{
    static const char *const errors[PUBLISHING_COUNT] = {
        [PUBLISHING_ELSEWHERE] = "socktuned finds other files at the path of its rules",
        [PUBLISHING_TOO_LARGE] = "its rules need more than 64 KiB",
        [PUBLISHING_LIMIT] = "its user has too many rule files, or programs of different names",
        [PUBLISHING_NO_MEMORY] = "there is no memory to give it new rules",
        [PUBLISHING_UNWATCHED] = "nothing watches its rules yet"};
    const struct rule_set *set = program->set;
    *state =
        (struct publishing_state){.checksum = program->checksum, .path = path_of(set), .error = ""};
    take_answers(program, state);
    if (set->state != PUBLISHING_CURRENT)
        state->state = set->state;
    else if (state->checksum == set->checksum)
        state->state = PUBLISHING_CURRENT;
    else if (program->failed)
        state->state = PUBLISHING_NO_MEMORY;
    else
        state->state = state->error[0] != '\0' ? PUBLISHING_REFUSED : PUBLISHING_WAITING;
    if (state->state == PUBLISHING_BROKEN)
        state->error = set->error;
    else if (errors[state->state] != NULL)
        state->error = errors[state->state];
}

struct publisher *publisher_new(struct loop *loop)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher != NULL)
        publisher->loop = loop;
    return publisher;
}

/* All programs must have left. */
void publisher_free(struct publisher *publisher)
{
    struct rule_owner *owner, *next;
    if (publisher == NULL)
        return;
    HASH_ITER(hh, publisher->owners, owner, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        forget_unused(owner, 0);
        forget_owner(owner);
    }
    free(publisher);
}
