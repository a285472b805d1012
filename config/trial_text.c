/* SPDX-License-Identifier: MIT */
#include "trial_text.h"

#include <inttypes.h>
#include <stdio.h>

#define WHOLE 65536u /* the shares of all arms together */
/* So that what is summed up of a trial cannot overflow. */
#define MOST_MAX  1000000000u
#define GUARD_MAX 100000
/* A second, and a week. */
#define UNIT_MIN_NS 1000000000u
#define UNIT_MAX_NS ((uint64_t)7 * 86400 * 1000000000u)

const struct trial_metric_row trial_metrics[] = {
#define METRIC(name, more_is_better, description) {#name, more_is_better, description},
#include "trial_metrics.def"
#undef METRIC
};

void trial_text_write(const struct trial_text *trial, char text[TRIAL_TEXT_SIZE])
{
    size_t used = (size_t)snprintf(
        text, TRIAL_TEXT_SIZE,
        "%" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %u %u %u %u %u %u", trial->id,
        trial->seed, trial->unit_ns, trial->most, trial->low, trial->high, trial->name_length,
        trial->number, trial->arm, trial->arms, trial->metric);
    for (unsigned i = 0; i < TRIAL_METRICS; i++)
        used += (size_t)snprintf(text + used, TRIAL_TEXT_SIZE - used, " %d", trial->guards[i]);
}

static bool in_range(const struct trial_text *trial)
{
    for (unsigned i = 0; i < TRIAL_METRICS; i++)
        if (trial->guards[i] < -99 || trial->guards[i] > GUARD_MAX)
            return false;
    if (trial->unit_ns != 0 && (trial->unit_ns < UNIT_MIN_NS || trial->unit_ns > UNIT_MAX_NS))
        return false;
    return trial->most <= MOST_MAX && trial->low <= trial->high && trial->high <= WHOLE &&
           trial->number < POLICY_TRIALS_MAX && trial->arms >= 2 &&
           trial->arms <= POLICY_TRIAL_ARMS_MAX && trial->arm < trial->arms &&
           trial->metric < TRIAL_METRICS;
}

bool trial_text_read(const char *text, struct trial_text *trial)
{
    int used = 0;
    if (sscanf(text, "%" SCNx64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %u %u %u %u %u %u %u%n",
               &trial->id, &trial->seed, &trial->unit_ns, &trial->most, &trial->low, &trial->high,
               &trial->name_length, &trial->number, &trial->arm, &trial->arms, &trial->metric,
               &used) != 11)
        return false;
    for (unsigned i = 0; i < TRIAL_METRICS; i++) {
        int more = 0;
        if (sscanf(text + used, " %d%n", &trial->guards[i], &more) != 1)
            return false;
        used += more;
    }
    return text[used] == '\0' && in_range(trial);
}
