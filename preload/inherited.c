/* SPDX-License-Identifier: MIT */
/*
 * Sockets handed over on purpose have known numbers. For others, /proc/self/fd lists all
 * descriptors in two or three system calls, and only sockets are examined. Without /proc, other
 * sockets are not found.
 */
#include "inherited.h"

#include "apply.h"
#include "backlog.h"
#include "bytes.h"
#include "descriptors.h"
#include "kernel.h"
#include "learn.h"
#include "multipath.h"
#include "report.h"
#include "tune.h"

/* Applies the phases that the socket has passed. A `default` keeps what the socket's creator has
 * set. */
static void apply_past_phases(const struct rules_in_force *rules, int fd, struct sockinfo *sockinfo,
                              const struct active *active, enum phase phase)
{
    struct decision decision;
    unsigned phases = sockinfo_phases_behind(sockinfo);
    learn_decision(&rules->policy, active, OWN_SOCKET(fd), sockinfo, phase, phases, &decision);
    if (sockinfo_is_connection(sockinfo))
        apply_drop_early(&rules->policy, &decision);
    tune_apply_afterwards(rules, fd, sockinfo, &decision, phases);
}

static void tune_inherited_socket(int fd, const struct active *active)
{
    struct sockinfo sockinfo;
    if (!learn_history(OWN_SOCKET(fd), &sockinfo))
        return;
    apply_past_phases(&state.rules, fd, &sockinfo, active, PHASE_SOCKET);
    if (active->count != 0 && (sockinfo.roles & ROLE_LISTEN) != 0) {
        waiting_count(fd);
        if (tunes_at(PHASE_FALLBACK))
            multipath_note_listener(fd, sockinfo.protocols);
    }
    report_inherited(&state.rules, fd, &sockinfo);
}

void inherited_tune_accepted(const struct rules_in_force *rules, int fd)
{
    struct sockinfo sockinfo;
    sockinfo_at_accept(&sockinfo);
    apply_past_phases(rules, fd, &sockinfo, &rules->active, PHASE_ACCEPT);
}

void inherited_tune_listener(const struct rules_in_force *rules, int fd)
{
    struct sockinfo sockinfo;
    if (learn_history(OWN_SOCKET(fd), &sockinfo) && (sockinfo.roles & ROLE_LISTEN) != 0)
        apply_past_phases(rules, fd, &sockinfo, &rules->active, PHASE_SOCKET);
}

static bool is_socket(int directory, const char *name)
{
    char target[8] = {0};
    return kernel_call(SYS_readlinkat, directory, name, target, sizeof target - 1) > 0 &&
           bytes_equal(target, "socket:", 7);
}

static bool has_rule_for_leaked(void)
{
    for (uint32_t i = 0; i < state.rules.active.count; i++)
        if ((state.rules.policy.rules[state.rules.active.rules[i]].flags & RULE_INHERITED) != 0)
            return true;
    return false;
}

struct leaked {
    int first; /* the lowest descriptor to examine */
    const struct active *active;
};

static bool tune_leaked(void *context, int directory, const char *name, int number)
{
    const struct leaked *leaked = context;
    if (number >= leaked->first && is_socket(directory, name))
        tune_inherited_socket(number, leaked->active);
    return true;
}

void inherited_tune_sockets(int handed_over, bool reported)
{
    for (int fd = 0; fd < handed_over; fd++)
        tune_inherited_socket(fd, &state.rules.active);
    size_t size = state.rules.active.count * sizeof(uint32_t);
    uint32_t *rules = NULL;
    struct active inherited = {NULL, 0};
    if (has_rule_for_leaked() && (rules = kernel_map(size)) != NULL)
        inherited = (struct active){
            rules, active_rules_inherited(&state.rules.policy, &state.rules.active, rules)};
    if (!confined_now() && (inherited.count != 0 || reported))
        descriptors_each(tune_leaked, &(struct leaked){handed_over, &inherited});
    if (rules != NULL)
        kernel_call(SYS_munmap, rules, size);
}
