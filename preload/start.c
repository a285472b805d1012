/* SPDX-License-Identifier: MIT */
/*
 * The constructor: find the functions behind ours, load the policy, pick the rules that are for
 * this program, and publish them for the hooks. Theory of operation:
 *
 * The object is linked with -z initfirst, so that on glibc this runs before every other
 * constructor, even libc's own. If another object in the process has taken initfirst, other
 * constructors may call hooks before this ran; the hooks then pass through.
 *
 * Without rules for this program nothing is left behind but a table of pointers; with rules, those
 * that could be for a program of its name (policy_reader.h). In no case does a
 * descriptor stay open. Strings of argv and of the environment are copied if they are kept: a
 * program may overwrite them (setproctitle()). errno is kept.
 */
#include "confined.h"
#include "inherited.h"
#include "kernel.h"
#include "load.h"
#include "multipath.h"
#include "own_executable.h"
#include "process_start.h"
#include "protect.h"
#include "real.h"
#include "reconnect.h"
#include "report.h"
#include "take_defaults.h"
#include "text.h"
#include "trace.h"
#include "tune.h"
#include "weak_libc.h"

#include <elf.h>
#include <errno.h>
#include <linux/limits.h>
#include <sys/auxv.h>

#define EXIT_BAD_RULES 78 /* EX_CONFIG of sysexits.h */

/* The options whose setting by the program concerns an active rule, without repetition. */
static void collect_guards(uint16_t *guards)
{
    const struct policy *policy = &state.policy;
    bool seen[POLICY_OPTIONS_MAX] = {false};
    for (uint32_t i = 0; i < state.active.count; i++) {
        const struct policy_rule *rule = &policy->rules[state.active.rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++) {
            const struct policy_action *action = &policy->actions[rule->actions.first + a];
            if (!policy_is_guard(action) || seen[action->option])
                continue;
            seen[action->option] = true;
            guards[state.guard_count++] = action->option;
        }
    }
    state.guards = guards;
}

/* Does a rule ask for more than getsockopt() and setsockopt()? `default` looks at fresh sockets,
 * `force` and `ignore` at send queues, to learn what a socket is. */
static bool asks_for_more(const struct policy_rule *rule)
{
    bool more = (rule->flags & (RULE_REPORT | RULE_INHERITED)) != 0;
    for (uint32_t a = 0; a < rule->actions.count && !more; a++)
        more = state.policy.actions[rule->actions.first + a].mode != MODE_SET;
    return more;
}

/* Whether a filter was there before is asked only where it matters: it takes time. */
static void watch_confinement(void)
{
    bool more = false;
    for (uint32_t i = 0; i < state.active.count && !more; i++)
        more = asks_for_more(&state.policy.rules[state.active.rules[i]]);
    confined_watch(more && confined_at_start());
}

/* At a time when making and closing sockets disturbs nobody. */
static const struct default_value *take_defaults(void)
{
    unsigned families = defaults_families(&state.policy, &state.active);
    struct default_value *defaults = NULL;
    if (families != 0 && !confined_now())
        defaults = kernel_map((size_t)DEFAULT_KINDS * state.policy.option_count * sizeof *defaults);
    if (defaults != NULL)
        defaults_take(&state.policy, &state.active, families, defaults);
    return defaults;
}

static unsigned phases_of_active_rules(void)
{
    unsigned phases = 0;
    for (uint32_t i = 0; i < state.active.count; i++)
        phases |= state.policy.rules[state.active.rules[i]].phases;
    return phases;
}

/* Everything that depends on which rules are for this program. `extra` is the room behind the
 * policy: active rules first, then guards. */
static void publish(const struct identity *identity, void *extra,
                    const struct helper_environment *helper, int handed_over)
{
    uint32_t *rules = extra;
    if (state.policy.rule_count == 0)
        return;
    state.active.rules = rules;
    state.active.count = active_rules(&state.policy, identity, rules);
    if (state.active.count == 0)
        return;
    collect_guards((uint16_t *)(rules + state.active.count));
    watch_confinement();
    state.defaults = take_defaults();
    unsigned phases = phases_of_active_rules();
    unsigned reported = report_start(helper);
    if ((phases & (PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED))) != 0 || reported != 0)
        reconnect_start();
    __atomic_store_n(&state.reports, reported, __ATOMIC_RELEASE);
    __atomic_store_n(&state.phases, phases | multipath_start(), __ATOMIC_RELEASE);
    if (handed_over != 0 && (phases != 0 || reported != 0))
        adopt_sockets(handed_over, reported != 0);
}

static bool asks_for_path(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->matcher_count; i++)
        if (policy->matchers[i].kind == MATCHER_PATH)
            return true;
    return false;
}

/* Copy what is kept of argv and of the environment. A trace takes system calls that a filter may
 * kill for. */
static void keep_names(const char *argv0, const char *trace)
{
    static char program_bytes[64];
    struct text program = TEXT(program_bytes);
    text_put(&program, argv0 != NULL ? text_basename(argv0) : "?");
    state.program = program_bytes;
    if (trace == NULL || trace[0] == 0 || confined_at_start())
        return;
    struct text path = {.bytes = kernel_map(PATH_MAX), .size = PATH_MAX};
    if (path.bytes == NULL)
        return;
    text_put(&path, trace);
    state.trace = path.bytes;
}

static void tune_program(const struct process_start *start, const struct settings *settings)
{
    struct own_executable executable;
    char cgroup[PATH_MAX];
    struct identity identity = {
        .argv = start->argv, .uid = settings->owner.uid, .gid = (uint32_t)getauxval(AT_EGID)};
    void *extra = NULL;
    const char *rules;
    keep_names(start->argv[0], settings->trace);
    trace_journal(settings->journal);
    own_executable_begin(&executable, start->argv[0]);
    enum load_result loaded = load_policy(settings, &executable, &state.policy, &extra, &rules);
    if (loaded != LOAD_OK && settings->strict)
        kernel_call(SYS_exit_group, EXIT_BAD_RULES);
    if (loaded != LOAD_OK)
        return;
    if (state.policy.rule_count != 0)
        own_executable_find(&executable,
                            asks_for_path(&state.policy) ? EXECUTABLE_PATH : EXECUTABLE_NAME);
    identity.executable = executable.path;
    if ((policy_needs(&state.policy) & NEED_CGROUP) != 0)
        identity.cgroup = process_start_cgroup(cgroup, sizeof cgroup);
    const struct helper_environment helper = {.socket = settings->helper,
                                              .runtime = settings->runtime};
    publish(&identity, extra, &helper, settings->handed_over);
    if (state.active.count == 0)
        policy_release(&state.policy);
    else
        policy_protect(&state.policy);
    trace_start(rules);
}

__attribute__((constructor)) static void start(int argc, char **argv, char **environment)
{
    if (dl_iterate_phdr == NULL) /* no libc: weak_libc.h */
        return;
    int saved = errno;
    struct process_start found;
    real_find();
    process_start_find(&found, argc, argv, environment);
    struct settings settings = process_start_settings(&found);
    if (!settings.disable && &socktune_never_tune == NULL)
        tune_program(&found, &settings);
    protect_data();
    errno = saved;
}
