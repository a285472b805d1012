/* SPDX-License-Identifier: MIT */
/*
 * Reading the reports of BPF programs. Two files replace the maps.
 */
#include "clock.h"
#include "policy.h"
#include "report_ring.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATA_SIZE ((size_t)65536)

static struct report_ring ring;
static uint8_t *producer;              /* as written by the kernel */
static struct attach_channel *channel; /* the same */
static unsigned taken;
static struct attach_report newest;

static void *make_file(size_t size, int *fd)
{
    *fd = memfd_create("map", MFD_CLOEXEC);
    cr_assert(*fd >= 0 && ftruncate(*fd, (off_t)size) == 0);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    cr_assert_neq(memory, MAP_FAILED);
    return memory;
}

static void set_up(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int data, shared;
    producer = (uint8_t *)make_file(2 * (page + DATA_SIZE), &data) + page;
    channel = make_file(sizeof *channel + page, &shared);
    channel->version = ATTACH_CHANNEL_VERSION;
    channel->rule_count = 2;
    strcpy(channel->rules[1], "out\n");
    cr_assert_null(report_ring_map(&ring, data, DATA_SIZE, shared));
    close(data);
    close(shared);
    taken = 0;
}

static void tear_down(void)
{
    report_ring_close(&ring);
}

TestSuite(report_ring, .init = set_up, .fini = tear_down);

static struct attach_report sane_report(void)
{
    return (struct attach_report){.cookie = 7,
                                  .kind = ATTACH_ENDED,
                                  .role = ROLE_CONNECT,
                                  .family = AF_INET,
                                  .rule = 1,
                                  .program = "web",
                                  .congestion = "cubic",
                                  .info_length = ATTACH_INFO_SIZE};
}

/* As bpf_ringbuf_reserve() and _submit() do. */
static uint32_t *put(const struct attach_report *report, size_t length, uint32_t flags)
{
    uint64_t *position = (uint64_t *)producer;
    uint8_t *head = producer + sysconf(_SC_PAGESIZE) + *position;
    memcpy(head + 8, report, length);
    *(uint32_t *)head = (uint32_t)length | flags;
    *position += (length + 8 + 7) / 8 * 8;
    return (uint32_t *)head;
}

static void take(void *context, const struct attach_report *report)
{
    (void)context;
    taken++;
    newest = *report;
}

Test(report_ring, takes_reports_in_their_order_and_those_being_written_later)
{
    struct attach_report report = sane_report();
    put(&report, sizeof report, 0);
    report.cookie = 8;
    uint32_t *unfinished = put(&report, sizeof report, 1u << 31);
    report.cookie = 9;
    put(&report, sizeof report, 0);
    cr_assert_eq(report_ring_read(&ring, 10, take, NULL), 1);
    cr_assert_eq(newest.cookie, 7);
    *unfinished = sizeof report;
    cr_assert_eq(report_ring_read(&ring, 10, take, NULL), 2);
    cr_assert_eq(newest.cookie, 9);
    cr_assert_eq(report_ring_read(&ring, 10, take, NULL), 0);
}

Test(report_ring, stops_at_the_limit_and_passes_over_what_was_discarded)
{
    const struct attach_report report = sane_report();
    for (int i = 0; i < 3; i++)
        put(&report, sizeof report, 0);
    put(&report, sizeof report, 1u << 30);
    cr_assert_eq(report_ring_read(&ring, 2, take, NULL), 2);
    cr_assert_eq(report_ring_read(&ring, 10, take, NULL), 2);
    cr_assert_eq(taken, 3);
}

Test(report_ring, counts_what_makes_no_sense_and_goes_on)
{
    struct attach_report report = sane_report();
    put(&report, 16, 0);
    report.rule = 2;
    put(&report, sizeof report, 0);
    report.rule = 0;
    put(&report, sizeof report, 0);
    cr_assert_eq(report_ring_read(&ring, 10, take, NULL), 3);
    cr_assert_eq(taken, 1);
    cr_assert_eq(ring.malformed, 2);
}

Test(report_ring, each_value_has_its_range)
{
    const size_t begun = offsetof(struct attach_report, info);
    struct attach_report report = sane_report();
    report.rule = ATTACH_FORMER_RULE;
    cr_assert(report_is_sane(&report, sizeof report, channel));
    report.rule = 2;
    cr_assert_not(report_is_sane(&report, sizeof report, channel));
    report = sane_report();
    cr_assert(report_is_sane(&report, sizeof report, channel));
    cr_assert_not(report_is_sane(&report, begun, channel), "an end without figures");
    report.info_length = ATTACH_INFO_SIZE + 1;
    cr_assert_not(report_is_sane(&report, sizeof report, channel));
    report.kind = ATTACH_OPENED;
    cr_assert(report_is_sane(&report, begun, channel));
    report.kind = ATTACH_ENDED + 1;
    cr_assert_not(report_is_sane(&report, begun, channel));
    report = sane_report();
    report.role = ROLE_DATAGRAM;
    cr_assert_not(report_is_sane(&report, sizeof report, channel));
    report = sane_report();
    report.family = AF_UNIX;
    cr_assert_not(report_is_sane(&report, sizeof report, channel));
    report = sane_report();
    memset(report.program, 'x', sizeof report.program);
    cr_assert_not(report_is_sane(&report, sizeof report, channel));
    report = sane_report();
    memset(report.congestion, 'x', sizeof report.congestion);
    cr_assert_not(report_is_sane(&report, sizeof report, channel));
}

Test(report_ring, names_are_copied_once_and_hold_no_control_characters)
{
    strcpy(channel->rules[1], "later");
    cr_assert_str_eq(ring.names->rules[1], "out?");
}

Test(report_ring, tells_the_writers_and_counts_what_they_lost)
{
    report_ring_beat(&ring, 5);
    cr_assert_eq(channel->heartbeat, 5);
    channel->lost = 3;
    cr_assert_eq(report_ring_count_lost(&ring), 3);
    cr_assert_eq(report_ring_count_lost(&ring), 0);
    cr_assert_not(report_ring_is_closed(&ring));
    channel->closed = 1;
    cr_assert(report_ring_is_closed(&ring));
}

Test(report_ring, takes_nothing_but_bpf_maps)
{
    struct report_ring other;
    int fd = memfd_create("no-map", MFD_CLOEXEC);
    cr_assert_not(report_ring_is_map(fd));
    cr_assert_not(report_ring_is_map(-1));
    cr_assert_not_null(report_ring_open(&other, fd, fd));
    report_ring_close(&other);
    close(fd);
}

Test(report_ring, checks_the_message)
{
    struct attach_message message = {.version = ATTACH_MESSAGE_VERSION, .size = sizeof message};
    struct attach_message checked;
    memcpy(message.magic, ATTACH_MESSAGE_MAGIC, sizeof message.magic);
    cr_assert_null(report_ring_check_message(&message, sizeof message, &checked));
    cr_assert_not_null(report_ring_check_message(&message, sizeof message - 1, &checked));
    message.version++;
    cr_assert_not_null(report_ring_check_message(&message, sizeof message, &checked));
    message.version--;
    message.magic[0] = 'X';
    cr_assert_not_null(report_ring_check_message(&message, sizeof message, &checked));
}
