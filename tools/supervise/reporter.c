/* SPDX-License-Identifier: MIT */
/*
 * Registering with the helper on behalf of programs, and writing records.
 */
#include "reporter.h"
#include "record.h"
#include "register.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPORTERS_MAX 64u

struct target_reporter {
    char program[64];
    struct active active;
    struct register_state state;
    struct register_plan plan;
    uint16_t results[POLICY_OPTIONS_MAX];
    struct record_maker maker;
};

static struct {
    struct target_reporter *reporters[REPORTERS_MAX];
    size_t count;
} list;

uint64_t reporter_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

struct ring *reporter_ring(struct target_reporter *reporter)
{
    uint64_t now = reporter_clock();
    if (register_is_due(&reporter->state, now))
        register_again(&reporter->state, &reporter->plan, (uint32_t)getpid(), now);
    return reporter->state.ring;
}

static bool is_reporter_of(const struct target_reporter *reporter, const char *program,
                           const struct active *active)
{
    return strcmp(reporter->program, program) == 0 && reporter->active.count == active->count &&
           memcmp(reporter->active.rules, active->rules, active->count * sizeof *active->rules) ==
               0;
}

static struct target_reporter *make_reporter(const struct policy *policy, const char *program,
                                             const struct active *active)
{
    const struct helper_environment environment = {getenv("SOCKTUNE_HELPER"),
                                                   getenv("XDG_RUNTIME_DIR")};
    struct target_reporter *reporter = calloc(1, sizeof *reporter);
    uint32_t *rules = malloc((active->count + 1) * sizeof *rules);
    if (reporter == NULL || rules == NULL) {
        free(rules);
        free(reporter);
        return NULL;
    }
    memcpy(rules, active->rules, active->count * sizeof *rules);
    snprintf(reporter->program, sizeof reporter->program, "%s", program);
    reporter->active = (struct active){rules, active->count};
    reporter->state.distance = REGISTER_DISTANCE_NS;
    register_prepare(&reporter->plan, &environment, program, policy, &reporter->active, NULL);
    /* What is never given from outside counts as nothing. */
    for (size_t i = 0; i < POLICY_OPTIONS_MAX; i++)
        reporter->results[i] = RECORD_KEPT;
    reporter->maker = (struct record_maker){policy, &reporter->active, reporter->results,
                                            reporter->plan.head.rule_count};
    return reporter;
}

struct target_reporter *reporter_find(const struct policy *policy, const char *program,
                                      const struct active *active)
{
    struct target_reporter *made;
    for (size_t i = 0; i < list.count; i++)
        if (is_reporter_of(list.reporters[i], program, active))
            return list.reporters[i];
    made = list.count < REPORTERS_MAX ? make_reporter(policy, program, active) : NULL;
    if (made != NULL) {
        list.reporters[list.count++] = made;
        reporter_ring(made);
    }
    return made;
}

void reporter_note(struct target_reporter *reporter, uint32_t option, unsigned result)
{
    __atomic_store_n(&reporter->results[option], (uint16_t)result, __ATOMIC_RELAXED);
}

void reporter_note_moment(struct target_reporter *reporter, struct sockinfo *sockinfo)
{
    uint64_t now = reporter_clock();
    const struct ring *ring = reporter->plan.trials ? reporter_ring(reporter) : NULL;
    if (ring == NULL || !ring_is_read(ring, now))
        return;
    sockinfo->moment.time_ns = now;
    sockinfo->moment.ended = __atomic_load_n(&ring->header.ended, __ATOMIC_RELAXED);
    sockinfo->known |= FACT_MOMENT;
}

static uint16_t protocol_of_bit(unsigned protocol)
{
    return protocol == PROTOCOL_MPTCP ? IPPROTO_MPTCP
           : protocol == PROTOCOL_UDP ? IPPROTO_UDP
                                      : IPPROTO_TCP;
}

void reporter_put(const struct socket_entry *entry)
{
    struct sockinfo sockinfo = entry->sockinfo;
    struct record record = {.cookie = entry->cookie,
                            .time_ns = entry->when,
                            .pid = (uint32_t)entry->pid,
                            .interface = entry->interface,
                            .protocol = protocol_of_bit(entry->sockinfo.protocols),
                            .kind = (uint8_t)entry->kind,
                            .flags = entry->adopted ? RECORD_ADOPTED : 0};
    struct ring *ring = reporter_ring(entry->reporter);
    if (ring != NULL && ring->header.netns == entry->netns &&
        record_fill_known(&entry->reporter->maker, &sockinfo, &record))
        ring_put(ring, &record);
}

void reporters_forget(void)
{
    memset(&list, 0, sizeof list);
}
