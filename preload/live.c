/* SPDX-License-Identifier: MIT */
/*
 * Taking over new rules. Theory of operation:
 *
 * The helper writes a policy into memory that it shares with the program (published.h). A hook
 * compares its generation with that of the rules in force. If they differ, the first thread that
 * claims the generation copies the policy into a free slot, checks it, decides which rules are for
 * this program, and puts the slot in force by one atomic exchange of a word. Other threads continue
 * with the rules that they find; nobody waits.
 *
 * Each slot counts the hooks that use it. A hook increments the count, then checks again that the
 * slot is still in force. A slot is filled only while it is not in force and its count is 0. A hook
 * makes no call that may block while it is counted. A hook that never returns (a signal handler
 * leaves it by siglongjmp(), or its thread is killed) makes its slot unusable. When no slot is
 * left, the rules in force stay, and published.refused reports that. A thread that dies while it
 * fills a slot makes the slot unusable too; these rules are lost, later rules are not.
 *
 * A forked child has its own copy of everything but the published policy. It can claim again what a
 * thread of its parent was about to take over, since a claim contains the process id.
 */
#include "live.h"

#include "confined.h"
#include "kernel.h"
#include "multipath.h"
#include "own_pid.h"
#include "report.h"
#include "rules_begin.h"
#include "text.h"
#include "trace.h"

#include <errno.h>
#include <linux/limits.h>

#define SLOTS      4u
#define START_SLOT SLOTS /* value in `in_force` for state.rules */
#define SLOT_BITS  3u
#define SLOT_MASK  ((1u << SLOT_BITS) - 1)
/* Behind a policy: 4 bytes for each rule of 80 bytes, 2 for each option of 16. */
#define EXTRA_ROOM (PUBLISHED_ROOM / 8 + 64)

struct live_slot {
    struct rules_in_force rules;
    uint32_t users;   /* hooks that use `rules` */
    uint32_t filling; /* id of the process that fills it; 0: none */
    struct rules_report report;
    uint8_t extra[EXTRA_ROOM] __attribute__((aligned(8)));
    uint8_t policy[PUBLISHED_ROOM] __attribute__((aligned(8)));
};

struct live_state {
    uint64_t in_force __attribute__((aligned(64))); /* generation << SLOT_BITS | slot */
    uint64_t claimed;                               /* generation << 32 | process */
    struct published *published;
    struct register_live plan;
    struct identity identity;
    /* All zero: a default is read when it is needed. */
    struct default_value defaults[DEFAULT_KINDS * POLICY_OPTIONS_MAX];
    struct live_slot slots[SLOTS];
};

struct live_state *live_state;

/* The start */

static size_t bytes_of(const char *text)
{
    return text != NULL ? text_length(text) + 1 : 0;
}

static const char *copy_text(char **to, const char *text)
{
    const size_t size = bytes_of(text);
    const char *copy = *to;
    if (text == NULL)
        return NULL;
    __builtin_memcpy(*to, text, size);
    *to += size;
    return copy;
}

/* Copies are needed: the program may overwrite its arguments and change its directory. */
static bool copy_names(struct live_state *made, const struct live_begin *begin)
{
    const struct identity *from = begin->identity;
    char directory[PATH_MAX];
    size_t count = 0, size = bytes_of(from->executable) + bytes_of(from->cgroup);
    while (from->argv[count] != NULL)
        size += bytes_of(from->argv[count++]);
    directory[0] = 0;
    if (begin->rules[0] != '/' && kernel_call(SYS_getcwd, directory, sizeof directory) < 0)
        return false;
    const size_t pointers = (count + 1) * sizeof(char *);
    const char **argv =
        kernel_map(pointers + size + text_length(directory) + 1 + bytes_of(begin->rules));
    if (argv == NULL)
        return false;
    char *to = (char *)argv + pointers;
    made->identity = *from;
    made->identity.argv = argv;
    made->identity.executable = copy_text(&to, from->executable);
    made->identity.cgroup = copy_text(&to, from->cgroup);
    for (size_t i = 0; i < count; i++)
        argv[i] = copy_text(&to, from->argv[i]);
    made->plan.rules = to;
    if (directory[0] != 0) {
        (void)copy_text(&to, directory);
        to[-1] = '/';
    }
    (void)copy_text(&to, begin->rules);
    return true;
}

