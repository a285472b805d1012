/* SPDX-License-Identifier: MIT */
/*
 * Turns the helper's JSON into evidence.
 *
 * The helper has counters over each connection's whole life, but only the last sample of other
 * fields. So verdicts based on counters are possible: loss, the peer's window, drops. Verdicts that
 * need many samples (Nagle's algorithm, full buffers, unread data) or options (keepalive, user
 * timeout) are not.
 */
#include "advise_reported.h"
#include "glob.h"
#include "names.h"
#include "policy.h"
#include "process.h"
#include "reported_fetch.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE          10u /* seconds */
#define INTERVAL_USUAL    10.0
#define STATE_ESTABLISHED 1u
#define STATE_OTHER       7u

static const unsigned skipped = 1u << VERDICT_nagle | 1u << VERDICT_receive_window |
                                1u << VERDICT_slow_reader | 1u << VERDICT_send_buffer |
                                1u << VERDICT_dead_man | 1u << VERDICT_stuck;

struct reported_reading {
    struct advise_watch *watch;
    double interval; /* between the helper's samples, seconds */
    double earliest; /* when the oldest connection was opened */
    bool failed;     /* memory is exhausted */
};

/* Owners of sockets */

static bool is_selected(const struct advise_selection *selection, const char *program, pid_t pid)
{
    for (size_t i = 0; i < selection->count; i++)
        if (selection->pids[i] == pid)
            return true;
    return selection->all || (selection->glob != NULL && glob_match(selection->glob, program));
}

/* A rule for an interpreter must name the script. The script of a process that has ended is
 * unknown. */
static bool may_run_scripts(const char *program)
{
    char name[] = "script";
    char *const words[] = {(char *)program, name, NULL};
    return watched_script(program, words) != NULL;
}

/* Returns whether the process still runs this program; if so, `into` gets its script. */
static bool read_script(struct advise_process *into)
{
    struct process process;
    bool same = false;
    if (process_read(into->pid, &process) == 0) {
        same = strcmp(process_program_name(&process), into->program) == 0;
        const char *script = same ? watched_script(into->program, process.argv) : NULL;
        into->script = script != NULL ? strdup(script) : NULL;
    }
    process_free(&process);
    return same;
}

static struct advise_process *find_process(struct advise_watched *watched, const char *program,
                                           pid_t pid)
{
    struct advise_process *process = watched->first;
    while (process != NULL && (process->pid != pid || strcmp(process->program, program) != 0))
        process = process->next;
    return process;
}

/* NULL if memory is exhausted. */
static struct advise_process *enter_process(struct advise_watched *watched, const char *program,
                                            pid_t pid)
{
    struct advise_process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return NULL;
    process->pid = pid;
    process->program = strdup(program);
    if (process->program == NULL) {
        free(process);
        return NULL;
    }
    process->ended = !read_script(process);
    process->next = watched->first;
    watched->first = process;
    return process;
}

/* Evidence */

static uint64_t reported_number(const struct reported *connection, enum tcp_info_id id)
{
    double number = connection->figures[id];
    return isnan(number) ? 0 : (uint64_t)number;
}

static uint32_t round_to_u32(double number)
{
    return isnan(number) ? 0 : (uint32_t)number;
}

static struct advise_sample sample_of(const struct reported *connection, unsigned role)
{
    const bool listens = role == ROLE_LISTEN, datagrams = role == ROLE_DATAGRAM;
    return (struct advise_sample){
        .kind = listens     ? ADVISE_LISTENER
                : datagrams ? ADVISE_DATAGRAM
                            : ADVISE_CONNECTION,
        .when = connection->sampled,
        .state = strcmp(connection->texts[TEXT_STATE], "established") == 0 ? STATE_ESTABLISHED
                                                                           : STATE_OTHER,
        .receive_queue = listens ? round_to_u32(connection->queue) : 0,
        .send_queue = listens ? round_to_u32(connection->queue_limit) : 0,
        .receive_memory = datagrams ? round_to_u32(connection->queue) : 0,
        .receive_buffer = datagrams ? round_to_u32(connection->queue_limit) : 0,
        .drops = round_to_u32(connection->dropped),
        .has_info = !isnan(connection->figures[TCP_INFO_bytes_sent]),
        .mss = (uint32_t)reported_number(connection, TCP_INFO_snd_mss),
        .window = (uint32_t)reported_number(connection, TCP_INFO_snd_cwnd),
        .rtt = (uint32_t)reported_number(connection, TCP_INFO_rtt),
        .least_rtt = (uint32_t)reported_number(connection, TCP_INFO_min_rtt),
        .counters = {.busy = reported_number(connection, TCP_INFO_busy_time),
                     .limited = reported_number(connection, TCP_INFO_rwnd_limited),
                     .sent = reported_number(connection, TCP_INFO_bytes_sent),
                     .resent = reported_number(connection, TCP_INFO_bytes_retrans),
                     .received = reported_number(connection, TCP_INFO_bytes_received),
                     .segments = reported_number(connection, TCP_INFO_data_segs_out)}};
}

