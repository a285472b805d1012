/* SPDX-License-Identifier: MIT */
/*
 * What `socktune apply` prints, as text and as JSON.
 */
#include "apply_run.h"
#include "commands.h"
#include "console.h"
#include "duplicate.h"
#include "format_option.h"

static const char *const result_names[RECONCILE_COUNT] = {[RECONCILE_CHANGED] = "changed",
                                                          [RECONCILE_SAME] = "same",
                                                          [RECONCILE_KEPT] = "kept",
                                                          [RECONCILE_GIVEN] = "given",
                                                          [RECONCILE_FAILED] = "failed"};

static void format_side(const struct option *row, const struct value *value, char *text,
                        size_t size)
{
    bytes_format(row, value->bytes, value->length, text, size);
    if (!*text)
        snprintf(text, size, "none");
}

/* TCP tunes buffers whose size no setsockopt() has set. */
static bool is_autotuned(const struct apply_run *run, const struct reconciled_option *option)
{
    return option->unset && run->description.sockinfo.protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP);
}

static void print_option(const struct apply_run *run, const struct reconciled_option *option)
{
    const struct policy *policy = run->reconciler.policy;
    const struct policy_action *action = &policy->actions[option->action];
    const struct option *row = action_option(policy, action);
    char before[2 * POLICY_VALUE_MAX + 3] = "unknown", after[sizeof before], reason[160];
    bool failed = option->result == RECONCILE_FAILED;
    if (option->before.length)
        format_side(row, &option->before, before, sizeof before);
    if (!failed && option->after.length)
        format_side(row, &option->after, after, sizeof after);
    else
        action_format(policy, action, after, sizeof after);
    printf("  %s%-22s  %s%s %s %s", failed ? colour(stdout, COLOUR_RED) : "",
           policy_string(policy, policy->options[action->option].name), before,
           is_autotuned(run, option) ? " (autotuned)" : "", failed ? "-/->" : "->", after);
    printf("%s  (", failed ? colour(stdout, COLOUR_NONE) : "");
    action_print_where(policy, option->action);
    putchar(')');
    if (failed) {
        reconciled_reason(policy, option, reason, sizeof reason);
        printf("\n      %s", reason);
    }
    putchar('\n');
}

/* May the rule's action be due at accept() on connections that this listener accepts? */
static bool is_due_at_accept(const struct apply_run *run, const struct policy_action *action,
                             const struct sockinfo *listener, const struct active *alone)
{
    const unsigned phases = PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    struct sockinfo accepted = *listener;
    struct decision decision;
    if (!(action->phases & phases) || !(action->families & accepted.families))
        return false;
    accepted.roles = ROLE_ACCEPT;
    accepted.unavailable &= (uint8_t)~FACT_REMOTE;
    return match_rules(run->reconciler.policy, alone, &accepted, phases, &decision) != 0 ||
           decision.action[action->option] != NO_ACTION;
}

/* Call `report` for each action that later accepted connections do not inherit. */
static void each_later(const struct apply_run *run, void (*report)(uint32_t action, void *context),
                       void *context)
{
    const struct policy *policy = run->reconciler.policy;
    for (uint32_t i = 0; run->description.listens && i < run->active.count; i++) {
        const struct active alone = {&run->active.rules[i], 1};
        const struct policy_range actions = policy->rules[*alone.rules].actions;
        for (uint32_t a = actions.first; a < actions.first + actions.count; a++)
            if (is_due_at_accept(run, &policy->actions[a], &run->description.sockinfo, &alone))
                report(a, context);
    }
}

static void print_later(uint32_t action, void *context)
{
    const struct policy *policy = context;
    printf("  %-22s  not inherited by connections that it accepts later  (",
           policy_string(policy, policy->options[policy->actions[action].option].name));
    action_print_where(policy, action);
    puts(")");
}

/* The context of json_later(). */
struct later_list {
    const struct policy *policy;
    json_t *list;
};

static void json_later(uint32_t action, void *context)
{
    const struct later_list *later = context;
    json_array_append_new(later->list, action_json_where(later->policy, action));
}

static bool is_reported(const struct apply_run *run, const struct reconciled_option *option)
{
    return option->result == RECONCILE_CHANGED ||
           (option->result == RECONCILE_FAILED && !run->seen_before);
}

