/* SPDX-License-Identifier: MIT */
/*
 * Makes the record of a socket: the rule that reports it, its process, both ends, and the result of
 * each option that the rules set.
 */
#include "record.h"

#include "compat.h"
#include "kernel.h"
#include "kernel_socket.h"
#include "learn.h"

#include <netinet/in.h>

unsigned record_roles(const struct policy *policy, const struct active *active)
{
    unsigned roles = 0;
    for (uint32_t i = 0; i < active->count; i++) {
        const struct policy_rule *rule = &policy->rules[active->rules[i]];
        if ((rule->flags & RULE_REPORT) == 0 || (rule->families & FAMILY_IP) == 0)
            continue;
        if ((rule->protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP)) != 0)
            roles |= rule->roles & (unsigned)ROLE_STREAM;
        if ((rule->protocols & PROTOCOL_UDP) != 0)
            roles |= rule->roles & (unsigned)ROLE_DATAGRAM;
    }
    return roles;
}

static enum phase phase_of(const struct record *record)
{
    return record->kind == RECORD_LISTEN   ? PHASE_LISTENING
           : record->kind == RECORD_ACCEPT ? PHASE_ACCEPT
                                           : PHASE_CONNECTED;
}

static int record_protocol(int fd, const struct sockinfo *sockinfo)
{
    return sockinfo->protocols == PROTOCOL_TCP     ? IPPROTO_TCP
           : sockinfo->protocols == PROTOCOL_MPTCP ? IPPROTO_MPTCP
           : sockinfo->protocols == PROTOCOL_UDP   ? IPPROTO_UDP
                                                   : kernel_get_int(fd, SOL_SOCKET, SO_PROTOCOL);
}

/* A raw socket may have the protocol number of UDP. */
static bool is_udp(int fd, const struct sockinfo *sockinfo, int protocol)
{
    return protocol == IPPROTO_UDP && (sockinfo->protocols == PROTOCOL_UDP ||
                                       kernel_get_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM);
}

static void settle_protocol(struct sockinfo *sockinfo, struct record *record, int protocol)
{
    bool udp = protocol == IPPROTO_UDP;
    record->protocol = (uint16_t)protocol;
    sockinfo->protocols = protocol == IPPROTO_TCP ? PROTOCOL_TCP
                          : udp                   ? PROTOCOL_UDP
                                                  : PROTOCOL_MPTCP;
    sockinfo->roles &= (uint8_t)(udp ? ROLE_DATAGRAM : ~ROLE_DATAGRAM);
    sockinfo->known |= FACT_ROLE;
}

/* Determines protocol and role. Only sockets that sock_diag lists as TCP or UDP are accepted.
 * connect() may be for either; each other call is for one of them. */
