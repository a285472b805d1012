/* SPDX-License-Identifier: MIT */
/*
 * The layout of the ring buffer (kernel/bpf/ringbuf.c): a page with the reader's position, which
 * the reader writes; a page with the writers' position; then the data, mapped twice in a row, so
 * that a report that wraps around is contiguous. Each report follows 8 bytes: its length with two
 * flags, and a number for the kernel.
 */
#include "report_ring.h"
#include "policy.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAP_LINK      "anon_inode:bpf-map"
#define TYPE_RINGBUF  27u /* enum bpf_map_type: missing in older headers */
#define TYPE_ARRAY    2u
#define BEING_WRITTEN (1u << 31)
#define DISCARDED     (1u << 30)
#define HEAD_SIZE     8u

/* Checks of what was passed */

bool report_ring_is_map(int fd)
{
    char path[64], link[sizeof MAP_LINK + 1];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, link, sizeof link);
    return length == (ssize_t)sizeof MAP_LINK - 1 && memcmp(link, MAP_LINK, (size_t)length) == 0;
}

bool report_ring_is_message(const void *message, size_t size)
{
    return size >= sizeof ATTACH_MESSAGE_MAGIC - 1 &&
           memcmp(message, ATTACH_MESSAGE_MAGIC, sizeof ATTACH_MESSAGE_MAGIC - 1) == 0;
}

const char *report_ring_check_message(const void *message, size_t size, struct attach_message *to)
{
    if (size != sizeof *to || !report_ring_is_message(message, size))
        return "not the message of an attachment";
    memcpy(to, message, sizeof *to);
    if (to->version != ATTACH_MESSAGE_VERSION || to->size != size)
        return "an attachment of another version";
    return NULL;
}

struct map_facts {
    unsigned type, value_size, max_entries;
};

/* Reads the kernel's description of a map in /proc. */
static struct map_facts map_facts_of(int fd)
{
    struct map_facts facts = {0, 0, 0};
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = report_ring_is_map(fd) ? fopen(path, "re") : NULL;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        (void)sscanf(line, "map_type: %u", &facts.type);
        (void)sscanf(line, "value_size: %u", &facts.value_size);
        (void)sscanf(line, "max_entries: %u", &facts.max_entries);
    }
    if (file != NULL)
        (void)fclose(file);
    return facts;
}

/* Mapping */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t channel_size(void)
{
    return (sizeof(struct attach_channel) + page_size() - 1) / page_size() * page_size();
}

static void *map_shared(int fd, size_t size, int protection, size_t offset)
{
    void *memory = mmap(NULL, size, protection, MAP_SHARED, fd, (off_t)offset);
    return memory != MAP_FAILED ? memory : NULL;
}

static void end_name(char *name, size_t size)
{
    name[size - 1] = '\0';
    utf8_replace_invisible(name);
}

static const char *copy_names(struct report_ring *ring)
{
    struct attach_channel *names = malloc(sizeof *names);
    if (names == NULL)
        return "memory is out";
    memcpy(names, ring->shared, sizeof *names);
    ring->names = names;
    if (names->version != ATTACH_CHANNEL_VERSION)
        return "an attachment of another version";
    if (names->rule_count > ATTACH_CHANNEL_RULES || names->option_count > ATTACH_CHANNEL_OPTIONS)
        return "an attachment with too many rules or options";
    for (uint32_t i = 0; i < names->rule_count; i++)
        end_name(names->rules[i], sizeof names->rules[i]);
    ring->lost = names->lost;
    return NULL;
}

const char *report_ring_map(struct report_ring *ring, int reports, size_t size, int channel)
{
    *ring = (struct report_ring){.size = size};
    ring->consumer = map_shared(reports, page_size(), PROT_READ | PROT_WRITE, 0);
    ring->producer = map_shared(reports, page_size() + 2 * size, PROT_READ, page_size());
    ring->shared = map_shared(channel, channel_size(), PROT_READ | PROT_WRITE, 0);
    const char *wrong = ring->consumer == NULL || ring->producer == NULL || ring->shared == NULL
                            ? "its maps cannot be mapped"
                            : copy_names(ring);
    if (wrong != NULL)
        report_ring_close(ring);
    return wrong;
}

