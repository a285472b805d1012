/* SPDX-License-Identifier: MIT */
#include "trial.h"

/* The finalizer of SplitMix64 (Steele, Lea and Flood 2014). */
static uint64_t finalise_hash(uint64_t z)
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint64_t trial_hash(uint64_t seed, uint64_t number)
{
    return finalise_hash(finalise_hash(seed + 0x9e3779b97f4a7c15u) + number);
}

/* A Fisher-Yates shuffle gives the order of a block. */
unsigned trial_arm_of_interval(uint64_t seed, unsigned arms, uint64_t interval)
{
    uint64_t random = trial_hash(seed, interval / arms);
    uint8_t order[POLICY_TRIAL_ARMS_MAX] = {0};
    for (unsigned i = 0; i < arms; i++)
        order[i] = (uint8_t)i;
    for (unsigned left = arms; left > 1; left--) {
        unsigned chosen = (unsigned)((random >> 32) % left);
        uint8_t last = order[left - 1];
        order[left - 1] = order[chosen];
        order[chosen] = last;
        random = finalise_hash(random);
    }
    return order[interval % arms];
}

uint32_t trial_missing(const struct policy_trial *arm, const struct sockinfo *sockinfo)
{
    if ((sockinfo->known & FACT_MOMENT) == 0)
        return FACT_MOMENT;
    return arm->unit_ns == 0 ? FACT_COOKIE & ~(uint32_t)sockinfo->known : 0;
}

bool trial_is_in(const struct policy_trial *arm, const struct sockinfo *sockinfo)
{
    const struct trial_moment *moment = &sockinfo->moment;
    if (moment->forced != 0)
        return moment->forced == arm->arm + 1 && moment->forced_trial == arm->number;
    if ((moment->ended >> arm->number & 1) != 0)
        return arm->arm == 0;
    if (arm->unit_ns != 0)
        return trial_arm_of_interval(arm->seed, arm->arms, moment->time_ns / arm->unit_ns) ==
               arm->arm;
    uint32_t share = (uint32_t)(trial_hash(arm->seed, sockinfo->cookie) >> 48);
    return arm->low <= share && share < arm->high;
}