static bool learn_protocol(int fd, struct sockinfo *sockinfo, struct record *record)
{
    int protocol = record_protocol(fd, sockinfo);
    bool udp = is_udp(fd, sockinfo, protocol);
    if (!udp && protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
        return false;
    settle_protocol(sockinfo, record, protocol);
    if (udp && record->kind == RECORD_CONNECT)
        record->kind = RECORD_DATAGRAM;
    return udp == (record->kind == RECORD_DATAGRAM);
}

/* A UDP socket whose call failed has not changed. */
static bool is_reportable(const struct record *record)
{
    return record->kind != RECORD_DATAGRAM ||
           (record->flags & (RECORD_REFUSED | RECORD_UNANSWERED)) == 0;
}

/* connect() and listen() may have changed the local address: that of a connection is never the
 * wildcard address. */
static void learn_ends(int fd, struct sockinfo *sockinfo, const struct record *record)
{
    unsigned wanted = FACT_LOCAL;
    /* The sockinfo of connect() has the peer already; otherwise the socket is asked. */
    if (record->kind != RECORD_LISTEN)
        wanted |= FACT_REMOTE;
    if (record->kind != RECORD_ACCEPT) {
        sockinfo->known &= (uint8_t)~FACT_LOCAL;
        sockinfo->unavailable &= (uint8_t)~FACT_LOCAL;
    }
    learn_facts(KERNEL_SOCKET(fd), sockinfo,
                wanted & ~(unsigned)(sockinfo->known | sockinfo->unavailable), phase_of(record));
}

static bool find_rule(const struct record_maker *maker, int fd, struct sockinfo *sockinfo,
                      struct record *record)
{
    uint32_t number =
        learn_report(maker->policy, maker->active, KERNEL_SOCKET(fd), sockinfo, phase_of(record));
    if (number == NO_REPORT)
        return false;
    record->rule = number < maker->rules_named ? (uint16_t)number : RECORD_RULE_UNNAMED;
    return true;
}

static void put_addresses(const struct sockinfo *sockinfo, struct record *record)
{
    record->family = sockinfo->families == FAMILY_INET ? AF_INET : AF_INET6;
    __builtin_memcpy(record->local, sockinfo->local.bytes, sizeof record->local);
    record->local_port = sockinfo->local_port;
    if (record->kind == RECORD_LISTEN || (sockinfo->known & FACT_REMOTE) == 0)
        return;
    __builtin_memcpy(record->remote, sockinfo->remote.bytes, sizeof record->remote);
    record->remote_port = sockinfo->remote_port;
}

static void put_failure(const struct policy_option *option, unsigned error, struct record *record)
{
    if (record->failed < RECORD_FAILURES_MAX)
        record->failures[record->failed] = (struct record_failure){
            .level = option->level, .optname = option->optname, .error = (int32_t)error};
    if (record->failed < UINT8_MAX)
        record->failed++;
}

static void add_applied_option(const struct policy_option *option, struct record *record)
{
    record->applied++;
    if (record->named < RECORD_NAMED_MAX && option->level == (uint16_t)option->level &&
        option->optname == (uint16_t)option->optname)
        record->options[record->named++] = (struct record_option){
            .level = (uint16_t)option->level, .optname = (uint16_t)option->optname};
}

/* The result of an option set at an earlier call, for example on the listener, is the last one in
 * this process. */
static void put_options(const struct record_maker *maker, const struct decision *decided,
                        unsigned phases, struct record *record)
{
    const struct policy *policy = maker->policy;
    for (uint32_t i = 0; i < policy->option_count; i++) {
        if (decided->action[i] == NO_ACTION || policy->options[i].level == LEVEL_SOCKTUNE ||
            (policy->actions[decided->action[i]].phases & phases) == 0)
            continue;
        unsigned result = __atomic_load_n(&maker->results[i], __ATOMIC_RELAXED);
        if (result == 0)
            add_applied_option(&policy->options[i], record);
        else if (result != RECORD_KEPT)
            put_failure(&policy->options[i], result, record);
    }
}

/* noinline: a caller with a decision needs no second one in its frame. */
static __attribute__((noinline)) void decide_options(const struct record_maker *maker, int fd,
                                                     struct sockinfo *sockinfo,
                                                     struct record *record)
{
    struct decision decision;
    unsigned phases = sockinfo_phases_behind(sockinfo);
    learn_decision(maker->policy, maker->active, KERNEL_SOCKET(fd), sockinfo, phase_of(record),
                   phases, &decision);
    put_options(maker, &decision, phases, record);
}

static uint64_t cookie_of(int fd, const struct sockinfo *sockinfo)
{
    return (sockinfo->known & FACT_COOKIE) != 0 ? sockinfo->cookie
                                                : kernel_get_cookie(fd, SO_COOKIE);
}

bool record_fill(const struct record_maker *maker, int fd, struct sockinfo *sockinfo,
                 const struct decision *decided, struct record *record)
{
    if (!learn_protocol(fd, sockinfo, record) || !is_reportable(record))
        return false;
    learn_ends(fd, sockinfo, record);
    if (!find_rule(maker, fd, sockinfo, record))
        return false;
    if (record->cookie == 0)
        record->cookie = cookie_of(fd, sockinfo);
    if (record->cookie == 0)
        return false;
    put_addresses(sockinfo, record);
    unsigned phases = sockinfo_phases_behind(sockinfo);
    if ((record->flags & (RECORD_REFUSED | RECORD_UNANSWERED)) != 0)
        phases &= ~PHASE_BIT(PHASE_CONNECTED);
    if (decided != NULL)
        put_options(maker, decided, phases, record);
    else
        decide_options(maker, fd, sockinfo, record);
    return true;
}

bool record_fill_begun(const struct record_maker *maker, int fd, struct sockinfo *sockinfo,
                       struct record *record)
{
    if (!learn_protocol(fd, sockinfo, record) || record->kind != RECORD_CONNECT)
        return false;
    struct sockinfo now = *sockinfo;
    unsigned known = now.known | now.unavailable;
    if (!find_rule(maker, fd, &now, record) ||
        ((now.known | now.unavailable) & ~known & FACT_LOCAL) != 0)
        return false;
    record->cookie = cookie_of(fd, &now);
    put_addresses(&now, record);
    return record->cookie != 0;
}

bool record_fill_known(const struct record_maker *maker, struct sockinfo *sockinfo,
                       struct record *record)
{
    /* No fact is missing, so no descriptor is needed. */
    if (!find_rule(maker, -1, sockinfo, record))
        return false;
    put_addresses(sockinfo, record);
    decide_options(maker, -1, sockinfo, record);
    return true;
}

const struct policy_rule *record_rule(const struct record_maker *maker, const struct record *record)
{
    uint32_t rule = report_rule(maker->policy, maker->active, record->rule);
    return record->rule == RECORD_RULE_UNNAMED || rule == NO_REPORT ? NULL
                                                                    : &maker->policy->rules[rule];
}
