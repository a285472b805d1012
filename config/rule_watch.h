/* SPDX-License-Identifier: MIT */
/*
 * What socktuned and a rule watcher say to each other. The watcher is `socktune-compile --watch`,
 * one for each user whose programs take new rules while they run. It has the ids of that user: it
 * alone opens the user's paths, so it alone can be held up by them, and what it reads, the user may
 * read. Its standard input is a SOCK_SEQPACKET Unix socket; it ends when the other end is closed.
 *
 *   socktuned --> struct rule_watch_request   a program's rules: watch them, or no more; look now
 *   socktuned <-- struct rule_watch_reply     a policy for the program, or why there is none
 *
 * A reply to RULE_WATCH_ADD comes at once, and another one each time the rules have changed.
 * socktuned trusts nothing in a reply: the policy goes to programs of that user alone, and they
 * check it.
 */
#ifndef SOCKTUNE_RULE_WATCH_H
#define SOCKTUNE_RULE_WATCH_H

#include <stdint.h>

/* Bytes of the names behind a request: two names and a path, with their NULs. */
#define RULE_WATCH_NAMES 4608u
/* Bytes of a reply's policy, at most: what a program has room for (published.h). */
#define RULE_WATCH_ROOM 65536u
#define RULE_WATCH_TEXT 384u

enum rule_watch_wish {
    RULE_WATCH_ADD = 1,
    RULE_WATCH_REMOVE,
    RULE_WATCH_LOOK /* compile what has changed without waiting for the writer to end; answered by
                       RULE_WATCH_LOOKED when all replies were sent */
};

struct rule_watch_request {
    uint32_t wish;   /* enum rule_watch_wish */
    uint32_t id;     /* of the program's rules; socktuned chooses it */
    uint64_t device; /* of the rules' path, as the program saw it */
    uint64_t inode;
    int32_t pid;                  /* of the program, as socktuned sees it; 0: not known */
    uint32_t reserved;            /* 0 */
    char names[RULE_WATCH_NAMES]; /* its file's name NUL argv[0]'s name NUL path NUL */
};

enum rule_watch_answer {
    RULE_WATCH_POLICY = 1,
    RULE_WATCH_BROKEN,    /* the rules have an error, or cannot be read: `text` */
    RULE_WATCH_ELSEWHERE, /* at the path is another file than the program saw */
    RULE_WATCH_TOO_LARGE, /* the policy does not fit into RULE_WATCH_ROOM */
    RULE_WATCH_TOO_MANY,  /* the watcher has no room for more rules */
    RULE_WATCH_LOOKED
};

struct rule_watch_reply {
    uint32_t answer; /* enum rule_watch_answer */
    uint32_t id;
    uint64_t checksum;          /* of the policy */
    uint32_t size;              /* bytes of it, behind this struct */
    uint32_t reserved;          /* 0 */
    char text[RULE_WATCH_TEXT]; /* one line, NUL-terminated */
};

#endif
