/* SPDX-License-Identifier: MIT */
#include "health.h"
#include "clock.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

#define NANOSECONDS 1e9

/* Resident memory in bytes; 0 if /proc is not available. */
static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm == NULL)
        return 0;
    if (fscanf(statm, "%*u %llu", &pages) != 1)
        pages = 0;
    (void)fclose(statm);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void put_drops(const struct helper_counts *counts, struct metrics_health rows[DROP_COUNT])
{
    for (unsigned i = 0; i < DROP_COUNT; i++)
        rows[i] = (struct metrics_health){
            .name = "helper_dropped",
            .unit = "",
            .help = "What was lost or refused, by the reason.",
            .counter = true,
            .label = "reason",
            .label_value = drop_name((enum drop)i),
            .value = (double)counts->dropped[i],
        };
}

size_t health_rows(const struct helper *helper, struct metrics_health rows[HEALTH_ROWS_MAX])
{
    struct connections_size size = connections_size(helper->connections);
    const struct metrics_health fixed[] = {
        {"helper_build_info", "", "The helper's version.", false, "version", SOCKTUNE_VERSION, 1},
        {"helper_start_time_seconds", "seconds", "When the helper started, since the epoch.", false,
         NULL, NULL, (double)clock_to_real(helper->started) / NANOSECONDS},
        {"helper_processes", "", "Processes that are registered.", false, NULL, NULL,
         (double)client_table_count(helper->clients)},
        {"helper_attachments", "", "Attachments whose BPF programs report.", false, NULL, NULL,
         (double)report_sources_count(helper->reports)},
        {"helper_tracked_connections", "", "Open connections and listeners that are tracked.",
         false, NULL, NULL, (double)size.open},
        {"helper_history_connections", "", "Closed connections that are kept.", false, NULL, NULL,
         (double)size.closed},
        {"helper_namespaces", "", "Network namespaces that are watched.", false, NULL, NULL,
         (double)helper->counts.namespaces.used},
        {"helper_groups", "", "Sums that are kept, by user, program, rule and role.", false, NULL,
         NULL, (double)size.aggregates},
        {"helper_tracked_memory_bytes", "bytes",
         "Memory that connections, sums, processes and network namespaces take.", false, NULL, NULL,
         (double)(size.memory + helper->counts.memory_beside)},
        {"helper_user_memory_bytes", "bytes", "Part of that which counts for users.", false, NULL,
         NULL, (double)helper->counts.memory.used},
        {"helper_user_memory_limit_bytes", "bytes",
         "The most that users may take together (limits.memory_mib).", false, NULL, NULL,
         (double)helper->counts.memory.limit},
        {"helper_resident_memory_bytes", "bytes", "Memory of the helper as a whole.", false, NULL,
         NULL, (double)resident_bytes()},
        {"helper_policies_published", "", "Policies given to running programs.", true, NULL, NULL,
         (double)publisher_counts(helper->publisher)->published},
        {"helper_rules_broken", "", "Changes of rules that could not be compiled.", true, NULL,
         NULL, (double)publisher_counts(helper->publisher)->broken},
        {"helper_records", "", "Records taken from programs.", true, NULL, NULL,
         (double)helper->counts.records},
        {"helper_samples", "", "Looks at connections.", true, NULL, NULL,
         (double)helper->counts.samples},
        {"helper_sampling_seconds", "seconds", "Time spent looking at connections.", true, NULL,
         NULL, (double)helper->counts.sampling_time / NANOSECONDS},
    };
    size_t count = sizeof fixed / sizeof *fixed;
    static_assert(sizeof fixed / sizeof *fixed + DROP_COUNT <= HEALTH_ROWS_MAX, "rows do not fit");
    for (size_t i = 0; i < count; i++)
        rows[i] = fixed[i];
    put_drops(&helper->counts, rows + count);
    return count + DROP_COUNT;
}

json_t *health_json(const struct helper *helper)
{
    struct connections_size size = connections_size(helper->connections);
    json_t *dropped = json_object();
    for (unsigned i = 0; i < DROP_COUNT; i++)
        json_object_set_new(dropped, drop_name((enum drop)i),
                            json_integer((json_int_t)helper->counts.dropped[i]));
    return json_pack(
        "{s:s, s:f, s:f, s:I, s:I, s:I, s:{s:I, s:I}, s:I, s:o, s:{s:I, s:I}, s:I, s:f, "
        "s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I}}",
        "release", SOCKTUNE_VERSION, "started",
        (double)clock_to_real(helper->started) / NANOSECONDS, "uptime",
        (double)(now_monotonic() - helper->started) / NANOSECONDS, "clients",
        (json_int_t)client_table_count(helper->clients), "attachments",
        (json_int_t)report_sources_count(helper->reports), "connections", (json_int_t)size.open,
        "history", "kept", (json_int_t)size.closed, "limit", (json_int_t)size.history, "records",
        (json_int_t)helper->counts.records, "dropped", dropped, "handoffs", "taken",
        (json_int_t)helper->counts.handed, "withheld", (json_int_t)helper->counts.withheld,
        "samples", (json_int_t)helper->counts.samples, "sampling_seconds",
        (double)helper->counts.sampling_time / NANOSECONDS, "interval",
        (json_int_t)helper->config.interval, "namespaces",
        (json_int_t)helper->counts.namespaces.used, "groups", (json_int_t)size.aggregates, "memory",
        "tracked", (json_int_t)size.memory + (json_int_t)helper->counts.memory_beside, "users",
        (json_int_t)helper->counts.memory.used, "limit", (json_int_t)helper->counts.memory.limit,
        "resident", (json_int_t)resident_bytes(), "new_rules", "published",
        (json_int_t)publisher_counts(helper->publisher)->published, "broken",
        (json_int_t)publisher_counts(helper->publisher)->broken);
}