/* The helper's looks count as samples: its counters cover all of them. */
static void count_looks(struct advise_evidence *evidence, const struct reported *connection,
                        double interval)
{
    double seen = connection->sampled - connection->opened;
    evidence->first = connection->opened;
    evidence->last = connection->sampled;
    evidence->samples = 1 + (seen > 0 ? (uint32_t)(seen / interval) : 0);
}

static void read_end(const json_t *object, const char *name, uint8_t address[16], uint16_t *port)
{
    const json_t *end = json_object_get(object, name);
    const char *text = json_string_value(json_object_get(end, "address"));
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *port = (uint16_t)json_integer_value(json_object_get(end, "port"));
    if (text == NULL || inet_pton(AF_INET6, text, address) == 1)
        return;
    memcpy(address, mapped, sizeof mapped);
    (void)inet_pton(AF_INET, text, address + sizeof mapped);
}

static unsigned role_of(const struct reported *connection)
{
    const struct bit_name *role = role_names;
    while (role->name != NULL && strcmp(role->name, connection->texts[TEXT_ROLE]) != 0)
        role++;
    return role->bit;
}

static void add_reported_connection(struct reported_reading *reading,
                                    const struct reported *connection, const json_t *object,
                                    const struct advise_process *process)
{
    const unsigned role = role_of(connection);
    const struct advise_sample sample = sample_of(connection, role);
    struct flow flow = {.family = AF_INET6};
    struct advise_evidence evidence = {0};
    const struct advise_subject subject = {
        .process = process,
        .flow = &flow,
        .role = role,
        .ended = !isnan(connection->closed),
        .view = {.own = &evidence, .idle_least = reading->watch->idle_least}};
    if (role == 0)
        return;
    read_end(object, "local", flow.local, &flow.local_port);
    read_end(object, "remote", flow.remote, &flow.remote_port);
    evidence_add(&evidence, &sample, true);
    count_looks(&evidence, connection, reading->interval);
    reading->watch->progress.sockets++;
    if (groups_add(&reading->watch->groups, &subject) != 0)
        reading->failed = true;
}

static void see_connection(const struct reported *connection, const json_t *object, void *context)
{
    struct reported_reading *reading = context;
    struct advise_watched *watched = &reading->watch->watched;
    const char *program = connection->texts[TEXT_PROGRAM];
    struct advise_process *process;
    if (isnan(connection->sampled) ||
        !is_selected(&watched->selection, program, (pid_t)connection->pid))
        return;
    process = find_process(watched, program, (pid_t)connection->pid);
    if (process == NULL) {
        process = enter_process(watched, program, (pid_t)connection->pid);
        reading->watch->progress.processes++;
    }
    if (process == NULL) {
        reading->failed = true;
        return;
    }
    if (process->ended && may_run_scripts(process->program)) {
        reading->watch->progress.elsewhere++;
        return;
    }
    if (connection->opened < reading->earliest)
        reading->earliest = connection->opened;
    add_reported_connection(reading, connection, object, process);
}

/* The whole */

static int read_list(struct reported_reading *reading, bool closed, char error[QUERY_ERROR_SIZE])
{
    struct reported_list list = {.items = NULL};
    struct reported_fetch fetch = {
        .filter.closed = closed, .patience = PATIENCE, .see = see_connection, .context = reading};
    int status = reported_fetch(&fetch, &list);
    reported_list_free(&list);
    memcpy(error, fetch.error, QUERY_ERROR_SIZE);
    return status;
}

int advise_reported(struct advise_watch *watch, char error[QUERY_ERROR_SIZE])
{
    struct reported_reading reading = {.watch = watch, .earliest = reported_now()};
    json_t *status = query_json("/v1/status", PATIENCE, error);
    const json_t *interval = json_object_get(status, "interval");
    if (status == NULL)
        return -1;
    reading.interval =
        json_number_value(interval) >= 1 ? json_number_value(interval) : INTERVAL_USUAL;
    json_decref(status);
    watch->groups.skipped = skipped;
    if (read_list(&reading, false, error) != 0 || read_list(&reading, true, error) != 0)
        return -1;
    groups_finish(&watch->groups, watch->idle_least);
    watch->progress.elapsed = reported_now() - reading.earliest;
    if (!reading.failed)
        return 0;
    snprintf(error, QUERY_ERROR_SIZE, "memory is out");
    return -1;
}
