/* SPDX-License-Identifier: MIT */
/*
 * socktune detach: removes what `attach --pin` left.
 */
#include "attach.h"
#include "cgroup_flags.h"
#include "commands.h"
#include "console.h"

struct detach_arguments {
    struct cgroup_choice where;
};

static int cmd_detach(int argc, char **argv)
{
    struct detach_arguments arguments = {.where = {.all = false}};
    struct attach_cgroup cgroup;
    struct attach_error error;
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (first < argc)
        return command_misuse("unexpected \"%s\"", argv[first]);
    unsigned removed = attach_remove_stale();
    if (removed > 0)
        printf("removed the rules that were pinned to %u cgroup%s that no longer exist%s\n",
               removed, plural(removed), removed == 1 ? "s" : "");
    status = cgroup_choose(&arguments.where, &cgroup);
    if (status != 0)
        return status;
    switch (attach_detach(&cgroup, &error)) {
    case 0:
        return 0;
    case 1:
        return command_failure("no rules are pinned to the cgroup %s", cgroup.path);
    default:
        return command_failure("%s", error.text);
    }
}

static const struct flag flags[] = {FLAGS_CGROUP(struct detach_arguments, where), FLAGS_END};

const struct command detach_command = {
    .name = "detach",
    .summary = "remove rules that `attach --pin` left",
    .synopsis = "(--cgroup PATH | --unit NAME | --all)",
    .details = "Sockets keep the options that they have.",
    .flags = flags,
    .run = cmd_detach,
};
