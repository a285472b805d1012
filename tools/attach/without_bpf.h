/* SPDX-License-Identifier: MIT */
/*
 * Replaces attach.h if the command is built without clang or libbpf.
 */
#ifndef SOCKTUNE_WITHOUT_BPF_H
#define SOCKTUNE_WITHOUT_BPF_H

static inline int attach_without(struct attach_error *error)
{
    return attach_fail(error, "this socktune was built without clang or libbpf, so it cannot "
                              "attach rules to cgroups");
}

#define attach_try(trials, count, error)          ((void)(trials), attach_without(error))
#define attach_try_policy(policy, results, error) ((void)(results), attach_without(error))
#define attach_rules(request, error)                                                               \
    ((void)(request), attach_without(error), (struct attachment *)NULL)
#define attach_release(attachment)        ((void)(attachment))
#define attach_has_reports(attachment)    ((void)(attachment), false)
#define attach_pass_reports(attachment)   ((void)(attachment))
#define attach_is_in_force(attachment)    ((void)(attachment), true)
#define attach_pass_pinned(error)         attach_without(error)
#define attach_detach(cgroup, error)      ((void)(cgroup), attach_without(error))
#define attach_remove_stale()             0u
#define attach_list(states, count, error) (*(states) = NULL, *(count) = 0, attach_without(error))

#endif
