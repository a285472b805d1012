/* SPDX-License-Identifier: MIT */
/*
 * The calls of a program on a socket, simulated: which options the socket would get, at which call,
 * by which rule. The engine is the one that the preloaded object runs; only the kernel's part is
 * simulated, that is, its answers about the socket.
 */
#ifndef SOCKTUNE_SIMULATE_H
#define SOCKTUNE_SIMULATE_H

#include "defaults.h"
#include "match.h"

/* The calls that led to the socket. */
enum socket_history {
    HISTORY_SOCKET,  /* socket() */
    HISTORY_CONNECT, /* socket(), connect(remote) */
    HISTORY_LISTEN,  /* socket(), bind(local), and, unless it is a datagram socket, listen() */
    HISTORY_ACCEPT   /* accepted from a listener on every address, at the port of `local` */
};

struct scenario {
    enum socket_history history;
    int domain; /* as for socket(2) */
    int type;
    int protocol;
    /* Of the domain; IPv4 within AF_INET6 is v4-mapped. Not read if the calls do not need one. */
    struct sockaddr_storage local;
    struct sockaddr_storage remote;
    /* The socket exists: its protocol is settled, whatever a `transport` says, and the local
     * address of a connection is known, bound or not. */
    bool open;
    /* Of HISTORY_ACCEPT: the peer speaks plain TCP, so a listener of MPTCP accepts a TCP socket. */
    bool falls_back;
    /* The connection is in this arm of a trial and in no other one; NULL: it is in none. */
    const struct policy_trial *arm;
    /* What the kernel gives such a socket, by option, for bounds (at_least, at_most) to compare
     * with. NULL, or length 0: not known, and a bound counts as given. Borrowed. */
    const struct default_value *initial;
};

/* An option given to the socket. */
struct effect {
    uint32_t action; /* index into policy->actions */
    enum phase phase;
    bool inherited; /* given to the listener, and inherited from it */
};

/* An option that the program cannot set itself, or not as it likes, on the socket as it is at the
 * end. */
struct guarded_option {
    uint32_t option; /* index into policy->options */
    uint32_t action; /* the `force`, `ignore` or bound that is the reason */
};

struct outcome {
    /* The last action of each option, in the order of the calls. */
    struct effect effects[POLICY_OPTIONS_MAX];
    uint32_t effect_count;
    struct guarded_option guards[POLICY_OPTIONS_MAX];
    uint32_t guard_count;
    uint32_t report; /* index into policy->rules of the rule that has it reported; or NO_REPORT */
};

/* Simulate `scenario` under the active rules. Pure. It is assumed that the program sets nothing
 * itself and that the kernel refuses nothing. */
void simulate_socket(const struct policy *policy, const struct active *active,
                     const struct scenario *scenario, struct outcome *outcome);

/*
 * The same for a connection in one arm of a trial: the rule of this index. The outcome has what the
 * arm itself gives, without guards and report. Returns false where the rule is no arm, or has
 * nothing to do with such a socket.
 */
bool simulate_arm(const struct policy *policy, const struct active *active, uint32_t rule,
                  const struct scenario *scenario, struct outcome *outcome);

/* The effects alone; there will be no guards and no report. */
void simulate_effects(const struct policy *policy, const struct active *active,
                      const struct scenario *scenario, struct outcome *outcome);

#endif
