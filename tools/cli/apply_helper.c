/* SPDX-License-Identifier: MIT */
/*
 * `report = true` for sockets that `socktune apply` treats: a ring is registered with the helper
 * for each program, as the preloaded library does in the program. The helper reads the whole ring
 * even after this command has ended.
 */
#include "apply_run.h"
#include "record.h"
#include "reporter.h"

#include <errno.h>

/* Why an option was not set, as an errno; RECORD_KEPT if the program's value stands. */
static unsigned record_result(const struct reconciled_option *option)
{
    if (option->result == RECONCILE_KEPT)
        return RECORD_KEPT;
    if (option->result == RECONCILE_FAILED)
        return option->error != 0 ? (unsigned)option->error : EISCONN;
    return 0;
}

static void note_results(struct target_reporter *reporter, const struct policy *policy,
                         const struct reconciled_socket *result)
{
    for (uint32_t i = 0; i < policy->option_count; i++)
        reporter_note(reporter, i, RECORD_KEPT);
    for (uint32_t i = 0; i < result->count; i++)
        reporter_note(reporter, policy->actions[result->options[i].action].option,
                      record_result(&result->options[i]));
}

void apply_report_to_helper(const struct apply_run *run, const struct process *process)
{
    const struct policy *policy = &run->loaded.policy;
    const struct socket_description *description = &run->description;
    struct socket_entry entry = {.cookie = description->cookie,
                                 .netns = description->netns,
                                 .sockinfo = description->sockinfo,
                                 .pid = process->pid,
                                 .adopted = true};
    if ((record_roles(policy, &run->active) & entry.sockinfo.roles) == 0 ||
        (entry.sockinfo.protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP | PROTOCOL_UDP)) == 0)
        return;
    entry.kind = description->listens                       ? RECORD_LISTEN
                 : entry.sockinfo.protocols == PROTOCOL_UDP ? RECORD_DATAGRAM
                 : entry.sockinfo.roles == ROLE_ACCEPT      ? RECORD_ACCEPT
                                                            : RECORD_CONNECT;
    entry.reporter = reporter_find(policy, process_program_name(process), &run->active);
    if (entry.reporter == NULL)
        return;
    entry.when = reporter_clock();
    note_results(entry.reporter, policy, run->result);
    reporter_put(&entry);
}
