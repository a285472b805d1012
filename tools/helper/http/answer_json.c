/* SPDX-License-Identifier: MIT */
#include "answer_json.h"
#include "clock.h"
#include "compat.h"
#include "console.h"
#include "format_option.h"
#include "names.h"
#include "tcp_info.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#define NANOSECONDS 1e9

/* Converts a time of the monotonic clock, as the model has it. */
static json_t *time_json(uint64_t monotonic)
{
    return json_real((double)clock_to_real(monotonic) / NANOSECONDS);
}

static json_t *count_json(uint64_t count)
{
    return json_integer((json_int_t)count);
}

/* A connection */

static json_t *endpoint_json(const struct connection *connection, const uint8_t address[16],
                             uint16_t port)
{
    char text[FLOW_ADDRESS_SIZE];
    flow_format_address(address, connection->flow.family, text);
    return json_pack("{s:s, s:i}", "address", text, "port", (int)port);
}

static const char *protocol_text(unsigned protocol)
{
    return protocol == IPPROTO_MPTCP ? "mptcp" : protocol == IPPROTO_UDP ? "udp" : "tcp";
}

static const char *data_text(enum connection_data data)
{
    static const char *const texts[] = {
        [DATA_NONE] = "none",
        [DATA_SAMPLE] = "sample",
        [DATA_FINAL] = "final",
        [DATA_LOST] = "lost",
    };
    return texts[data];
}

/* Options read from a handed-over connection; NULL for other connections. */
static json_t *values_json(const struct connection_options *options)
{
    size_t count;
    const struct option *rows = option_table(&count);
    json_t *values = options != NULL ? json_object() : NULL;
    for (size_t at = 0; values != NULL && at + 2 <= options->length;
         at += 2u + options->bytes[at + 1]) {
        const struct option *row = &rows[options->bytes[at]];
        json_object_set_new(values, row->name,
                            bytes_json(row, options->bytes + at + 2, options->bytes[at + 1]));
    }
    return values;
}

static json_t *options_json(const struct connection *connection)
{
    json_t *failed = json_object();
    for (unsigned i = 0; i < connection->failure_count; i++) {
        struct option_failure failure = connection_failure(connection, i);
        const char *error = strerrorname_np(failure.error);
        json_object_set_new(failed, failure.option,
                            error != NULL ? json_string(error) : json_integer(failure.error));
    }
    return json_pack("{s:i, s:o, s:o*}", "applied", (int)connection->applied, "failed", failed,
                     "values", values_json(connection->options));
}

/* Writes the fields of TCP_INFO directly instead of building an object with about 70 members, since
 * lists have many connections. A field that the kernel did not return is absent; a field without a
 * value yet is null. */
static void put_tcp_info(const struct tcp_info_bytes *info, FILE *to)
{
    size_t count;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    const char *comma = "";
    uint64_t number;
    fputs(",\"tcp_info\":{", to);
    for (size_t i = 0; i < count; i++) {
        enum tcp_info_answer answer = tcp_info_get(&fields[i], info, &number);
        if (answer == TCP_INFO_VALUE)
            fprintf(to, "%s\"%s\":%" PRIu64, comma, fields[i].name, number);
        else if (answer == TCP_INFO_UNSET)
            fprintf(to, "%s\"%s\":null", comma, fields[i].name);
        if (answer != TCP_INFO_ABSENT)
            comma = ",";
    }
    putc('}', to);
}

static void set_figures(json_t *object, const struct connection *connection)
{
    if (connection->sampled)
        json_object_set_new(object, "sampled", time_json(connection->sampled));
    if (*connection->congestion)
        json_object_set_new(object, "congestion", json_text(connection->congestion));
    if (connection_has_queue(connection))
        json_object_set_new(
            object, connection->role == ROLE_LISTEN ? "accept_queue" : "receive_queue",
            json_pack("{s:I, s:I, s:I}", "length", (json_int_t)connection->queue.length, "limit",
                      (json_int_t)connection->queue.limit, "dropped",
                      (json_int_t)connection->queue.dropped));
}

static bool has_remote_end(const struct connection *connection)
{
    return connection->role != ROLE_LISTEN &&
           (connection->role != ROLE_DATAGRAM || connection->flow.remote_port != 0);
}

