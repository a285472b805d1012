/* SPDX-License-Identifier: MIT */
/*
 * The table of trials: joining and ending.
 */
#include "trials.h"

#include "log.h"
#include "trial_count.h"
#include "trial_ends.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

struct trials {
    struct trial_state *all[TRIALS_MAX];
    size_t count;
    uint32_t last_number;
    struct trial_ends ends;
};

/* Returns at most `length` bytes of the text, as UTF-8; malloc()ed, or NULL. */
static char *utf8_part(const char *text, size_t length)
{
    char *part = strndup(text, length), *escaped = part != NULL ? utf8_escaped(part) : NULL;
    free(part);
    return escaped;
}

static void free_trial(struct trial_state *trial)
{
    for (unsigned i = 0; i < POLICY_TRIAL_ARMS_MAX; i++)
        free(trial->arms[i].name);
    free(trial->name);
    free(trial);
}

struct trials *trials_new(const char *ends)
{
    struct trials *trials = calloc(1, sizeof *trials);
    if (trials != NULL)
        trial_ends_read(&trials->ends, ends);
    return trials;
}

void trials_free(struct trials *trials)
{
    if (trials == NULL)
        return;
    for (size_t i = 0; i < trials->count; i++)
        free_trial(trials->all[i]);
    trial_ends_free(&trials->ends);
    free(trials);
}

const struct trial_state *trials_at(const struct trials *trials, size_t n)
{
    return n < trials->count ? trials->all[n] : NULL;
}

struct trial_state *trials_find(struct trials *trials, uint32_t number)
{
    for (size_t i = 0; i < trials->count; i++)
        if (trials->all[i]->number == number)
            return trials->all[i];
    return NULL;
}

const struct trial_state *trials_get(const struct trials *trials, uint32_t number)
{
    return trials_find((struct trials *)trials, number);
}

struct trial_finding trial_find(const struct trial_state *trial, unsigned arm)
{
    const struct trial_arm_state *state = &trial->arms[arm];
    struct trial_interval interval =
        trial_interval_of(&state->pairs, TRIAL_ALPHA / (trial->text.arms - 1));
    struct trial_finding finding = {trial_ratio(&trial->arms[0].values, &state->values), interval,
                                    TRIAL_UNDECIDED};
    bool more = interval.low > 1, less = interval.high < 1;
    if (more || less)
        finding.verdict =
            more == trial_metrics[trial->text.metric].more_is_better ? TRIAL_BETTER : TRIAL_WORSE;
    return finding;
}

/* Coming and going */

static struct trial_state *find_defined(const struct trials *trials, uid_t uid, uint64_t id)
{
    for (size_t i = 0; i < trials->count; i++)
        if (trials->all[i]->uid == uid && trials->all[i]->text.id == id)
            return trials->all[i];
    return NULL;
}

/* Removes the user's trial that programs have not registered for the longest time. */
static void evict_oldest(struct trials *trials, uid_t uid)
{
    size_t oldest = trials->count;
    for (size_t i = 0; i < trials->count; i++)
        if (trials->all[i]->uid == uid &&
            (oldest == trials->count || trials->all[i]->used < trials->all[oldest]->used))
            oldest = i;
    if (oldest == trials->count)
        return;
    free_trial(trials->all[oldest]);
    trials->count--;
    memmove(trials->all + oldest, trials->all + oldest + 1,
            (trials->count - oldest) * sizeof(struct trial_state *));
}

static bool make_trial_room(struct trials *trials, uid_t uid)
{
    size_t own = 0;
    for (size_t i = 0; i < trials->count; i++)
        own += trials->all[i]->uid == uid;
    if (own == TRIALS_USER_MAX || (own > 0 && trials->count == TRIALS_MAX))
        evict_oldest(trials, uid);
    return trials->count < TRIALS_MAX;
}