const char *report_ring_open(struct report_ring *ring, int reports, int channel)
{
    struct map_facts ring_facts = map_facts_of(reports), channel_facts = map_facts_of(channel);
    *ring = (struct report_ring){.size = 0};
    if (ring_facts.type != TYPE_RINGBUF || ring_facts.max_entries != ATTACH_REPORTS_SIZE ||
        channel_facts.type != TYPE_ARRAY || channel_facts.max_entries != 1 ||
        channel_facts.value_size != sizeof(struct attach_channel))
        return "what was passed are not the maps of an attachment";
    return report_ring_map(ring, reports, ATTACH_REPORTS_SIZE, channel);
}

void report_ring_close(struct report_ring *ring)
{
    if (ring->shared != NULL)
        (void)munmap(ring->shared, channel_size());
    if (ring->consumer != NULL)
        (void)munmap(ring->consumer, page_size());
    if (ring->producer != NULL)
        (void)munmap((void *)ring->producer, page_size() + 2 * ring->size);
    free(ring->names);
    *ring = (struct report_ring){.size = 0};
}

/* State that both sides share */

void report_ring_beat(const struct report_ring *ring, uint64_t now)
{
    __atomic_store_n(&ring->shared->heartbeat, now, __ATOMIC_RELAXED);
}

bool report_ring_is_closed(const struct report_ring *ring)
{
    return __atomic_load_n(&ring->shared->closed, __ATOMIC_ACQUIRE) != 0;
}

uint64_t report_ring_count_lost(struct report_ring *ring)
{
    uint64_t now = __atomic_load_n(&ring->shared->lost, __ATOMIC_RELAXED);
    uint64_t lost = now - ring->lost;
    ring->lost = now;
    return lost;
}

/* Reading */

bool report_is_sane(const struct attach_report *report, size_t length,
                    const struct attach_channel *names)
{
    if (length < offsetof(struct attach_report, info))
        return false;
    if (report->kind == ATTACH_ENDED
            ? length != sizeof *report || report->info_length > ATTACH_INFO_SIZE
            : report->kind != ATTACH_OPENED)
        return false;
    return (report->role == ROLE_CONNECT || report->role == ROLE_LISTEN ||
            report->role == ROLE_ACCEPT) &&
           (report->family == AF_INET || report->family == AF_INET6) &&
           (report->rule < names->rule_count ||
            (report->kind == ATTACH_ENDED && report->rule == ATTACH_FORMER_RULE)) &&
           memchr(report->program, '\0', sizeof report->program) != NULL &&
           memchr(report->congestion, '\0', sizeof report->congestion) != NULL;
}

static void take_one(struct report_ring *ring, const uint8_t *data, uint32_t length,
                     report_take *take, void *context)
{
    const struct attach_report *report = (const struct attach_report *)data;
    if (report_is_sane(report, length, ring->names))
        take(context, report);
    else
        ring->malformed++;
}

unsigned report_ring_read(struct report_ring *ring, unsigned limit, report_take *take,
                          void *context)
{
    const uint64_t end = __atomic_load_n((const uint64_t *)ring->producer, __ATOMIC_ACQUIRE);
    const uint8_t *data = ring->producer + page_size();
    uint64_t *position = (uint64_t *)ring->consumer, at = *position;
    unsigned taken = 0;
    while (taken < limit && at < end) {
        const uint8_t *head = data + (at & (ring->size - 1));
        uint32_t length = __atomic_load_n((const uint32_t *)head, __ATOMIC_ACQUIRE);
        if ((length & BEING_WRITTEN) != 0)
            break;
        bool discarded = (length & DISCARDED) != 0;
        length &= ~DISCARDED;
        if (length > ring->size)
            break;
        if (!discarded)
            take_one(ring, head + HEAD_SIZE, length, take, context);
        at += (length + HEAD_SIZE + 7) & ~UINT64_C(7);
        __atomic_store_n(position, at, __ATOMIC_RELEASE);
        taken++;
    }
    return taken;
}