/* Everything except TCP_INFO. */
static json_t *connection_json(const struct connection *connection)
{
    char id[2 * 20 + 2];
    json_t *object;
    snprintf(id, sizeof id, "%" PRIu64 "-%" PRIu64, connection->netns, connection->cookie);
    object = json_pack("{s:s, s:o, s:I, s:I, s:o, s:s, s:s, s:s}", "id", id, "program",
                       json_text(connection->program), "pid", (json_int_t)connection->pid, "uid",
                       (json_int_t)connection->uid, "rule", json_text(connection->rule), "role",
                       name_of_bits(connection->role, role_names), "family",
                       connection->flow.family == AF_INET ? "inet" : "inet6", "protocol",
                       protocol_text(connection->protocol));
    if (object == NULL)
        return NULL;
    json_object_set_new(
        object, "local",
        endpoint_json(connection, connection->flow.local, connection->flow.local_port));
    if (has_remote_end(connection))
        json_object_set_new(
            object, "remote",
            endpoint_json(connection, connection->flow.remote, connection->flow.remote_port));
    if (connection->ifindex)
        json_object_set_new(object, "ifindex", count_json(connection->ifindex));
    json_object_set_new(object, "state",
                        connection->state ? json_string(tcp_state_name(connection->state))
                                          : json_null());
    json_object_set_new(object, "opened", time_json(connection->opened));
    if (connection->closed)
        json_object_set_new(object, "closed", time_json(connection->closed));
    json_object_set_new(object, "data", json_string(data_text(connection->data)));
    if (connection->close_reason != CLOSE_NONE)
        json_object_set_new(object, "reason",
                            json_string(close_reason_name(connection->close_reason)));
    if (*connection->peer)
        json_object_set_new(object, "peer", json_text(connection->peer));
    json_object_set_new(object, "options", options_json(connection));
    set_figures(object, connection);
    return object;
}

int answer_connection(const struct connection *connection, FILE *to)
{
    json_t *object = connection_json(connection);
    struct tcp_info_bytes info;
    int failed;
    if (object == NULL)
        return -1;
    putc('{', to);
    failed = json_dumpf(object, to, ANSWER_JSON_FLAGS | JSON_EMBED);
    json_decref(object);
    connection_info(connection, &info);
    if (info.length)
        put_tcp_info(&info, to);
    putc('}', to);
    return failed;
}

/* Processes and rules */

static json_t *rules_json(const struct client *process)
{
    json_t *rules = json_array();
    for (size_t i = 0; i < process->rule_count; i++)
        json_array_append_new(rules, json_text(process->rules[i]));
    return rules;
}

json_t *answer_child(const struct client *process, const struct client_child *child,
                     size_t connections)
{
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:b, s:I, s:I}", "pid", (json_int_t)child->pid,
                     "parent", (json_int_t)process->pid, "uid", (json_int_t)process->uid, "program",
                     json_text(process->program), "rules", rules_json(process), "registered",
                     time_json(child->since), "ended", false, "records", (json_int_t)child->records,
                     "connections", (json_int_t)connections);
}

/* The state of new rules; null for a program that takes none. */
static json_t *live_json(const struct published_program *program)
{
    struct publishing_state state;
    char checksum[17];
    if (program == NULL)
        return json_null();
    publisher_state(program, &state);
    snprintf(checksum, sizeof checksum, "%016" PRIx64, state.checksum);
    return json_pack("{s:s, s:s, s:o, s:o}", "state", publishing_name(state.state), "policy",
                     checksum, "rules", json_text(state.path), "error",
                     json_text(state.error[0] != '\0' ? state.error : NULL));
}

json_t *answer_process(const struct client *process, size_t connections)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:{s:I, s:I}, s:o}", "pid",
                     (json_int_t)process->pid, "uid", (json_int_t)process->uid, "program",
                     json_text(process->program), "rules", rules_json(process), "registered",
                     time_json(process->registered), "ended", process->ended, "records",
                     (json_int_t)process->records, "dropped", (json_int_t)process->dropped,
                     "connections", (json_int_t)connections, "handoffs", "taken",
                     (json_int_t)process->handed, "withheld", (json_int_t)process->withheld, "live",
                     live_json(process->published));
}

/* For example {"SO_MARK": {"EPERM": 3}}. */
static json_t *refused_json(const struct aggregate *aggregate)
{
    json_t *object = json_object();
    for (size_t i = 0; i < aggregate->outcome_count; i++) {
        const struct option_count *refused = &aggregate->outcomes[i];
        const char *error = strerrorname_np(refused->error);
        json_t *errors = json_object_get(object, refused->option);
        if (!refused->error)
            continue;
        if (errors == NULL) {
            errors = json_object();
            json_object_set_new(object, refused->option, errors);
        }
        json_object_set_new(errors, error != NULL ? error : "other", count_json(refused->count));
    }
    return object;
}

