/* SPDX-License-Identifier: MIT */
/* /v1/trials. */
#include "answer_json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define NANOSECONDS 1e9

/* JSON has no number for unknown values and infinity; they become null. */
static json_t *number_json(double number)
{
    return isfinite(number) ? json_real(number) : json_null();
}

static json_t *guards_json(const struct trial_state *trial, const struct trial_arm_state *arm)
{
    json_t *guards = json_array();
    for (unsigned i = 0; i < TRIAL_METRICS; i++) {
        const struct trial_guard_count *count = &arm->guards[i];
        if (trial->text.guards[i] != 0)
            json_array_append_new(
                guards,
                json_pack("{s:s, s:i, s:I, s:I, s:b}", "metric", trial_metrics[i].name, "percent",
                          (int)trial->text.guards[i], "beyond", (json_int_t)count->beyond, "within",
                          (json_int_t)count->within, "tripped", trial_guard_trips(count)));
    }
    return guards;
}

static void put_comparison(const struct trial_state *trial, unsigned number, json_t *object)
{
    static const char *const verdicts[] = {"worse", "undecided", "better"};
    const struct trial_arm_state *arm = &trial->arms[number];
    struct trial_finding finding = trial_find(trial, number);
    json_object_set_new(object, "pairs", json_integer((json_int_t)arm->pairs.count));
    json_object_set_new(object, "ratio", number_json(finding.ratio));
    json_object_set_new(object, "low", number_json(finding.interval.low));
    json_object_set_new(object, "high", number_json(finding.interval.high));
    json_object_set_new(object, "verdict", json_string(verdicts[finding.verdict - TRIAL_WORSE]));
    json_object_set_new(object, "guards", guards_json(trial, arm));
}

static json_t *arm_json(const struct trial_state *trial, unsigned number)
{
    const struct trial_arm_state *arm = &trial->arms[number];
    json_t *object = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "name", arm->name != NULL ? arm->name : "",
        "connections", (json_int_t)arm->connections, "warming", (json_int_t)arm->warming,
        "crossing", (json_int_t)arm->crossing, "late", (json_int_t)arm->late, "unknown",
        (json_int_t)arm->unknown, "values", (json_int_t)arm->values.count, "median",
        number_json(trial_summary_median(&arm->values)));
    if (number != 0)
        put_comparison(trial, number, object);
    return object;
}

static json_t *trial_json(const struct trial_state *trial)
{
    json_t *arms = json_array();
    char id[17];
    snprintf(id, sizeof id, "%016" PRIx64, trial->text.id);
    for (unsigned i = 0; i < trial->text.arms; i++)
        json_array_append_new(arms, arm_json(trial, i));
    return json_pack(
        "{s:s, s:s, s:I, s:s, s:s, s:o, s:o, s:I, s:I, s:s, s:s, s:o}", "name", trial->name, "id",
        id, "uid", (json_int_t)trial->uid, "metric", trial_metrics[trial->text.metric].name,
        "better", trial_metrics[trial->text.metric].more_is_better ? "more" : "less", "unit",
        trial->text.unit_ns != 0 ? json_real((double)trial->text.unit_ns / NANOSECONDS)
                                 : json_null(),
        "began", trial->began != 0 ? json_real((double)trial->began / NANOSECONDS) : json_null(),
        "connections", (json_int_t)trial->connections, "most", (json_int_t)trial->text.most,
        "state", trial->ended ? "ended" : "running", "reason", trial->reason, "arms", arms);
}

json_t *answer_trials(const struct trials *trials, bool one_user, uid_t uid)
{
    json_t *list = json_array();
    const struct trial_state *trial;
    for (size_t i = 0; (trial = trials_at(trials, i)) != NULL; i++)
        if (!one_user || trial->uid == uid)
            json_array_append_new(list, trial_json(trial));
    return json_pack("{s:o}", "trials", list);
}
