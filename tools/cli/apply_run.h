/* SPDX-License-Identifier: MIT */
/*
 * `socktune apply`, once its command line has been read: the state of all its rounds, and the steps
 * of a round. For cmd_apply.c and the other files apply_*.c alone. One thread.
 */
#ifndef SOCKTUNE_APPLY_RUN_H
#define SOCKTUNE_APPLY_RUN_H

#include "default_sockets.h"
#include "policy_file.h"
#include "reconcile.h"
#include "show_socket.h"

#include <jansson.h>

/* What was done in a round, by result. */
struct apply_counts {
    unsigned processes, sockets, refused;
    unsigned options[RECONCILE_COUNT];
};

/* The run of the command. */
struct apply_run {
    /* the command line */
    const char *rules, *program, *watch, *user, *netns, *fd, *save, *undo;
    bool all, dry_run, json;
    /* for all rounds */
    struct loaded loaded;
    struct reconciler reconciler;
    struct default_sockets defaults;
    void *seen, *seen_last; /* sockets of this round and of the last: apply_socket.c */
    uint32_t *active_rules;
    struct active active; /* rules, of the process at hand */
    unsigned round;
    bool failed;             /* something could not be set, in any round */
    uint32_t uid;            /* of --user */
    uint64_t network;        /* of --netns, as an inode; 0: any */
    int only_fd;             /* of --fd; -1: any */
    unsigned matching;       /* processes that --program, --user and --netns chose, in all rounds */
    unsigned chosen_sockets; /* sockets that --fd chose, in all rounds */
    /* of one socket */
    struct socket_description description;
    struct reconciled_socket *result;
    bool seen_before;               /* what could not be set was reported in the last round */
    struct sockaddr_storage remote; /* of a connection in SYN_SENT */
    socklen_t remote_length;
    json_t *undo_notes; /* of --save, in all rounds */
    /* of one round */
    struct apply_counts counts;
    json_t *json_sockets, *json_refused;
};

/*
 * Run the rounds: a single one if `pause` is 0, else one every `pause` seconds until a signal comes
 * or no process is left. `named` are the `count` processes to treat, malloc()ed, freed here; NULL:
 * all of the machine. Returns the exit status.
 */
int apply_run_rounds(struct apply_run *run, pid_t *named, size_t count, double pause);

/*
 * Apply the rules to one socket, for which the process has `count` descriptors. Returns 0, also if
 * the socket is gone or nothing is to be set; -1 with errno if it may not be duplicated.
 */
int apply_socket(struct apply_run *run, const struct socket_owner *owner,
                 const struct process *process, const struct open_socket *sockets, size_t count);

/* End a round: forget the sockets that were not seen in it. */
void apply_end_seen_round(struct apply_run *run);

/* Report what was done to a socket, and count it. */
void apply_report_socket(struct apply_run *run, const struct process *process,
                         const struct open_socket *sockets, size_t count);

/* Report a process that a rule is for and that may not be looked into; `error` is the errno. */
void apply_report_refused(struct apply_run *run, const struct process *process, int error);

/* Report a socket that has been treated to the helper, if a rule wants that and there is one. */
void apply_report_to_helper(const struct apply_run *run, const struct process *process);

/* Print the line of a round, or its JSON document. */
void apply_report_round(struct apply_run *run);

#endif
