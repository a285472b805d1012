/* SPDX-License-Identifier: MIT */
/*
 * Finds the cgroup that the flags name.
 */
#include "cgroup_flags.h"

#include "commands.h"

int cgroup_choose(const struct cgroup_choice *choice, struct attach_cgroup *cgroup)
{
    struct attach_error error;
    if ((choice->cgroup != NULL) + (choice->unit != NULL) + choice->all != 1)
        return command_misuse("expected one of --cgroup, --unit and --all");
    int failed = choice->unit != NULL
                     ? cgroup_by_unit(choice->unit, cgroup, &error)
                     : cgroup_by_path(choice->all ? "/" : choice->cgroup, cgroup, &error);
    return failed == 0 ? 0 : command_failure("%s", error.text);
}
