/* SPDX-License-Identifier: MIT */
/*
 * The rule watcher of one user: a process with that user's ids that reads the user's rules
 * (config/rule_watch.h), as seen by socktuned. If socktuned may not change to another user, the
 * watcher has socktuned's ids, and reads only what everybody may read.
 */
#ifndef SOCKTUNE_HELPER_RULE_WATCHER_H
#define SOCKTUNE_HELPER_RULE_WATCHER_H

#include "loop.h"
#include "rule_watch.h"

#include <stdbool.h>
#include <sys/types.h>

struct rule_watcher;

/* Called with the watcher's reply. `policy` has reply->size bytes, is aligned to 8, and is valid
 * only during the call; reply->text is terminated. Both are untrusted. */
typedef void rule_watcher_reply(void *context, const struct rule_watch_reply *reply,
                                const void *policy);
/* The watcher has ended or sent an invalid message: no more replies will come. */
typedef void rule_watcher_end(void *context);

struct rule_watcher_events {
    rule_watcher_reply *replied;
    rule_watcher_end *ended;
    void *context;
};

/* Start a watcher. NULL with errno. */
struct rule_watcher *rule_watcher_start(struct loop *loop, uid_t uid, gid_t gid,
                                        const struct rule_watcher_events *events);

/* Send a request with its names; `size` bytes of it are used. False if the watcher does not read
 * any more. Never waits. */
bool rule_watcher_ask(struct rule_watcher *watcher, const struct rule_watch_request *request,
                      size_t size);

/* Call this once a second: it renews the limit of replies. */
void rule_watcher_each_second(struct rule_watcher *watcher);

/* May be called from within an event handler. NULL does nothing. */
void rule_watcher_stop(struct rule_watcher *watcher);

#endif