static void print_result(const struct apply_run *run, const struct process *process,
                         const struct open_socket *sockets)
{
    bool headed = false;
    for (uint32_t i = 0; i < run->result->count; i++) {
        const struct reconciled_option *option = &run->result->options[i];
        if (!is_reported(run, option))
            continue;
        if (!headed) {
            printf("%s%s[%d] fd %d  ", colour(stdout, COLOUR_BOLD), process->shown, process->pid,
                   sockets->fd);
            print_socket(&run->description);
            printf("%s\n", colour(stdout, COLOUR_NONE));
        }
        headed = true;
        print_option(run, option);
    }
    if (headed)
        each_later(run, print_later, (void *)run->reconciler.policy);
}

static json_t *json_side(const struct option *row, const struct value *value)
{
    return value->length ? bytes_json(row, value->bytes, value->length) : json_null();
}

static json_t *json_option(const struct apply_run *run, const struct reconciled_option *option)
{
    const struct policy *policy = run->reconciler.policy;
    const struct policy_action *action = &policy->actions[option->action];
    const struct option *row = action_option(policy, action);
    bool failed = option->result == RECONCILE_FAILED;
    json_t *object = action_json_where(policy, option->action);
    char reason[160];
    json_object_set_new(object, "result", json_string(result_names[option->result]));
    json_object_set_new(object, "wanted", action_json_value(policy, action));
    json_object_set_new(object, "before", json_side(row, &option->before));
    json_object_set_new(object, "autotuned", json_boolean(is_autotuned(run, option)));
    json_object_set_new(object, "after", json_side(row, failed ? &option->before : &option->after));
    if (failed) {
        reconciled_reason(policy, option, reason, sizeof reason);
        json_object_set_new(object, "reason", json_string(reason));
    }
    return object;
}

static json_t *json_result(const struct apply_run *run, const struct process *process,
                           const struct open_socket *sockets, size_t count)
{
    json_t *object = json_socket(&run->description, sockets, count);
    json_t *options = json_array();
    struct later_list later = {run->reconciler.policy, json_array()};
    for (uint32_t i = 0; i < run->result->count; i++)
        json_array_append_new(options, json_option(run, &run->result->options[i]));
    json_object_set_new(object, "pid", json_integer(process->pid));
    json_object_set_new(object, "program", json_text(process->name));
    json_object_set_new(object, "options", options);
    each_later(run, json_later, &later);
    json_object_set_new(object, "not_inherited", later.list);
    return object;
}

void apply_report_socket(struct apply_run *run, const struct process *process,
                         const struct open_socket *sockets, size_t count)
{
    run->counts.sockets++;
    for (uint32_t i = 0; i < run->result->count; i++) {
        enum reconcile_result result = run->result->options[i].result;
        run->counts.options[result]++;
        run->failed |= result == RECONCILE_FAILED;
    }
    if (run->json && run->result->count)
        json_array_append_new(run->json_sockets, json_result(run, process, sockets, count));
    else if (!run->json)
        print_result(run, process, sockets);
}

/* A process that a rule matches, but whose sockets may not be duplicated. */
void apply_report_refused(struct apply_run *run, const struct process *process, int error)
{
    char reason[256];
    refusal_text(process, error, reason, sizeof reason);
    run->failed = true;
    run->counts.refused++;
    if (run->json)
        json_array_append_new(run->json_refused,
                              json_pack("{s:i, s:o, s:s}", "pid", process->pid, "program",
                                        json_text(process->name), "reason", reason));
    else if (run->round == 1)
        fprintf(stderr, "%s[%d]: %s\n", process->shown, process->pid, reason);
}

void apply_report_round(struct apply_run *run)
{
    const struct apply_counts *counts = &run->counts;
    bool news = counts->options[RECONCILE_CHANGED] || counts->options[RECONCILE_FAILED];
    if (!run->json && (run->round == 1 || news)) {
        printf("%u socket%s of %u process%s: %u option%s %s, %u %s so", counts->sockets,
               plural(counts->sockets), counts->processes, counts->processes == 1 ? "" : "es",
               counts->options[RECONCILE_CHANGED], plural(counts->options[RECONCILE_CHANGED]),
               run->dry_run ? "would change" : "changed", counts->options[RECONCILE_SAME],
               counts->options[RECONCILE_SAME] == 1 ? "was" : "were");
        if (counts->options[RECONCILE_KEPT])
            printf(", %u left as the program set them", counts->options[RECONCILE_KEPT]);
        if (counts->options[RECONCILE_GIVEN])
            printf(", %u given that cannot be read back", counts->options[RECONCILE_GIVEN]);
        printf(", %u could not be set\n", counts->options[RECONCILE_FAILED]);
    } else if (run->json && (run->round == 1 || counts->sockets)) {
        print_json(json_pack("{s:b, s:O, s:O}", "dry_run", run->dry_run, "sockets",
                             run->json_sockets, "refused", run->json_refused));
    }
    fflush(stdout);
}
