/* SPDX-License-Identifier: MIT */
/*
 * One thread: requests are answered as they come, and between them the rules are looked at.
 */
#include "watch.h"
#include "policy_part.h"
#include "watched_rules.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS     250 /* from one look to the next */
#define SETTLE_MS   100 /* the same while something changes */
#define REST        4   /* times as long as the work took: at most a fifth of a processor */
#define RULES_MAX   32u
#define CLIENTS_MAX 256u

/* The rules of programs of one name. */
struct watch_client {
    uint32_t id;
    struct watched_rules *rules; /* NULL: the place is free */
    char names[2][256];
    uint64_t sent; /* the checksum of the policy that was sent; 0: none */
};

struct watch {
    int fd;
    int64_t looked;                        /* when, in ms of CLOCK_MONOTONIC */
    int64_t rests_until;                   /* the same clock: there is no work before */
    struct watched_rules rules[RULES_MAX]; /* path NULL: the place is free */
    struct watch_client clients[CLIENTS_MAX];
};

/* Replies */

static void send_reply(const struct watch *watch, struct rule_watch_reply *reply,
                       const void *policy)
{
    struct iovec parts[] = {{reply, sizeof *reply}, {(void *)policy, reply->size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = policy != NULL ? 2 : 1};
    while (sendmsg(watch->fd, &message, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

static void send_answer(const struct watch *watch, uint32_t id, enum rule_watch_answer what,
                        const char *text)
{
    struct rule_watch_reply reply = {.answer = what, .id = id};
    snprintf(reply.text, sizeof reply.text, "%s", text);
    send_reply(watch, &reply, NULL);
}

static void send_policy(const struct watch *watch, struct watch_client *client)
{
    const struct watched_rules *rules = client->rules;
    const char *const names[] = {client->names[0], client->names[1]};
    struct rule_watch_reply reply = {.answer = RULE_WATCH_POLICY, .id = client->id};
    struct policy_part part;
    if (!policy_part_find(rules->policy, rules->size, names, &part)) {
        send_answer(watch, client->id, RULE_WATCH_BROKEN, "the compiled policy is damaged");
        return;
    }
    if (part.size > RULE_WATCH_ROOM) {
        send_answer(watch, client->id, RULE_WATCH_TOO_LARGE, "");
        return;
    }
    reply.size = part.size;
    reply.checksum = client->sent = part.checksum;
    send_reply(watch, &reply, part.blob);
}

static void send_state(const struct watch *watch, struct watch_client *client)
{
    if (client->rules->failure[0] != '\0')
        send_answer(watch, client->id, RULE_WATCH_BROKEN, client->rules->failure);
    else
        send_policy(watch, client);
}

/* Requests */

static struct watch_client *find_client(struct watch *watch, uint32_t id)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (watch->clients[i].rules != NULL && watch->clients[i].id == id)
            return &watch->clients[i];
    return NULL;
}

static struct watch_client *free_client(struct watch *watch)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (watch->clients[i].rules == NULL)
            return &watch->clients[i];
    return NULL;
}

/* NULL: there is no room. */
static struct watched_rules *rules_at(struct watch *watch, const char *path)
{
    struct watched_rules *unused = NULL;
    for (size_t i = 0; i < RULES_MAX; i++) {
        struct watched_rules *rules = &watch->rules[i];
        if (rules->path != NULL && strcmp(rules->path, path) == 0)
            return rules;
        if (rules->path == NULL && unused == NULL)
            unused = rules;
    }
    return unused != NULL && watched_rules_start(unused, path) == 0 ? unused : NULL;
}

static void leave_rules(struct watch *watch, struct watched_rules *rules)
{
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (watch->clients[i].rules == rules)
            return;
    watched_rules_end(rules);
}

static bool is_same_link(const char *one, const char *other)
{
    char targets[2][128];
    ssize_t lengths[] = {readlink(one, targets[0], sizeof targets[0]),
                         readlink(other, targets[1], sizeof targets[1])};
    return lengths[0] > 0 && lengths[0] == lengths[1] &&
           memcmp(targets[0], targets[1], (size_t)lengths[0]) == 0;
}

/* Does the process see the same files at the same paths? */
static bool shares_paths(int32_t pid)
{
    char namespace[64], root[64];
    struct stat its, own;
    snprintf(namespace, sizeof namespace, "/proc/%d/ns/mnt", pid);
    snprintf(root, sizeof root, "/proc/%d/root", pid);
    return pid > 0 && is_same_link(namespace, "/proc/self/ns/mnt") && stat(root, &its) == 0 &&
           stat("/", &own) == 0 && its.st_dev == own.st_dev && its.st_ino == own.st_ino;
}

/* The file may have been replaced since the program read it. */
static bool is_elsewhere(const struct rule_watch_request *request, const char *path)
{
    struct stat status;
    bool same = stat(path, &status) == 0 && status.st_dev == request->device &&
                status.st_ino == request->inode;
    return !same && !shares_paths(request->pid);
}

/* The names in a request: false if there are not as many, or they are too long. */
static bool take_names(const struct rule_watch_request *request, size_t size, const char *names[3])
{
    const char *at = request->names, *end = at + size;
    for (size_t i = 0; i < 3; i++) {
        const char *nul = memchr(at, '\0', (size_t)(end - at));
        if (nul == NULL || (i < 2 && (size_t)(nul - at) >= sizeof(struct watch_client){0}.names[0]))
            return false;
        names[i] = at;
        at = nul + 1;
    }
    return names[2][0] == '/';
}

static void add_client(struct watch *watch, const struct rule_watch_request *request,
                       const char *const names[3])
{
    struct watch_client *client = free_client(watch);
    if (is_elsewhere(request, names[2])) {
        send_answer(watch, request->id, RULE_WATCH_ELSEWHERE, "");
        return;
    }
    struct watched_rules *rules = client != NULL ? rules_at(watch, names[2]) : NULL;
    if (rules == NULL) {
        send_answer(watch, request->id, RULE_WATCH_TOO_MANY, "");
        return;
    }
    *client = (struct watch_client){.id = request->id, .rules = rules};
    for (size_t i = 0; i < 2; i++)
        strcpy(client->names[i], names[i]);
    send_state(watch, client);
}

static void remove_client(struct watch *watch, uint32_t id)
{
    struct watch_client *client = find_client(watch, id);
    struct watched_rules *rules = client != NULL ? client->rules : NULL;
    if (rules == NULL)
        return;
    client->rules = NULL;
    leave_rules(watch, rules);
}

/* Looks */

static bool is_sent(const struct watch_client *client)
{
    const char *const names[] = {client->names[0], client->names[1]};
    struct policy_part part;
    return client->rules->failure[0] == '\0' &&
           policy_part_find(client->rules->policy, client->rules->size, names, &part) &&
           part.checksum == client->sent;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* `now`: compile at once what has changed, and answer even if nothing has. */
static void look_at_rules(struct watch *watch, bool now)
{
    watch->looked = now_ms();
    for (size_t i = 0; i < RULES_MAX; i++) {
        struct watched_rules *rules = &watch->rules[i];
        if (rules->path == NULL || (!watched_rules_look(rules, now) && !now))
            continue;
        for (size_t k = 0; k < CLIENTS_MAX; k++)
            if (watch->clients[k].rules == rules && (now || !is_sent(&watch->clients[k])))
                send_state(watch, &watch->clients[k]);
    }
}

/* Milliseconds until the next look; -1: there is nothing to look at. Requests do not put it off. */
static int time_to_look(const struct watch *watch)
{
    bool any = false, changing = false;
    for (size_t i = 0; i < RULES_MAX; i++) {
        const struct watched_rules *rules = &watch->rules[i];
        any |= rules->path != NULL;
        changing |= rules->path != NULL && watched_rules_are_changing(rules);
    }
    int64_t left = watch->looked + (changing ? SETTLE_MS : LOOK_MS) - now_ms();
    return !any ? -1 : left > 0 ? (int)left : 0;
}

/* The loop */

static void take_request(struct watch *watch, const struct rule_watch_request *request, size_t size)
{
    const size_t head = sizeof *request - sizeof request->names;
    const char *names[3];
    if (size < head)
        return;
    if (request->wish == RULE_WATCH_ADD && take_names(request, size - head, names)) {
        add_client(watch, request, names);
    } else if (request->wish == RULE_WATCH_REMOVE) {
        remove_client(watch, request->id);
    } else if (request->wish == RULE_WATCH_LOOK) {
        look_at_rules(watch, true);
        send_answer(watch, request->id, RULE_WATCH_LOOKED, "");
    }
}

static int64_t time_to_rest(const struct watch *watch)
{
    int64_t left = watch->rests_until - now_ms();
    return left > 0 ? left : 0;
}

/* Answers one request, if there is one, and looks at the rules if it is time. False: the end. */
static bool work_once(struct watch *watch)
{
    static struct rule_watch_request request;
    ssize_t size = recv(watch->fd, &request, sizeof request, MSG_DONTWAIT);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
        return false;
    if (size > 0)
        take_request(watch, &request, (size_t)size);
    if (time_to_look(watch) == 0)
        look_at_rules(watch, false);
    return true;
}

/* Compiling large rules is expensive, and a user decides how often: by changing files, by programs
 * that come, by `socktune reload`. So each piece of work is followed by a rest. */
int watch_rules(int fd)
{
    static struct watch watch;
    watch.fd = fd;
    for (;;) {
        int rest = (int)time_to_rest(&watch);
        struct pollfd ready = {.fd = fd, .events = rest != 0 ? 0 : POLLIN};
        if (poll(&ready, 1, rest != 0 ? rest : time_to_look(&watch)) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        if (ready.revents == 0 && time_to_rest(&watch) != 0)
            continue;
        int64_t begin = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
        if (!work_once(&watch))
            return EXIT_SUCCESS;
        watch.rests_until = now_ms() + REST * (clock_ms(CLOCK_PROCESS_CPUTIME_ID) - begin);
    }
}