bool live_start(const struct live_begin *begin, struct register_live *plan)
{
    struct live_state *made = kernel_map(sizeof *made);
    struct ring *place = kernel_map(registration_memory(RING_SIZE(RING_SLOTS), PUBLISHED_ROOM));
    if (made == NULL || place == NULL || !own_pid_start() || !copy_names(made, begin))
        return false;
    made->plan.executable =
        made->identity.executable != NULL ? text_basename(made->identity.executable) : NULL;
    made->plan.device = begin->device;
    made->plan.inode = begin->inode;
    made->plan.user = begin->identity->uid;
    made->plan.place = place;
    made->published =
        (struct published *)(void *)((uint8_t *)place + PUBLISHED_AT(RING_SIZE(RING_SLOTS)));
    made->in_force = START_SLOT;
    *plan = made->plan;
    live_state = made;
    return true;
}

/* Slots */

static uint64_t generation_of(uint64_t word)
{
    return word >> SLOT_BITS;
}

/* The slot that contains these rules. */
static struct live_slot *slot_of(const struct rules_in_force *rules)
{
    const size_t offset = (size_t)((const uint8_t *)rules - (const uint8_t *)live_state->slots);
    return &live_state->slots[offset / sizeof(struct live_slot)];
}

static const struct rules_in_force *rules_in_slot(uint64_t word)
{
    const unsigned number = (unsigned)word & SLOT_MASK;
    return number < SLOTS ? &live_state->slots[number].rules : &state.rules;
}

static void note_user(const struct rules_in_force *rules, uint32_t change)
{
    if (rules != &state.rules)
        __atomic_fetch_add(&slot_of(rules)->users, change, __ATOMIC_SEQ_CST);
}

/* Claims an unused slot for this thread to fill; NULL if there is none. After fork(), a slot that a
 * thread of the parent was filling is free. */
