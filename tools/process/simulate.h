/* SPDX-License-Identifier: MIT */
/*
 * A socket's life without the socket: which options it would be given, at which call, by which
 * rule. Built from the very engine that the preloaded object runs; what is simulated here is the
 * kernel's part, that is, what it would say of such a socket when asked.
 */
#ifndef SOCKTUNE_SIMULATE_H
#define SOCKTUNE_SIMULATE_H

#include "defaults.h"
#include "match.h"

enum life {
    LIFE_SOCKET,  /* socket() */
    LIFE_CONNECT, /* socket(), connect(remote) */
    LIFE_LISTEN,  /* socket(), bind(local), and, unless it is a datagram socket, listen() */
    LIFE_ACCEPT   /* accepted from a listener on every address, at the port of `local` */
};

struct scenario {
    enum life life;
    int domain; /* as for socket(2) */
    int type;
    int protocol;
    /* Of the domain, IPv4 within AF_INET6 v4-mapped; where `life` has no use for one: unread. */
    struct sockaddr_storage local;
    struct sockaddr_storage remote;
    /* It is there: its protocol is settled, whatever a `transport` says, and the local address of
     * one that connected is known, bound or not. */
    bool open;
    /* Of LIFE_ACCEPT: the peer speaks plain TCP, so a listener of MPTCP accepts a TCP socket. */
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
    bool inherited; /* given to the listener, and had from it */
};

/* An option that the program cannot set itself, or not as it likes, on the socket as it is at the
 * end. */
struct guarded_option {
    uint32_t option; /* index into policy->options */
    uint32_t action; /* the `force`, `ignore` or bound that is the reason */
};

struct outcome {
    /* What stands at the end, in the order given; what was given and then replaced is left out. */
    struct effect effects[POLICY_OPTIONS_MAX];
    uint32_t effect_count;
    struct guarded_option guards[POLICY_OPTIONS_MAX];
    uint32_t guard_count;
    uint32_t report; /* index into policy->rules of the rule that has it reported; or NO_REPORT */
};

/* Live through `scenario` under the active rules. Pure. The program is supposed to set nothing
 * itself, and the kernel to refuse nothing. */
void simulate(const struct policy *policy, const struct active *active,
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
