/* SPDX-License-Identifier: MIT */
/*
 * The constructor: finds the real functions, loads the policy, selects the rules that are for this
 * program, and publishes them for the hooks. Theory of operation:
 *
 * The object is linked with -z initfirst, so on glibc this runs before every other constructor,
 * even libc's own. If another object in the process has taken initfirst, other constructors may
 * call hooks before this has run; those hooks pass through.
 *
 * If no rule is for this program, only a table of pointers stays; otherwise the rules that could be
 * for a program of its name (policy_reader.h). No descriptor stays open. Strings of argv and the
 * environment that are needed later are copied, since a program may overwrite them
 * (setproctitle()). errno is kept.
 */
#include "confined.h"
#include "inherited.h"
#include "kernel.h"
#include "listeners.h"
#include "load.h"
#include "multipath.h"
#include "own_executable.h"
#include "plain_tcp.h"
#include "process_start.h"
#include "protect.h"
#include "real.h"
#include "reconnect.h"
#include "report.h"
#include "rules_begin.h"
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

/* True if the rule needs more system calls than getsockopt() and setsockopt(). `default` creates
 * sockets to read defaults; `force` and `ignore` read send queues to find a socket's role. */
static bool asks_for_more(const struct policy_rule *rule)
{
    bool more = (rule->flags & (RULE_REPORT | RULE_INHERITED)) != 0;
    for (uint32_t a = 0; a < rule->actions.count && !more; a++)
        more = state.rules.policy.actions[rule->actions.first + a].mode != MODE_SET;
    return more;
}

/* Whether a filter was installed before exec takes time to find out, so that is done only if it
 * matters. It is unknown what new rules will need. */
static void watch_confinement(bool lives)
{
    const struct rules_in_force *rules = &state.rules;
    bool more = lives;
    for (uint32_t i = 0; i < rules->active.count && !more; i++)
        more = asks_for_more(&rules->policy.rules[rules->active.rules[i]]);
    confined_watch(more && confined_at_start());
}

/* In the constructor, creating and closing sockets disturbs nobody. */
static const struct default_value *take_defaults(const struct rules_in_force *rules)
{
    unsigned families = defaults_families(&rules->policy, &rules->active);
    struct default_value *defaults = NULL;
    if (families != 0 && !confined_now())
        defaults =
            kernel_map((size_t)DEFAULT_KINDS * rules->policy.option_count * sizeof *defaults);
    if (defaults != NULL)
        defaults_take(&rules->policy, &rules->active, families, defaults);
    return defaults;
}

/* What the constructor has found out. */
struct beginning {
    const struct settings *settings;
    struct identity identity;
    struct rules_place place;
};

/* True if the program is to take new rules. A program under AT_SECURE takes none. */
static bool is_to_live(const struct beginning *found)
{
    return (found->settings->live || (state.rules.policy.flags & POLICY_LIVE) != 0) &&
           !found->settings->secure;
}

/* Prepares for new rules, if the program takes them, and for reports. False if there will be no new
 * rules. */
static bool start_reports(const struct beginning *found, bool lives)
{
    const struct helper_environment helper = {.socket = found->settings->helper,
                                              .runtime = found->settings->runtime};
    const struct live_begin begin = {.identity = &found->identity,
                                     .rules = found->place.path,
                                     .device = found->place.device,
                                     .inode = found->place.inode};
    struct register_live plan;
    lives = lives && !confined_now() && live_start(&begin, &plan);
    report_start(&helper, lives ? &plan : NULL);
    if (lives && state.rules.report == NULL)
        live_state = NULL;
    return live_state != NULL;
}

/* Sets what hooks check first. After this they no longer pass through. */
static void open_hooks(bool lives)
{
    const struct rules_in_force *rules = &state.rules;
    state.guard_count = lives ? 1 : rules->guard_count;
    __atomic_store_n(&state.reports, lives ? ROLE_ALL : rules->reports, __ATOMIC_RELEASE);
    __atomic_store_n(&state.phases, lives ? PHASE_ALL | PHASE_FALLBACK : rules->phases,
                     __ATOMIC_RELEASE);
}

/* Everything that depends on the rules for this program. */
static void put_in_force(const struct beginning *found, void *extra)
{
    struct rules_in_force *rules = &state.rules;
    bool lives = is_to_live(found);
    if (rules->policy.rule_count != 0)
        (void)rules_begin(rules, &found->identity, extra, SIZE_MAX);
    if (rules->active.count == 0 && !lives)
        return;
    watch_confinement(lives);
    rules->defaults = take_defaults(rules);
    lives = start_reports(found, lives);
    if (lives || rules_act_at(rules, PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED)) ||
        rules->reports != 0 || plain_tcp_has_transport(rules))
        reconnect_start();
    if (lives)
        listeners_start();
    open_hooks(lives);
    if (found->settings->handed_over != 0 && (rules->phases != 0 || rules->reports != 0))
        inherited_tune_sockets(found->settings->handed_over, rules->reports != 0);
}

static bool asks_for_path(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->matcher_count; i++)
        if (policy->matchers[i].kind == MATCHER_PATH)
            return true;
    return false;
}

/* Copies what is needed later of argv and the environment. Tracing needs system calls for which a
 * seccomp filter may kill the program. */
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

/* Collects the program's identity, as far as rules, or later rules, need it. */
static void find_identity(struct beginning *found, struct own_executable *executable, char *cgroup)
{
    const struct policy *policy = &state.rules.policy;
    bool lives = is_to_live(found);
    if (policy->rule_count != 0 || lives)
        own_executable_find(executable,
                            lives || asks_for_path(policy) ? EXECUTABLE_PATH : EXECUTABLE_NAME);
    found->identity.executable = executable->path;
    if (lives || (policy_needs(policy) & NEED_CGROUP) != 0)
        found->identity.cgroup = process_start_cgroup(cgroup, PATH_MAX);
}

/* If no rule is for this program, releases the policy, but keeps its checksum, flags and number of
 * rules. */
static void keep_policy(struct policy *policy)
{
    if (state.rules.active.count != 0) {
        policy_protect(policy);
        return;
    }
    policy_release(policy);
    *policy = (struct policy){.checksum = policy->checksum,
                              .flags = policy->flags,
                              .rule_total = policy->rule_total,
                              .failure = ""};
}

static void tune_program(const struct process_start *start, const struct settings *settings)
{
    struct own_executable executable;
    char cgroup[PATH_MAX];
    struct beginning found = {.settings = settings,
                              .identity = {.argv = start->argv,
                                           .uid = settings->owner.uid,
                                           .gid = (uint32_t)getauxval(AT_EGID)}};
    struct policy *policy = &state.rules.policy;
    void *extra = NULL;
    keep_names(start->argv[0], settings->trace);
    trace_journal(settings->journal);
    own_executable_begin(&executable, start->argv[0]);
    enum load_result loaded = load_policy(settings, &executable, policy, &extra, &found.place);
    if (loaded != LOAD_OK && settings->strict)
        kernel_call(SYS_exit_group, EXIT_BAD_RULES);
    if (loaded != LOAD_OK)
        return;
    find_identity(&found, &executable, cgroup);
    put_in_force(&found, extra);
    keep_policy(policy);
    trace_start(found.place.path);
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
