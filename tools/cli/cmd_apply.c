/* SPDX-License-Identifier: MIT */
/*
 * socktune apply: gives the open sockets of running programs what the rules say.
 *
 * Theory of operation: a round goes through the processes; those that no rule is for are left
 * alone. Each socket is borrowed, observed, matched and given what it lacks, all into a result that
 * was allocated before, and given back; only then is anything printed. Sockets are known by their
 * inodes, so that one that several descriptors or processes share is treated once. One whose role
 * is still open (neither connected nor listening) is looked at again in the next round.
 */
#include "apply_undo.h"
#include "commands.h"
#include "console.h"
#include "duplicate.h"
#include "format_option.h"
#include "fresh_socket.h"
#include "glob.h"
#include "policy_file.h"
#include "print_diagnostic.h"
#include "reconcile.h"
#include "show_socket.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pwd.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A socket that has been treated. */
struct seen {
    uint64_t inode;
    bool settled; /* its role is known: it need not be looked at again */
};

/* How often each came out. */
struct tally {
    unsigned processes, sockets, refused;
    unsigned options[RETUNED_COUNT];
};

/* All rounds. */
struct tour {
    /* the command line */
    const char *rules, *program, *watch, *user, *netns, *fd, *save, *undo;
    bool all, dry_run, json;
    /* for all rounds */
    struct loaded loaded;
    struct retuner retuner;
    struct fresh_sockets fresh;
    void *seen, *seen_last; /* trees (tsearch(3)) of struct seen: of this round and of the last */
    uint32_t *active_rules;
    struct active active; /* rules, of the process at hand */
    unsigned round;
    bool failed;       /* something could not be set, in any round */
    uint32_t uid;      /* of --user */
    uint64_t network;  /* of --netns, as an inode; 0: any */
    int only_fd;       /* of --fd; -1: any */
    unsigned matching; /* processes that --program chose, in all rounds */
    /* of one socket */
    struct observed observed;
    struct retuned_socket *result;
    bool seen_before;               /* what could not be set has been told */
    struct sockaddr_storage remote; /* of a connection in SYN_SENT */
    socklen_t remote_length;
    json_t *undo_notes; /* of --save, in all rounds */
    /* of one round */
    struct tally tally;
    json_t *json_sockets, *json_refused;
};

/* What treat() may lack. */
enum { NEEDS_FRESH = 1, NEEDS_REMOTE };

static volatile sig_atomic_t stopped;

/* --- telling ---------------------------------------------------------------------------------- */

static const char *const result_names[RETUNED_COUNT] = {[RETUNED_CHANGED] = "changed",
                                                        [RETUNED_SAME] = "same",
                                                        [RETUNED_KEPT] = "kept",
                                                        [RETUNED_BLIND] = "given",
                                                        [RETUNED_FAILED] = "failed"};

static void format_side(const struct option *row, const struct value *value, char *text,
                        size_t size)
{
    bytes_format(row, value->bytes, value->length, text, size);
    if (!*text)
        snprintf(text, size, "none");
}

/* TCP sizes the buffers that nobody has sized. */
static bool is_autotuned(const struct tour *tour, const struct retuned_option *option)
{
    return option->unset && tour->observed.sockinfo.protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP);
}

static void print_option(const struct tour *tour, const struct retuned_option *option)
{
    const struct policy *policy = tour->retuner.policy;
    const struct policy_action *action = &policy->actions[option->action];
    const struct option *row = action_option(policy, action);
    char before[2 * POLICY_VALUE_MAX + 3] = "unknown", after[sizeof before], reason[160];
    bool failed = option->result == RETUNED_FAILED;

    if (option->before.length)
        format_side(row, &option->before, before, sizeof before);
    if (!failed && option->after.length)
        format_side(row, &option->after, after, sizeof after);
    else
        action_format(policy, action, after, sizeof after);
    printf("  %s%-22s  %s%s %s %s", failed ? colour(stdout, COLOUR_RED) : "",
           policy_string(policy, policy->options[action->option].name), before,
           is_autotuned(tour, option) ? " (autotuned)" : "", failed ? "-/->" : "->", after);
    printf("%s  (", failed ? colour(stdout, COLOUR_NONE) : "");
    action_print_where(policy, option->action);
    putchar(')');
    if (failed) {
        retuned_reason(policy, option, reason, sizeof reason);
        printf("\n      %s", reason);
    }
    putchar('\n');
}