static struct live_slot *claim_slot(uint64_t in_force, uint32_t pid)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct live_slot *slot = &live_state->slots[i];
        uint32_t filling = __atomic_load_n(&slot->filling, __ATOMIC_RELAXED);
        if (i == (in_force & SLOT_MASK) || filling == pid ||
            !__atomic_compare_exchange_n(&slot->filling, &filling, pid, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_RELAXED))
            continue;
        if (__atomic_load_n(&slot->users, __ATOMIC_SEQ_CST) == 0 &&
            __atomic_load_n(&live_state->in_force, __ATOMIC_SEQ_CST) == in_force)
            return slot;
        __atomic_store_n(&slot->filling, 0, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* Taking over */

/* Copies the published policy, and decides which rules are for this program. */
static enum published_answer fill_slot(struct live_slot *slot)
{
    struct rules_in_force *rules = &slot->rules;
    uint32_t size;
    enum published_answer answer = published_copy(live_state->published, slot->policy,
                                                  sizeof slot->policy, &size, &rules->generation);
    if (answer != PUBLISHED_TAKEN)
        return answer;
    if (policy_open_blob(&rules->policy, slot->policy, size) != NULL)
        return PUBLISHED_MALFORMED;
    rules->report = &slot->report;
    rules->defaults = live_state->defaults;
    return rules_begin(rules, &live_state->identity, slot->extra, sizeof slot->extra)
               ? PUBLISHED_TAKEN
               : PUBLISHED_MALFORMED;
}

static void answer_refused(struct published *published, uint64_t generation,
                           enum published_answer reason)
{
    __atomic_store_n(&published->reason, (uint32_t)reason, __ATOMIC_RELAXED);
    __atomic_store_n(&published->refused, generation, __ATOMIC_RELEASE);
}

/* Puts a filled slot in force. False if other rules have come into force since `before`. */
static bool put_in_force(const struct live_slot *slot, uint64_t before)
{
    const uint64_t word =
        slot->rules.generation << SLOT_BITS | (uint64_t)(slot - live_state->slots);
    return __atomic_compare_exchange_n(&live_state->in_force, &before, word, false,
                                       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static enum published_answer take_into(struct live_slot *slot, uint64_t before)
{
    enum published_answer answer = fill_slot(slot);
    if (answer == PUBLISHED_TAKEN) {
        report_prepare(&slot->rules, &live_state->plan);
        if (!put_in_force(slot, before))
            answer = PUBLISHED_AGAIN;
    }
    if (answer == PUBLISHED_TAKEN) {
        __atomic_store_n(&live_state->published->adopted, slot->rules.generation, __ATOMIC_RELEASE);
        trace_taken(&slot->rules);
    }
    __atomic_store_n(&slot->filling, 0, __ATOMIC_SEQ_CST);
    return answer;
}

/* noinline: keeps the hooks' frames small. */
static __attribute__((noinline)) void take_over(uint64_t generation)
{
    struct published *const published = live_state->published;
    const uint32_t pid = own_pid();
    const uint64_t claim = generation << 32 | pid;
    uint64_t before = __atomic_load_n(&live_state->in_force, __ATOMIC_SEQ_CST);
    uint64_t claimed = __atomic_load_n(&live_state->claimed, __ATOMIC_RELAXED);
    enum published_answer answer = PUBLISHED_CONFINED;
    if (claimed == claim || !__atomic_compare_exchange_n(&live_state->claimed, &claimed, claim,
                                                         false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return;
    if (!confined_now()) {
        struct live_slot *slot = claim_slot(before, pid);
        answer = slot != NULL ? take_into(slot, before) : PUBLISHED_NO_SLOT;
    }
    if (answer != PUBLISHED_TAKEN && answer != PUBLISHED_AGAIN)
        answer_refused(published, generation, answer);
    /* An attempt that did not finish is repeated at the next call. */
    claimed = claim;
    if (answer == PUBLISHED_AGAIN || answer == PUBLISHED_NO_SLOT)
        __atomic_compare_exchange_n(&live_state->claimed, &claimed, 0, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED);
}

/* Hooks */

/* The published generation if it differs from that in force, else 0. */
static uint64_t newer_generation(void)
{
    const uint64_t generation = published_generation(live_state->published);
    const uint64_t in_force = __atomic_load_n(&live_state->in_force, __ATOMIC_RELAXED);
    return generation << SLOT_BITS >> SLOT_BITS == generation_of(in_force) ? 0 : generation;
}

static void look_for_new(void)
{
    const uint64_t generation = newer_generation();
    if (__builtin_expect(generation != 0, 0)) {
        int saved = errno;
        take_over(generation);
        errno = saved;
    }
}

const struct rules_in_force *live_enter(void)
{
    look_for_new();
    for (;;) {
        const uint64_t word = __atomic_load_n(&live_state->in_force, __ATOMIC_SEQ_CST);
        const struct rules_in_force *rules = rules_in_slot(word);
        note_user(rules, 1);
        if (__atomic_load_n(&live_state->in_force, __ATOMIC_SEQ_CST) == word) {
            report_stay_registered(rules);
            return rules;
        }
        live_leave(rules);
    }
}

const struct rules_in_force *live_enter_again(const struct rules_in_force *rules,
                                              uint64_t generation)
{
    if (rules == &state.rules)
        return rules;
    note_user(rules, 1);
    if (__atomic_load_n(&slot_of(rules)->filling, __ATOMIC_SEQ_CST) == 0 &&
        rules->generation == generation)
        return rules;
    live_leave(rules);
    return live_enter();
}

void live_leave(const struct rules_in_force *rules)
{
    note_user(rules, (uint32_t)-1);
}

bool live_is_idle(unsigned roles)
{
    /* The slot is not entered: this is only a hint, and the memory is always mapped. */
    return newer_generation() == 0 &&
           (rules_in_slot(__atomic_load_n(&live_state->in_force, __ATOMIC_RELAXED))->reports &
            roles) == 0;
}