/* For example {"TCP_NODELAY": 7}. */
static json_t *set_json(const struct aggregate *aggregate)
{
    json_t *object = json_object();
    for (size_t i = 0; i < aggregate->outcome_count; i++)
        if (!aggregate->outcomes[i].error)
            json_object_set_new(object, aggregate->outcomes[i].option,
                                count_json(aggregate->outcomes[i].count));
    return object;
}

static json_t *port_json(const struct aggregate *aggregate)
{
    return aggregate->port == AGGREGATE_PORT_OTHER ? json_string("other")
           : aggregate->port == AGGREGATE_PORT_ALL ? json_null()
                                                   : count_json(aggregate->port);
}

/* Number of connections by close reason. */
static json_t *ends_json(const struct aggregate *aggregate)
{
    json_t *ends = json_object();
    for (unsigned i = CLOSE_NONE + 1; i < CLOSE_COUNT; i++)
        json_object_set_new(ends, close_reason_name((enum close_reason)i),
                            count_json(aggregate->closed[i]));
    return ends;
}

static json_t *sums_json(const struct aggregate *aggregate)
{
    json_t *sums = json_object();
    for (unsigned i = 0; i < SUM_COUNT; i++)
        json_object_set_new(sums, tcp_info_sum((enum tcp_info_sum)i)->name,
                            count_json(aggregate->sums[i]));
    return sums;
}

/* Buckets as [upper bound or null, count of this bucket only]. The reader computes means and
 * quantiles: between two answers they are more useful. */
static json_t *distribution_json(const struct aggregate *aggregate, enum histogram_kind kind)
{
    const struct histogram *histogram = &aggregate->histograms[kind];
    json_t *buckets = json_array();
    for (size_t i = 0; i <= HISTOGRAM_BUCKETS; i++) {
        json_t *bound = i < HISTOGRAM_BUCKETS ? json_real(histogram_bounds(kind)[i]) : json_null();
        json_array_append_new(buckets,
                              json_pack("[o, I]", bound, (json_int_t)histogram->counts[i]));
    }
    return json_pack("{s:I, s:f, s:o}", "count", (json_int_t)histogram_count(histogram), "sum",
                     histogram->sum, "buckets", buckets);
}

json_t *answer_rule(const struct aggregate *aggregate)
{
    const char *role = name_of_bits(aggregate->role, role_names);
    const bool datagrams = (aggregate->role & ROLE_DATAGRAM) != 0;
    uint64_t closed = 0;
    json_t *object;
    for (unsigned i = 0; i < CLOSE_COUNT; i++)
        closed += aggregate->closed[i];
    object = json_pack(
        "{s:o, s:o, s:s, s:o, s:I, s:I, s:I, s:o, s:{s:I, s:o, s:o}, s:{s:I, s:I}, s:o, s:o, s:o}",
        "program", json_string(aggregate->program), "rule", json_string(aggregate->rule), "role",
        aggregate->other || role == NULL ? "other" : role, "port", port_json(aggregate), "open",
        (json_int_t)aggregate->open, "opened", (json_int_t)aggregate->opened, "closed",
        (json_int_t)closed, "ends", ends_json(aggregate), "options", "applied",
        (json_int_t)aggregate->applied, "set", set_json(aggregate), "failed",
        refused_json(aggregate), datagrams ? "receive_queue" : "accept_queue", "length",
        (json_int_t)aggregate->queue_length, "limit", (json_int_t)aggregate->queue_limit, "rtt",
        distribution_json(aggregate, HISTOGRAM_RTT), "duration",
        distribution_json(aggregate, HISTOGRAM_DURATION), "tcp_info", sums_json(aggregate));
    json_object_set_new(object, "uid",
                        aggregate->uid == (uid_t)-1 ? json_null() : count_json(aggregate->uid));
    json_object_set_new(object, "dropped", count_json(aggregate->dropped));
    if (*aggregate->peer)
        json_object_set_new(object, "peer", json_string(aggregate->peer));
    return object;
}

json_t *answer_error(const char *text)
{
    return json_pack("{s:o}", "error", json_text(text));
}
