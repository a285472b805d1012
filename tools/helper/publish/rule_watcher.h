/* SPDX-License-Identifier: MIT */
/*
 * The rule watcher of one user: a process with that user's ids that reads the user's rules
 * (config/rule_watch.h), as seen from socktuned. Where socktuned has no right to take the ids of
 * another user, the watcher has socktuned's, and reads only what everybody may read.
 */
#ifndef SOCKTUNE_HELPER_RULE_WATCHER_H
#define SOCKTUNE_HELPER_RULE_WATCHER_H

#include "loop.h"
#include "rule_watch.h"

#include <stdbool.h>
#include <sys/types.h>

struct rule_watcher;

/* What the watcher says. `policy` has reply->size bytes, aligned to 8, and belongs to the caller;
 * reply->text is terminated. Nothing in either is to be trusted. */
typedef void rule_watcher_reply(void *context, const struct rule_watch_reply *reply,
                                const void *policy);
/* It has ended, or talks nonsense: nothing more will come. */
typedef void rule_watcher_end(void *context);

struct rule_watcher_events {
    rule_watcher_reply *replied;
    rule_watcher_end *ended;
    void *context;
};

/* Start one. NULL with errno. */
struct rule_watcher *rule_watcher_start(struct loop *loop, uid_t uid, gid_t gid,
                                        const struct rule_watcher_events *events);

/* Send a request with its names, of which `size` bytes are used. False if the watcher does not read
 * any more. Never waits. */
bool rule_watcher_ask(struct rule_watcher *watcher, const struct rule_watch_request *request,
                      size_t size);

/* Once a second: what it may say is bounded. */
void rule_watcher_each_second(struct rule_watcher *watcher);

/* Also from within one of the events. NULL does nothing. */
void rule_watcher_stop(struct rule_watcher *watcher);

#endif