/* May an action of the rule be due at accept() on what this listener accepts? */
static bool is_due_at_accept(const struct tour *tour, const struct policy_action *action,
                             const struct sockinfo *listener, const struct active *alone)
{
    const unsigned phases = PHASE_BIT(PHASE_ACCEPT) | PHASE_BIT(PHASE_ACCEPT_WILDCARD);
    struct sockinfo accepted = *listener;
    struct decision decision;

    if (!(action->phases & phases) || !(action->families & accepted.families))
        return false;
    accepted.roles = ROLE_ACCEPT;
    accepted.unavailable &= (uint8_t)~FACT_REMOTE;
    return match_rules(tour->retuner.policy, alone, &accepted, phases, &decision) != 0 ||
           decision.action[action->option] != NO_ACTION;
}

/* Call `report` for each action that connections accepted later do not inherit. */
static void each_later(const struct tour *tour, void (*report)(uint32_t action, void *context),
                       void *context)
{
    const struct policy *policy = tour->retuner.policy;

    for (uint32_t i = 0; tour->observed.listens && i < tour->active.count; i++) {
        const struct active alone = {&tour->active.rules[i], 1};
        const struct policy_range actions = policy->rules[*alone.rules].actions;

        for (uint32_t a = actions.first; a < actions.first + actions.count; a++)
            if (is_due_at_accept(tour, &policy->actions[a], &tour->observed.sockinfo, &alone))
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

/* What json_later() needs. */
struct later_list {
    const struct policy *policy;
    json_t *list;
};

static void json_later(uint32_t action, void *context)
{
    const struct later_list *later = context;

    json_array_append_new(later->list, action_json_where(later->policy, action));
}

static bool is_worth_telling(const struct tour *tour, const struct retuned_option *option)
{
    return option->result == RETUNED_CHANGED ||
           (option->result == RETUNED_FAILED && !tour->seen_before);
}

static void print_result(const struct tour *tour, const struct process *process,
                         const struct open_socket *sockets)
{
    bool headed = false;

    for (uint32_t i = 0; i < tour->result->count; i++) {
        const struct retuned_option *option = &tour->result->options[i];

        if (!is_worth_telling(tour, option))
            continue;
        if (!headed) {
            printf("%s%s[%d] fd %d  ", colour(stdout, COLOUR_BOLD), process->name, process->pid,
                   sockets->fd);
            print_socket(&tour->observed);
            printf("%s\n", colour(stdout, COLOUR_NONE));
        }
        headed = true;
        print_option(tour, option);
    }
    if (headed)
        each_later(tour, print_later, (void *)tour->retuner.policy);
}

static json_t *json_side(const struct option *row, const struct value *value)
{
    return value->length ? bytes_json(row, value->bytes, value->length) : json_null();
}

static json_t *json_option(const struct tour *tour, const struct retuned_option *option)
{
    const struct policy *policy = tour->retuner.policy;
    const struct policy_action *action = &policy->actions[option->action];
    const struct option *row = action_option(policy, action);
    bool failed = option->result == RETUNED_FAILED;
    json_t *object = action_json_where(policy, option->action);
    char reason[160];

    json_object_set_new(object, "result", json_string(result_names[option->result]));
    json_object_set_new(object, "wanted", action_json_value(policy, action));
    json_object_set_new(object, "before", json_side(row, &option->before));
    json_object_set_new(object, "autotuned", json_boolean(is_autotuned(tour, option)));
    json_object_set_new(object, "after", json_side(row, failed ? &option->before : &option->after));
    if (failed) {
        retuned_reason(policy, option, reason, sizeof reason);
        json_object_set_new(object, "reason", json_string(reason));
    }
    return object;
}

static json_t *json_result(const struct tour *tour, const struct process *process,
                           const struct open_socket *sockets, size_t count)
{
    json_t *object = json_socket(&tour->observed, sockets, count);
    json_t *options = json_array();
    struct later_list later = {tour->retuner.policy, json_array()};

    for (uint32_t i = 0; i < tour->result->count; i++)
        json_array_append_new(options, json_option(tour, &tour->result->options[i]));
    json_object_set_new(object, "pid", json_integer(process->pid));
    json_object_set_new(object, "program", json_text(process->name));
    json_object_set_new(object, "options", options);
    each_later(tour, json_later, &later);
    json_object_set_new(object, "not_inherited", later.list);
    return object;
}

static void tell(struct tour *tour, const struct process *process,
                 const struct open_socket *sockets, size_t count)
{
    tour->tally.sockets++;
    for (uint32_t i = 0; i < tour->result->count; i++) {
        enum retuned result = tour->result->options[i].result;

        tour->tally.options[result]++;
        tour->failed |= result == RETUNED_FAILED;
    }
    if (tour->json && tour->result->count)
        json_array_append_new(tour->json_sockets, json_result(tour, process, sockets, count));
    else if (!tour->json)
        print_result(tour, process, sockets);
}

/* A process that a rule is for and that may not be looked into. */
static void tell_refused(struct tour *tour, const struct process *process, int error)
{
    char reason[256];

    refusal_text(process, error, reason, sizeof reason);
    tour->failed = true;
    tour->tally.refused++;
    if (tour->json)
        json_array_append_new(tour->json_refused,
                              json_pack("{s:i, s:o, s:s}", "pid", process->pid, "program",
                                        json_text(process->name), "reason", reason));
    else if (tour->round == 1)
        fprintf(stderr, "%s[%d]: %s\n", process->name, process->pid, reason);
}

static void tell_round(struct tour *tour)
{
    const struct tally *tally = &tour->tally;
    bool news = tally->options[RETUNED_CHANGED] || tally->options[RETUNED_FAILED];

    if (!tour->json && (tour->round == 1 || news)) {
        printf("%u socket%s of %u process%s: %u option%s %s, %u %s so", tally->sockets,
               plural(tally->sockets), tally->processes, tally->processes == 1 ? "" : "es",
               tally->options[RETUNED_CHANGED], plural(tally->options[RETUNED_CHANGED]),
               tour->dry_run ? "would change" : "changed", tally->options[RETUNED_SAME],
               tally->options[RETUNED_SAME] == 1 ? "was" : "were");
        if (tally->options[RETUNED_KEPT])
            printf(", %u left as the program set them", tally->options[RETUNED_KEPT]);
        if (tally->options[RETUNED_BLIND])
            printf(", %u given that cannot be read back", tally->options[RETUNED_BLIND]);
        printf(", %u could not be set\n", tally->options[RETUNED_FAILED]);
    } else if (tour->json && (tour->round == 1 || tally->sockets)) {
        print_json(json_pack("{s:b, s:O, s:O}", "dry_run", tour->dry_run, "sockets",
                             tour->json_sockets, "refused", tour->json_refused));
    }
    fflush(stdout);
}

/* --- one socket ------------------------------------------------------------------------------- */

static int by_inode(const void *left, const void *right)
{
    const struct seen *a = left, *b = right;

    return (a->inode > b->inode) - (a->inode < b->inode);
}

/* Note that a socket is there; NULL if it needs no treatment. */
static struct seen *meet(struct tour *tour, uint64_t inode)
{
    struct seen *seen;
    struct seen *const *last;

    if (tfind(&(struct seen){.inode = inode}, &tour->seen, by_inode))
        return NULL;
    seen = malloc(sizeof *seen);
    if (!seen)
        return NULL;
    *seen = (struct seen){.inode = inode};
    last = tfind(seen, &tour->seen_last, by_inode);
    tour->seen_before = last != NULL;
    if (last)
        seen->settled = (*last)->settled;
    if (!tsearch(seen, &tour->seen, by_inode)) {
        free(seen);
        return NULL;
    }
    return seen->settled ? NULL : seen;
}

/* This round is the last one now. What was gone in it is forgotten. */
static void forget(struct tour *tour)
{
    tdestroy(tour->seen_last, free);
    tour->seen_last = tour->seen;
    tour->seen = NULL;
}

static bool is_settled(const struct observed *observed)
{
    if (!observed->sockinfo.families)
        return true;
    return observed->sockinfo.known & FACT_ROLE &&
           (observed->sockinfo.roles != ROLE_DATAGRAM || observed->remote_length);
}

/*
 * Borrow a socket, retune it and give it back. Returns 0; NEEDS_FRESH if a fresh socket of its kind
 * is needed first, NEEDS_REMOTE the remote address of one in SYN_SENT; -1 with errno.
 */
static int treat(struct tour *tour, const struct lender *lender, const struct active *active,
                 const struct open_socket *sockets, size_t count)
{
    int fd = borrow(lender, sockets, count);
    struct observed *observed = &tour->observed;
    const struct fresh *fresh = NULL;
    int result;

    if (fd < 0)
        return -1;
    tour->result->count = 0;
    result = observe(fd, observed); /* does not fail: borrow() saw that it is a socket */
    if (result == 0 && observed->connecting && tour->remote_length == 0) {
        close(fd);
        return NEEDS_REMOTE;
    }
    if (observed->connecting)
        observed_set_remote(observed, &tour->remote, tour->remote_length);
    if (result == 0 && observed->sockinfo.families && tour->retuner.wants_fresh) {
        fresh = fresh_find(&tour->fresh, lender->network, observed->domain, observed->type,
                           observed->protocol);
        result = fresh ? 0 : NEEDS_FRESH;
    }
    if (result == 0)
        retune(fd, observed, fresh ? fresh->defaults : NULL, &tour->retuner, active, tour->result);
    close(fd);
    return result;
}

/* What treat() lacked. Returns 0, or -1 with errno. */
static int prepare_treatment(struct tour *tour, const struct lender *lender,
                             const struct open_socket *sockets, int lacked)
{
    const struct observed *observed = &tour->observed;

    if (lacked == NEEDS_REMOTE) {
        if (process_socket_remote(lender->pid, sockets->inode, &tour->remote,
                                  &tour->remote_length) == 0)
            return 0;
        errno = EBADF; /* it is not in SYN_SENT any more */
        return -1;
    }
    return fresh_get(&tour->fresh, lender, observed->domain, observed->type, observed->protocol)
               ? 0
               : -1;
}

/* Returns 0, or -1 with errno. */
static int apply_socket(struct tour *tour, const struct lender *lender,
                        const struct process *process, const struct active *active,
                        const struct open_socket *sockets, size_t count)
{
    struct seen *seen = meet(tour, sockets->inode);
    const struct observed *observed = &tour->observed;
    int result;

    if (!seen)
        return 0;
    tour->remote_length = 0;
    while ((result = treat(tour, lender, active, sockets, count)) > 0)
        if (prepare_treatment(tour, lender, sockets, result) != 0)
            return is_gone(errno) ? 0 : -1;
    if (result != 0)
        return is_gone(errno) ? 0 : -1;
    seen->settled = is_settled(observed);
    if (tour->save != NULL && !tour->dry_run)
        undo_note(tour->undo_notes, tour->retuner.policy, process, sockets, observed, tour->result);
    if (observed->sockinfo.families)
        tell(tour, process, sockets, count);
    return 0;
}

/* --- processes -------------------------------------------------------------------------------- */

/* --fd */
static bool is_chosen_descriptor(const struct tour *tour, const struct open_socket *sockets,
                                 size_t count)
{
    bool chosen = tour->only_fd < 0;

    for (size_t i = 0; i < count; i++)
        chosen |= sockets[i].fd == tour->only_fd;
    return chosen;
}

/* Returns 0, or -1 with errno when its sockets may not be borrowed. */
static int apply_sockets(struct tour *tour, const struct process *process,
                         const struct active *active)
{
    struct open_sockets open = {0};
    struct lender lender;
    int result = lender_open(process->pid, &lender), error;

    if (result == 0)
        result = open_sockets_read(process->pid, &open);
    for (size_t i = 0, count; result == 0 && i < open.count && !stopped; i += count) {
        count = descriptors_of_one(&open, i);
        if (!is_chosen_descriptor(tour, &open.items[i], count))
            continue;
        result = apply_socket(tour, &lender, process, active, &open.items[i], count);
    }
    error = errno;
    open_sockets_free(&open);
    lender_close(&lender);
    return errno = error, result;
}

/* --program: as `program` in rules. */
static bool is_asked_for(const char *glob, const struct process *process)
{
    const char *names[] = {process->exe, process->argv[0]};

    for (size_t i = 0; i < 2; i++) {
        const char *slash = names[i] && !strchr(glob, '/') ? strrchr(names[i], '/') : NULL;

        if (names[i] && glob_match(glob, slash ? slash + 1 : names[i]))
            return true;
    }
    return false;
}

/* --user, --netns and --program. */
static bool is_chosen(const struct tour *tour, const struct process *process)
{
    char path[64];
    struct stat status;

    if (tour->user && process->effective_uid != tour->uid)
        return false;
    snprintf(path, sizeof path, "/proc/%d/ns/net", process->thread);
    if (tour->network && (stat(path, &status) != 0 || status.st_ino != tour->network))
        return false;
    return !tour->program || is_asked_for(tour->program, process);
}

/* Which rules are for it, and its sockets. */
static void apply_identified(struct tour *tour, const struct process *process)
{
    const struct identity identity = process_identity(process);
    struct active *active = &tour->active;

    *active = (struct active){tour->active_rules, 0};
    active->count = active_rules(&tour->loaded.policy, &identity, tour->active_rules);
    tour->tally.processes += active->count != 0;
    if (active->count && apply_sockets(tour, process, active) != 0 && !is_gone(errno))
        tell_refused(tour, process, errno);
    if (!active->count && !tour->all && tour->round == 1 && !tour->json)
        fprintf(stderr, "%s[%d]: no rule is for it\n", process->name, process->pid);
}

/* Returns 0, or -1 when there is no such process, or it runs no program (any more). */
static int apply_process(struct tour *tour, pid_t pid)
{
    struct process process;
    int result = process_identify(pid, &process);

    if (result == 0 && !process_is_program(&process))
        result = -1;
    else if (result == 0 && is_chosen(tour, &process)) {
        tour->matching++;
        apply_identified(tour, &process);
    }
    process_free(&process);
    return result;
}

/* Returns how many of the named processes there are. */
static size_t apply_round(struct tour *tour, const pid_t *named, size_t count)
{
    pid_t *every = named ? NULL : all_processes(&count);
    const pid_t *pids = named ? named : every;
    size_t alive = 0;

    tour->round++;
    tour->tally = (struct tally){.processes = 0};
    tour->json_sockets = json_array();
    tour->json_refused = json_array();
    for (size_t i = 0; pids && i < count && !stopped; i++) {
        if (apply_process(tour, pids[i]) == 0) {
            alive++;
        } else if (named && tour->round == 1) {
            tour->failed = true;
            command_failure("%d: no such process, or it runs no program", pids[i]);
        }
    }
    if (tour->program && tour->round == 1 && !tour->matching) {
        tour->failed = true;
        command_failure("no running process is called \"%s\"%s", tour->program,
                        tour->user || tour->network ? " there" : "");
    }
    tell_round(tour);
    if (tour->save != NULL && !tour->dry_run && undo_save(tour->undo_notes, tour->save) != 0)
        tour->failed = true;
    json_decref(tour->json_sockets);
    json_decref(tour->json_refused);
    forget(tour);
    free(every);
    return alive;
}

/* --- the whole -------------------------------------------------------------------------------- */

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static void wait_for(double seconds)
{
    struct timespec pause = {.tv_sec = (time_t)seconds};

    pause.tv_nsec = (long)((seconds - floor(seconds)) * 1e9);
    nanosleep(&pause, NULL); /* a signal ends it */
}

static bool is_among(pid_t pid, const pid_t *pids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* The named processes that still run, their children, the children of these, and so on: malloc()ed,
 * `*count` of them; NULL without memory. Frees `named`. */
static pid_t *follow_forks(pid_t *named, size_t *count)
{
    size_t every_count, kept = 0;
    pid_t *every = all_processes(&every_count);
    pid_t *all = every != NULL ? calloc(every_count + 1, sizeof *all) : NULL;
    bool grown = all != NULL;

    for (size_t i = 0; all != NULL && i < *count; i++)
        if (is_among(named[i], every, every_count))
            all[kept++] = named[i];
    while (grown) {
        grown = false;
        for (size_t i = 0; i < every_count; i++) {
            if (is_among(every[i], all, kept) || !is_among(process_parent(every[i]), all, kept))
                continue;
            all[kept++] = every[i];
            grown = true;
        }
    }
    free(every);
    free(named);
    *count = kept;
    return all;
}

/* Takes `named`, and frees it. */
static void run_rounds(struct tour *tour, pid_t *named, size_t count, double pause)
{
    const bool follow = named != NULL;
    struct sigaction action = {.sa_handler = stop};

    if (pause > 0) {
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
    }
    while (apply_round(tour, named, count) > 0 && pause > 0 && !stopped) {
        wait_for(pause);
        if (follow && (named = follow_forks(named, &count)) == NULL)
            break;
    }
    free(named);
    forget(tour);
}

/* Takes `named`, and frees it. */
static int make_tour(struct tour *tour, pid_t *named, size_t count, double pause)
{
    struct diagnostics diagnostics = {
        .report = print_error, .show = print_place, .context = stderr};
    const struct policy *policy = &tour->loaded.policy;
    int status = 0;

    if (load_rules(tour->rules, NULL, &diagnostics, &tour->loaded) != 0) {
        free(named);
        return EXIT_RULES;
    }
    tour->undo_notes = json_array();
    tour->fresh.policy = policy;
    tour->active_rules = calloc(policy->rule_count + 1u, sizeof(uint32_t));
    tour->result = malloc(sizeof *tour->result);
    if (!tour->active_rules || !tour->result ||
        retuner_make(&tour->retuner, policy, tour->dry_run) != 0) {
        status = command_failure("%s", strerror(errno));
        free(named);
    } else {
        run_rounds(tour, named, count, pause);
        status = tour->failed;
    }
    json_decref(tour->undo_notes);
    retuner_free(&tour->retuner);
    fresh_free(&tour->fresh);
    free(tour->result);
    free(tour->active_rules);
    loaded_free(&tour->loaded);
    return status;
}

/* Shorter pauses would be a load, longer ones than a day hide a mistake. */
static bool read_pause(const char *word, double *seconds)
{
    char *end;

    *seconds = strtod(word, &end);
    return end != word && !*end && *seconds >= 0.1 && *seconds <= 86400;
}

/* --user, --netns and --fd. Returns an exit status. */
static int read_choice(struct tour *tour)
{
    const struct passwd *user = tour->user ? getpwnam(tour->user) : NULL;
    char path[PATH_MAX], *end = NULL;
    struct stat status;

    tour->only_fd = -1;
    if (tour->user) {
        tour->uid = user ? user->pw_uid : (uint32_t)strtoul(tour->user, &end, 10);
        if (!user && (end == tour->user || *end))
            return command_misuse("no user \"%s\"", tour->user);
    }
    if (tour->netns) {
        bool is_name = strspn(tour->netns, "0123456789") != strlen(tour->netns);

        snprintf(path, sizeof path,
                 strchr(tour->netns, '/') ? "%s"
                 : is_name                ? "/run/netns/%s"
                                          : "/proc/%s/ns/net",
                 tour->netns);
        if (stat(path, &status) != 0)
            return command_failure("--netns: %s: %s", path, strerror(errno));
        tour->network = status.st_ino;
    }
    if (tour->fd) {
        long number = strtol(tour->fd, &end, 10);

        if (end == tour->fd || *end || number < 0 || number > INT_MAX)
            return command_misuse("\"%s\" is no descriptor", tour->fd);
        tour->only_fd = (int)number;
    }
    return 0;
}

static int cmd_apply(int argc, char **argv)
{
    struct tour tour = {.rules = NULL};
    double pause = 0;
    size_t count;
    pid_t *pids;
    int status = 0;
    int first = parse_flags(argc, argv, &tour, &status);

    if (first < 0)
        return status;
    count = (size_t)(argc - first);
    if (tour.undo != NULL)
        return count > 0 || tour.all || tour.program != NULL
                   ? command_misuse("--undo takes the processes from its file")
                   : undo_run(tour.undo);
    if ((count > 0) + tour.all + (tour.program != NULL) != 1)
        return command_misuse("expected processes, or --program, or --all");
    if (tour.watch != NULL && !read_pause(tour.watch, &pause))
        return command_misuse("\"%s\": --watch takes seconds, 0.1 to 86400", tour.watch);
    status = read_choice(&tour);
    if (status)
        return status;
    if (tour.rules == NULL)
        tour.rules = default_rules();
    if (tour.rules == NULL)
        return command_misuse("which rules? Name them with -c");
    pids = calloc(count + 1, sizeof *pids);
    if (pids == NULL)
        return command_failure("%s", strerror(errno));
    for (size_t i = 0; i < count && !status; i++)
        if (!read_pid(argv[(size_t)first + i], &pids[i]))
            status = command_misuse("\"%s\" is no process ID", argv[(size_t)first + i]);
    if (count == 0) {
        free(pids);
        pids = NULL;
    }
    if (status)
        free(pids);
    else
        status = make_tour(&tour, pids, count, pause);
    return status;
}

static const struct flag flags[] = {
    FLAG_RULES(struct tour, rules),
    {"program", 'p', FLAG_VALUE, offsetof(struct tour, program), "GLOB",
     "processes by name or path, as in rules", "<program>", NULL},
    {"all", 'a', FLAG_SWITCH, offsetof(struct tour, all), NULL,
     "every accessible process that a rule is for", NULL, NULL},
    {"user", 'u', FLAG_VALUE, offsetof(struct tour, user), "USER",
     "only processes that this user runs, a name or a number", "<user>", NULL},
    {"netns", 0, FLAG_VALUE, offsetof(struct tour, netns), "NETNS",
     "only processes in this network namespace: a name of ip-netns(8), a path or a process", NULL,
     NULL},
    {"fd", 0, FLAG_VALUE, offsetof(struct tour, fd), "NUMBER", "only this descriptor", NULL, NULL},
    {"save", 0, FLAG_VALUE, offsetof(struct tour, save), "FILE",
     "keep in FILE what the options were before", "<file>", NULL},
    {"undo", 0, FLAG_VALUE, offsetof(struct tour, undo), "FILE",
     "set options back to what FILE says, and do nothing else", "<file>", NULL},
    {"dry-run", 'n', FLAG_SWITCH, offsetof(struct tour, dry_run), NULL,
     "print what would change, and change nothing", NULL, NULL},
    {"watch", 'w', FLAG_VALUE, offsetof(struct tour, watch), "SECONDS",
     "stay and look for new sockets that often", NULL, NULL},
    FLAG_JSON(struct tour, json),
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
        "The exit status is 0 if all options are as the rules say, 1 if one could not be set, and "
        "78 if the rules are wrong.",
    .operand = "<process>",
    .run = cmd_apply,
};
