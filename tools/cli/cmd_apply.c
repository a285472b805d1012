/* SPDX-License-Identifier: MIT */
/*
 * socktune apply: gives the open sockets of running programs what the rules say.
 */
#include "apply_run.h"
#include "apply_undo.h"
#include "commands.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Shorter pauses would be a load, longer ones than a day hide a mistake. */
static bool read_pause(const char *word, double *seconds)
{
    char *end;
    *seconds = strtod(word, &end);
    return end != word && !*end && *seconds >= 0.1 && *seconds <= 86400;
}

/* --user, --netns and --fd. Returns an exit status. */
static int read_choice(struct apply_run *run)
{
    const struct passwd *user = run->user != NULL ? getpwnam(run->user) : NULL;
    char path[PATH_MAX], *end = NULL;
    struct stat status;
    run->only_fd = -1;
    if (run->user != NULL) {
        run->uid = user != NULL ? user->pw_uid : (uint32_t)strtoul(run->user, &end, 10);
        if (user == NULL && (end == run->user || *end))
            return command_misuse("no user \"%s\"", run->user);
    }
    if (run->netns != NULL) {
        bool is_name = strspn(run->netns, "0123456789") != strlen(run->netns);
        snprintf(path, sizeof path,
                 strchr(run->netns, '/') != NULL ? "%s"
                 : is_name                       ? "/run/netns/%s"
                                                 : "/proc/%s/ns/net",
                 run->netns);
        if (stat(path, &status) != 0)
            return command_failure("--netns: %s: %s", path, strerror(errno));
        run->network = status.st_ino;
    }
    if (run->fd != NULL) {
        long number = strtol(run->fd, &end, 10);
        if (end == run->fd || *end || number < 0 || number > INT_MAX)
            return command_misuse("\"%s\" is no descriptor", run->fd);
        run->only_fd = (int)number;
    }
    return 0;
}

/* The processes that were named, malloc()ed; NULL if none was. Returns an exit status. */
static int read_processes(char *const *words, size_t count, pid_t **pids)
{
    *pids = count != 0 ? calloc(count, sizeof **pids) : NULL;
    if (count != 0 && *pids == NULL)
        return command_failure("%s", strerror(errno));
    for (size_t i = 0; i < count; i++)
        if (!read_pid(words[i], &(*pids)[i])) {
            free(*pids);
            *pids = NULL;
            return command_misuse("\"%s\" is no process ID", words[i]);
        }
    return 0;
}

static int cmd_apply(int argc, char **argv)
{
    struct apply_run run = {.rules = NULL};
    double pause = 0;
    size_t count;
    pid_t *pids;
    int status = 0;
    int first = parse_flags(argc, argv, &run, &status);
    if (first < 0)
        return status;
    count = (size_t)(argc - first);
    if (run.undo != NULL)
        return count > 0 || run.all || run.program != NULL
                   ? command_misuse("--undo takes the processes from its file")
                   : undo_run(run.undo);
    if ((count > 0) + run.all + (run.program != NULL) != 1)
        return command_misuse("expected processes, or --program, or --all");
    if (run.watch != NULL && !read_pause(run.watch, &pause))
        return command_misuse("\"%s\": --watch takes seconds, 0.1 to 86400", run.watch);
    status = read_choice(&run);
    if (status)
        return status;
    if (run.rules == NULL)
        run.rules = default_rules();
    if (run.rules == NULL)
        return command_misuse("which rules? Name them with -c");
    status = read_processes(argv + first, count, &pids);
    return status != 0 ? status : apply_run_rounds(&run, pids, count, pause);
}

static const struct flag flags[] = {
    FLAG_RULES(struct apply_run, rules),
    {"program", 'p', FLAG_VALUE, offsetof(struct apply_run, program), "GLOB",
     "processes by name or path, as in rules", "<program>", NULL},
    {"all", 'a', FLAG_SWITCH, offsetof(struct apply_run, all), NULL,
     "every accessible process that a rule is for", NULL, NULL},
    {"user", 'u', FLAG_VALUE, offsetof(struct apply_run, user), "USER",
     "only processes that this user runs, a name or a number", "<user>", NULL},
    {"netns", 0, FLAG_VALUE, offsetof(struct apply_run, netns), "NETNS",
     "only processes in this network namespace: a name of ip-netns(8), a path or a process", NULL,
     NULL},
    {"fd", 0, FLAG_VALUE, offsetof(struct apply_run, fd), "NUMBER", "only this descriptor", NULL,
     NULL},
    {"save", 0, FLAG_VALUE, offsetof(struct apply_run, save), "FILE",
     "keep in FILE what the options were before", "<file>", NULL},
    {"undo", 0, FLAG_VALUE, offsetof(struct apply_run, undo), "FILE",
     "set options back to what FILE says, and do nothing else", "<file>", NULL},
    {"dry-run", 'n', FLAG_SWITCH, offsetof(struct apply_run, dry_run), NULL,
     "print what would change, and change nothing", NULL, NULL},
    {"watch", 'w', FLAG_VALUE, offsetof(struct apply_run, watch), "SECONDS",
     "stay and look for new sockets that often", NULL, NULL},
    FLAG_JSON(struct apply_run, json),
    FLAGS_END,
};

const struct command apply_command = {
    .name = "apply",
    .summary = "set options on a running program's open sockets",
    .synopsis = "[-c RULES] [--user USER] [--netns NETNS] [--fd NUMBER] [--dry-run] [--json] "
                "[--watch SECONDS] [--save FILE] (PID... | --program GLOB | --all)\n--undo FILE",
    .details =
        "Prints each option that changes, before -> after, with its rule, and why an option "
        "cannot be set. The program keeps running meanwhile. The next connections of a listener "
        "inherit its new options; those that they do not inherit are named.",
    .flags = flags,
    .notes =
        "The exit status is 0 if all options are as the rules say, 1 if one could not be set or "
        "there is no such process or descriptor, and 78 if the rules are wrong. With --undo, it is "
        "1 "
        "if an option could not be set back, or if none could because the sockets are gone or all "
        "options have been changed since.",
    .operand = "<process>",
    .run = cmd_apply,
};
