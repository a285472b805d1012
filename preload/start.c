/* SPDX-License-Identifier: MIT */
/*
 * The constructor: find the functions behind ours, load the policy, pick the rules that are for
 * this program, and publish them for the hooks. Theory of operation:
 *
 * The object is linked with -z initfirst, so that on glibc this runs before every other
 * constructor, even libc's own: getenv() and program_invocation_name are not yet set then, and the
 * arguments of the constructor are used. musl passes no arguments, but has `__environ` set; there
 * the arguments are found below the environment, where the kernel put them. If another object in
 * the process has taken initfirst, other constructors may call hooks before this ran; the hooks
 * then pass through.
 *
 * Without rules for this program nothing is left behind but a table of pointers. In no case does a
 * descriptor stay open. errno is kept.
 */
#include "inherited.h"
#include "kernel.h"
#include "load.h"
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

/* The process as it was started. */
struct start {
    const char *const *argv;
    char *const *environment;
};

/* argv ends with the NULL right below the environment, and begins behind its own count. */
static const char *const *argv_below(char *const *environment)
{
    const char *const *end = (const char *const *)environment - 1;
    for (intptr_t count = 0;; count++)
        if ((intptr_t)end[-count - 1] == count)
            return end - count;
}

static struct start find_start(char **argv, char **environment)
{
    if (&__environ != NULL && __environ != NULL)
        return (struct start){argv_below(__environ), __environ};
    return (struct start){(const char *const *)argv, environment};
}

static bool is_on(char *const *environment, const char *name)
{
    const char *value = text_getenv(environment, name);
    return value != NULL && value[0] != 0 && !text_equal(value, "0");
}

static struct settings read_settings(char *const *environment)
{
    struct settings settings = {.uid = (uint32_t)getauxval(AT_EUID),
                                .secure = getauxval(AT_SECURE) != 0};
    if (settings.secure)
        return settings;
    settings.rules = text_getenv(environment, "SOCKTUNE_RULES");
    settings.trace = text_getenv(environment, "SOCKTUNE_TRACE");
    settings.disable = is_on(environment, "SOCKTUNE_DISABLE");
    settings.strict = is_on(environment, "SOCKTUNE_STRICT");
    return settings;
}

/* The options that an active rule forces or ignores, without repetition. */
static void collect_guards(uint16_t *guards)
{
    const struct policy *policy = &state.policy;
    bool seen[POLICY_OPTIONS_MAX] = {false};
    for (uint32_t i = 0; i < state.active.count; i++) {
        const struct policy_rule *rule = &policy->rules[state.active.rules[i]];
        for (uint32_t a = 0; a < rule->actions.count; a++) {
            const struct policy_action *action = &policy->actions[rule->actions.first + a];
            if ((action->mode != MODE_FORCE && action->mode != MODE_IGNORE) || seen[action->option])
                continue;
            seen[action->option] = true;
            guards[state.guard_count++] = action->option;
        }
    }
    state.guards = guards;
}

/* At a time when making and closing sockets disturbs nobody. */
static const struct default_value *take_defaults(void)
{
    unsigned families = defaults_families(&state.policy, &state.active);
    struct default_value *defaults = NULL;
    if (families != 0)
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
                    const struct register_where *helper)
{
    uint32_t *rules = extra;
    state.active.rules = rules;
    state.active.count = active_rules(&state.policy, identity, rules);
    if (state.active.count == 0)
        return;
    collect_guards((uint16_t *)(rules + state.active.count));
    state.defaults = take_defaults();
    unsigned phases = phases_of_active_rules();
    unsigned reported = report_start(helper);
    if ((phases & (PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_CONNECTED))) != 0 ||
        (reported & ROLE_CONNECT) != 0)
        reconnect_start();
    if (phases != 0 || reported != 0)
        adopt_sockets();
    __atomic_store_n(&state.reports, reported, __ATOMIC_RELEASE);
    __atomic_store_n(&state.phases, phases, __ATOMIC_RELEASE);
}

static bool asks_for_path(const struct policy *policy)
{
    for (uint32_t i = 0; i < policy->matcher_count; i++)
        if (policy->matchers[i].kind == MATCHER_PATH)
            return true;
    return false;
}

/*
 * The path of the executable, or NULL. /proc/self/exe tells, but to make its entry for a new
 * process is the dearest thing a start would do. It tells nothing new where no rule asks for a
 * path and the file that was executed is not a symbolic link and has the name of argv[0].
 */
static const char *find_executable(const struct policy *policy, const char *argv0, char *buffer,
                                   size_t size)
{
    const char *executed =
        (const char *)getauxval(AT_EXECFN); /* NOLINT(performance-no-int-to-ptr) */
    if (executed != NULL && argv0 != NULL && !asks_for_path(policy) &&
        text_equal(text_basename(executed), text_basename(argv0)) &&
        kernel_call(SYS_readlinkat, AT_FDCWD, executed, buffer, size) < 0 && errno == EINVAL)
        return executed;
    long length = kernel_call(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", buffer, size - 1);
    if (length < 0)
        return NULL;
    buffer[length] = 0;
    return buffer;
}

static void tune_program(const struct start *start)
{
    struct settings settings = read_settings(start->environment);
    if (settings.disable)
        return;
    char executable[PATH_MAX];
    struct identity identity = {.argv = start->argv, .uid = settings.uid};
    void *extra;
    const char *rules;
    state.program = start->argv[0] != NULL ? text_basename(start->argv[0]) : "?";
    state.trace = settings.trace != NULL && settings.trace[0] != 0 ? settings.trace : NULL;
    enum load_result loaded = load_policy(&settings, &state.policy, &extra, &rules);
    if (loaded == LOAD_FAILED && settings.strict)
        kernel_call(SYS_exit_group, EXIT_BAD_RULES);
    if (loaded != LOAD_OK)
        return;
    identity.executable =
        find_executable(&state.policy, start->argv[0], executable, sizeof executable);
    struct register_where helper = {0};
    if (!settings.secure) {
        helper.socket = text_getenv(start->environment, "SOCKTUNE_HELPER");
        helper.runtime = text_getenv(start->environment, "XDG_RUNTIME_DIR");
    }
    publish(&identity, extra, &helper);
    trace_start(rules);
}

__attribute__((constructor)) static void start(int argc, char **argv, char **environment)
{
    (void)argc;
    if (dl_iterate_phdr == NULL) /* no libc: weak_libc.h */
        return;
    int saved = errno;
    real_find();
    struct start found = find_start(argv, environment);
    tune_program(&found);
    protect_data();
    errno = saved;
}
