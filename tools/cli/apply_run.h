/* SPDX-License-Identifier: MIT */
/*
 * `socktune apply` after its command line has been read: the state of all rounds, and the steps of
 * a round. Only for cmd_apply.c and the files apply_*.c. One thread.
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
    void *seen, *seen_last; /* sockets of this round and of the previous one: apply_socket.c */
    uint32_t *active_rules;
    struct active active; /* the rules that match the current process */
    unsigned round;
    bool failed;             /* an option could not be set, in any round */
    uint32_t uid;            /* --user */
    uint64_t network;        /* --netns, as an inode; 0: any */
    int only_fd;             /* --fd; -1: any */
    unsigned matching;       /* processes that --program, --user and --netns chose, in all rounds */
    unsigned chosen_sockets; /* sockets that --fd chose, in all rounds */
    /* for one socket */
    struct socket_description description;
    struct reconciled_socket *result;
    bool seen_before;               /* failures were reported in the previous round */
    struct sockaddr_storage remote; /* of a connection in SYN_SENT */
    socklen_t remote_length;
    json_t *undo_notes; /* for --save, in all rounds */
    /* for one round */
    struct apply_counts counts;
    json_t *json_sockets, *json_refused;
};

/*
 * Run the rounds: one if `pause` is 0, else one every `pause` seconds until a signal arrives or no
 * process is left. `named` are the `count` processes to treat, malloc()ed, freed here; NULL: all
 * processes of the machine. Returns the exit status.
 */
int apply_run_rounds(struct apply_run *run, pid_t *named, size_t count, double pause);

/*
 * Apply the rules to one socket, for which the process has `count` descriptors. Returns 0, also if
 * the socket is gone or nothing is to be set; -1 with errno if it may not be duplicated.
 */
int apply_socket(struct apply_run *run, const struct socket_owner *owner,
                 const struct process *process, const struct open_socket *sockets, size_t count);

/* End a round: forget sockets that it did not see. */
void apply_end_seen_round(struct apply_run *run);

/* Report what was done to a socket, and count it. */
void apply_report_socket(struct apply_run *run, const struct process *process,
                         const struct open_socket *sockets, size_t count);

/* Report a process that a rule matches, but whose sockets may not be duplicated (errno `error`). */
void apply_report_refused(struct apply_run *run, const struct process *process, int error);

/* Report a treated socket to the helper, if a rule asks for that and a helper runs. */
void apply_report_to_helper(const struct apply_run *run, const struct process *process);

/* Print the text line or the JSON document of a round. */
void apply_report_round(struct apply_run *run);

#endif