static struct trial_state *make_trial(struct trials *trials, uid_t uid, const char *rule,
                                      const struct trial_text *text)
{
    struct trial_state *trial = make_trial_room(trials, uid) ? calloc(1, sizeof *trial) : NULL;
    const char *reason;
    if (trial == NULL)
        return NULL;
    trial->name = utf8_part(rule, text->name_length);
    if (trial->name == NULL) {
        free(trial);
        return NULL;
    }
    trial->number = ++trials->last_number;
    trial->uid = uid;
    trial->text = *text;
    reason = trial_ends_find(&trials->ends, uid, text->id);
    trial->ended = reason != NULL;
    if (reason != NULL)
        snprintf(trial->reason, sizeof trial->reason, "%s", reason);
    trials->all[trials->count++] = trial;
    return trial;
}

/* Programs are untrusted: all arms must define the same trial. The id is a hash that includes its
 * name. */
static bool is_of(const struct trial_state *trial, const struct trial_text *text)
{
    struct trial_text common = trial->text;
    common.low = text->low;
    common.high = text->high;
    common.arm = text->arm;
    common.number = text->number;
    return memcmp(&common, text, sizeof common) == 0;
}

/* Stores the name of the arm. False if the arm has another name, or if another arm has this
 * name. */
static bool name_arm(struct trial_state *trial, unsigned arm, const char *rule)
{
    char *name = utf8_part(rule + trial->text.name_length + 1, strlen(rule));
    bool good = name != NULL;
    for (unsigned i = 0; good && i < trial->text.arms; i++)
        if (trial->arms[i].name != NULL)
            good = (strcmp(trial->arms[i].name, name) == 0) == (i == arm);
    if (!good || trial->arms[arm].name != NULL)
        free(name);
    else
        trial->arms[arm].name = name;
    return good;
}

uint32_t trials_join(struct trials *trials, uid_t uid, const char *rule,
                     const struct trial_text *text, uint64_t now)
{
    struct trial_state *trial = find_defined(trials, uid, text->id);
    if (text->name_length >= strlen(rule) || rule[text->name_length] != '/')
        return 0;
    if (trial == NULL)
        trial = make_trial(trials, uid, rule, text);
    if (trial == NULL || !is_of(trial, text) || !name_arm(trial, text->arm, rule))
        return 0;
    trial->used = now;
    return trial->number;
}

/* Ending */

static void end_trial(struct trials *trials, struct trial_state *trial, const char *reason)
{
    trial->ended = true;
    snprintf(trial->reason, sizeof trial->reason, "%s", reason);
    if (!trial_ends_add(&trials->ends, trial->uid, trial->text.id, reason))
        helper_log(LOG_WARNING, "that a trial has ended is forgotten when the helper ends");
    helper_log_user(LOG_NOTICE, trial->uid, "the trial \"%s\" of user %u has ended: %s",
                    trial->name, (unsigned)trial->uid, reason);
}

static void end_if_due(struct trials *trials, struct trial_state *trial)
{
    char reason[TRIAL_REASON];
    if (!trial->ended && trial_is_due_to_end(trial, reason))
        end_trial(trials, trial, reason);
}

void trials_count(struct trials *trials, uint32_t number, unsigned arm,
                  const struct trial_connection *connection, uint64_t now)
{
    struct trial_state *trial = trials_find(trials, number);
    if (trial == NULL || trial->ended || arm >= trial->text.arms)
        return;
    trial_count_connection(trial, arm, connection, now);
    end_if_due(trials, trial);
}

void trials_each_second(struct trials *trials, uint64_t now)
{
    for (size_t i = 0; i < trials->count; i++) {
        if (trials->all[i]->ended)
            continue;
        trial_settle(trials->all[i], now);
        end_if_due(trials, trials->all[i]);
    }
}

unsigned trials_stop(struct trials *trials, const char *name, bool one_user, uid_t uid)
{
    unsigned stopped = 0;
    for (size_t i = 0; i < trials->count; i++) {
        struct trial_state *trial = trials->all[i];
        if (trial->ended || strcmp(trial->name, name) != 0 || (one_user && trial->uid != uid))
            continue;
        end_trial(trials, trial, "stopped by hand");
        stopped++;
    }
    return stopped;
}
