/* SPDX-License-Identifier: MIT */
/* Which options a trial can compare, and which it cannot. */
#include "compile.h"
#include "parse.h"
#include "rule_trial.h"

#include <string.h>

static bool takes_capacity(const struct option *option)
{
    static const char *const names[] = {
#define SHARED(name) #name,
#include "shared_capacity.def"
#undef SHARED
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(option->name, names[i]) == 0)
            return true;
    return false;
}

/* Sockets of this role want the option, and would never get it. */
static bool is_out_of_reach(const struct rule *arm, const struct setting *setting, unsigned role)
{
    struct setting_target targets[SETTING_TARGETS_MAX];
    struct rule narrowed = *arm;
    narrowed.roles &= (uint8_t)role;
    setting_targets(setting, targets);
    return narrowed.roles != 0 && (setting->option->roles & role) != 0 &&
           target_phases(&narrowed, CRITERIA_REMOTE | CRITERIA_ROLE, setting, &targets[0]) == 0;
}

static bool refuse_setting(struct diagnostics *diagnostics, const struct rule *arm,
                           const struct setting *setting)
{
    const char *name = setting->option->name;
    if (setting->option->kind == KIND_TRANSPORT) {
        diagnose(diagnostics, SEVERITY_ERROR, setting->at,
                 "%s: it is settled when the socket is made, before the arm is known", name);
        return true;
    }
    if (arm->trial->unit_ns == 0 && takes_capacity(setting->option)) {
        diagnose(diagnostics, SEVERITY_ERROR, setting->at,
                 "%s: with unit = \"connection\" the arms would compete: where they share a "
                 "bottleneck, one arm gains what the other loses, and the comparison shows a gain "
                 "that is gone when all connections have the option. Give a time, such as unit = "
                 "\"10min\": then all connections switch together",
                 name);
        return true;
    }
    if (!is_out_of_reach(arm, setting, ROLE_ACCEPT))
        return false;
    diagnose(diagnostics, SEVERITY_ERROR, setting->at,
             "%s: accepted sockets get it from their listener, before the arm is known, so no unit "
             "can give it to them: only a trial with role = \"connect\" can compare it",
             name);
    return true;
}

void trial_refuse_options(struct diagnostics *diagnostics, const struct rule *arm)
{
    bool refused = false;
    for (size_t i = 0; i < arm->setting_count && !refused; i++)
        refused =
            arm->settings[i].option != NULL && refuse_setting(diagnostics, arm, &arm->settings[i]);
}
