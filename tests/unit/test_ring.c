/* SPDX-License-Identifier: MIT */
/*
 * The ring between a program and the helper: many writers, a full ring, writers that die or are
 * late, and hostile contents.
 */
#include "ring_reader.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define FIRST (3 * RING_GENERATION)
#define ID    UINT64_C(0x123456789abcdef)

/* Both ends of a ring. */
struct ends {
    int fd;
    struct ring *ring;
    struct ring_reader reader;
};

static int make_memfd(size_t size, int seals)
{
    int fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert(fd >= 0);
    cr_assert_eq(ftruncate(fd, (off_t)size), 0);
    cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void *map(int fd, size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(memory, MAP_FAILED);
    return memory;
}

static struct ends open_ends(void)
{
    struct ends ends = {.fd = make_memfd(RING_SIZE(RING_SLOTS), SEALS)};
    const char *wrong;
    ends.ring = map(ends.fd, RING_SIZE(RING_SLOTS));
    ring_init(ends.ring, ID, FIRST, 1);
    wrong = ring_reader_open(&ends.reader, ends.fd, RING_SIZE(RING_SLOTS), RING_SIZE(RING_SLOTS));
    cr_assert_null(wrong, "%s", wrong);
    return ends;
}

static void close_ends(struct ends *ends)
{
    ring_reader_close(&ends->reader);
    munmap(ends->ring, RING_SIZE(RING_SLOTS));
    close(ends->fd);
}

static struct record make_record(uint64_t writer, uint64_t number)
{
    return (struct record){.cookie = writer << 32 | number,
                           .time_ns = number,
                           .kind = RECORD_ACCEPT,
                           .family = AF_INET,
                           .protocol = IPPROTO_TCP,
                           .remote_port = 80};
}

/* The state of the reader: the numbers of each writer must arrive in order, each once. */
#define WRITERS_MAX 8
struct seen {
    uint64_t next[WRITERS_MAX];
    uint64_t count;
    bool gaps_allowed;
};

static void see(void *context, const struct record *record)
{
    struct seen *seen = context;
    uint64_t writer = record->cookie >> 32, number = record->cookie & UINT32_MAX;
    cr_assert_lt(writer, WRITERS_MAX);
    if (seen->gaps_allowed)
        cr_assert_geq(number, seen->next[writer]);
    else
        cr_assert_eq(number, seen->next[writer]);
    cr_assert_eq(record->time_ns, number);
    seen->next[writer] = number + 1;
    seen->count++;
}

static int read_all(struct ends *ends, uint64_t now, struct seen *seen)
{
    int passed, all = 0;
    while ((passed = ring_reader_read(&ends->reader, now, 100, see, seen)) > 0)
        all += passed;
    return passed < 0 ? passed : all;
}

Test(ring, gives_what_was_put)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    struct record record = make_record(0, 1);
    cr_assert_not(ring_reader_pending(&ends.reader));
    cr_assert(ring_put(ends.ring, &record));
    cr_assert(ring_reader_pending(&ends.reader));
    cr_assert_eq(read_all(&ends, 1, &seen), 1);
    cr_assert_eq(seen.count, 1);
    cr_assert_not(ring_reader_pending(&ends.reader));
    cr_assert_eq(ends.ring->header.tail, FIRST + 1);
    close_ends(&ends);
}

/* Many rounds, with a full ring in between: exactly the records that did not fit are counted. */
Test(ring, counts_what_does_not_fit)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}, .gaps_allowed = true};
    uint64_t number = 1;
    for (int round = 0; round < 5; round++) {
        for (unsigned i = 0; i < RING_SLOTS + 10; i++, number++) {
            struct record record = make_record(0, number);
            cr_assert_eq(ring_put(ends.ring, &record), i < RING_SLOTS);
        }
        cr_assert_eq(read_all(&ends, 1, &seen), RING_SLOTS);
        cr_assert_eq(ends.reader.counts.dropped, UINT64_C(10) * (unsigned)(round + 1));
    }
    cr_assert_eq(seen.count, (size_t)5 * RING_SLOTS);
    cr_assert_eq(ends.reader.counts.records, (size_t)5 * RING_SLOTS);
    close_ends(&ends);
}

/* If the reader keeps up, only the front of the ring is used, however many records pass. */
Test(ring, stays_small_where_it_is_read)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    for (uint64_t number = 1; number <= UINT64_C(2) * RING_SLOTS; number++) {
        struct record record = make_record(0, number);
        cr_assert(ring_put(ends.ring, &record));
        if (number % RING_FRONT == 0)
            read_all(&ends, 1, &seen);
    }
    cr_assert_eq(seen.count, UINT64_C(2) * RING_SLOTS);
    for (unsigned i = 0; i < RING_SLOTS; i++)
        cr_assert_eq(ring_backlog_slot(ends.ring, i, RING_SLOTS)->sequence, 0);
    close_ends(&ends);
}

/* While the front is full, records go to the backlog until the reader has read the front; all
 * arrive in order. */
Test(ring, keeps_a_backlog_behind_the_front)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    uint64_t number = 1;
    for (int round = 0; round < 100; round++) {
        uint64_t first = ends.ring->header.head;
        for (unsigned i = 0; i < RING_FRONT + 10; i++, number++) {
            struct record record = make_record(0, number);
            cr_assert(ring_put(ends.ring, &record));
            const struct ring_slot *slot =
                i < RING_FRONT ? ring_front_slot(ends.ring, first + i)
                               : ring_backlog_slot(ends.ring, first + i, RING_SLOTS);
            cr_assert_eq(slot->sequence, first + i + 1);
        }
        cr_assert_eq(read_all(&ends, 1, &seen), RING_FRONT + 10);
    }
    cr_assert_eq(ends.reader.counts.abandoned + ends.reader.counts.torn, 0);
    close_ends(&ends);
}

/* The head passes a ring that consists only of holes: reading allocates no memory. */
Test(ring, holes_stay_holes)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    struct stat before, after;
    cr_assert_eq(fstat(ends.reader.fd, &before), 0);
    for (uint64_t round = 1; round <= 4; round++) {
        ends.ring->header.head += RING_SLOTS;
        (void)read_all(&ends, round * 10 * RING_READER_PATIENCE_NS, &seen);
        (void)read_all(&ends, (round * 10 + 2) * RING_READER_PATIENCE_NS, &seen);
    }
    cr_assert_eq(fstat(ends.reader.fd, &after), 0);
    cr_assert_eq(after.st_blocks, before.st_blocks);
    cr_assert_eq(ends.reader.counts.abandoned, (size_t)4 * RING_SLOTS);
    close_ends(&ends);
}

/* A count that increases faster than writers can count is a forgery. */
Test(ring, counts_are_bounded_by_time)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    uint64_t *dropped = &ends.ring->header.dropped, now = RING_READER_PATIENCE_NS;
    *dropped = RING_READER_COUNT_MAX;
    cr_assert_eq(ring_reader_read(&ends.reader, now, 0, see, &seen), 0);
    *dropped += 1000;
    now += 1000 * RING_READER_COUNT_NS;
    cr_assert_eq(ring_reader_read(&ends.reader, now, 0, see, &seen), 0);
    cr_assert_eq(ends.reader.counts.dropped, RING_READER_COUNT_MAX + 1000);
    *dropped += 1001;
    now += 1000 * RING_READER_COUNT_NS;
    cr_assert_eq(ring_reader_read(&ends.reader, now, 0, see, &seen), -1);
    close_ends(&ends);
}

Test(ring, a_count_just_below_zero_is_a_lie)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    ends.ring->header.dropped = UINT64_MAX - 255;
    cr_assert_eq(ring_reader_read(&ends.reader, 1, 0, see, &seen), -1);
    close_ends(&ends);
}

enum { EACH = 20000, THREADS = 4, PROCESSES = 4 };

/* Write EACH records, retrying while the ring is full. */
static void write_records(struct ring *ring, uint64_t writer)
{
    for (uint64_t number = 1; number <= EACH; number++) {
        struct record record = make_record(writer, number);
        while (!ring_put(ring, &record))
            sched_yield();
    }
}

struct thread {
    struct ring *ring;
    uint64_t writer;
};

static void *thread_main(void *argument)
{
    struct thread *thread = argument;
    write_records(thread->ring, thread->writer);
    return NULL;
}

static void read_until(struct ends *ends, struct seen *seen, uint64_t count)
{
    while (seen->count < count) {
        cr_assert_geq(read_all(ends, 1, seen), 0);
        sched_yield();
    }
}

Test(ring, threads_write_together, .timeout = 60)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1, 1, 1, 1}};
    struct thread threads[THREADS];
    pthread_t ids[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){ends.ring, i};
        cr_assert_eq(pthread_create(&ids[i], NULL, thread_main, &threads[i]), 0);
    }
    read_until(&ends, &seen, (uint64_t)THREADS * EACH);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(ids[i], NULL);
    cr_assert_not(ring_reader_pending(&ends.reader));
    cr_assert_eq(ends.reader.counts.torn + ends.reader.counts.abandoned, 0);
    close_ends(&ends);
}

Test(ring, processes_write_together, .timeout = 60)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1, 1, 1, 1}};
    for (uint64_t i = 0; i < PROCESSES; i++)
        if (fork() == 0) {
            write_records(ends.ring, i);
            _exit(0);
        }
    read_until(&ends, &seen, (uint64_t)PROCESSES * EACH);
    for (unsigned i = 0; i < PROCESSES; i++)
        wait(NULL);
    cr_assert_not(ring_reader_pending(&ends.reader));
    cr_assert_eq(ends.reader.counts.torn + ends.reader.counts.abandoned, 0);
    close_ends(&ends);
}

/* Writers killed at any point: all records of the others arrive in order, and each ticket is
 * accounted for. */
Test(ring, killed_writers_stop_nobody, .timeout = 60)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}, .gaps_allowed = true};
    uint64_t now = 1;
    for (int round = 0; round < 100; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (uint64_t number = 1;; number++) {
                struct record record = make_record(1, number);
                ring_put(ends.ring, &record);
            }
        }
        seen.next[1] = 0;
        usleep((useconds_t)(rand() % 2000));
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        read_all(&ends, now, &seen);
        now += RING_READER_PATIENCE_NS;
        read_all(&ends, now, &seen);
        struct record record = make_record(0, (uint64_t)round + 1);
        cr_assert(ring_put(ends.ring, &record));
        read_all(&ends, now, &seen);
        cr_assert_eq(seen.next[0], (uint64_t)round + 2,
                     "the record after the killed writer's came");
    }
    cr_assert_not(ring_reader_pending(&ends.reader));
    const struct ring_counts *counts = &ends.reader.counts;
    cr_assert_eq(counts->records + counts->abandoned + counts->torn, ends.reader.tail - FIRST);
    close_ends(&ends);
}

/* Take a ticket like a writer that is then stopped. */
static uint64_t take_ticket(struct ring *ring)
{
    return __atomic_fetch_add(&ring->header.head, 1, __ATOMIC_RELAXED);
}

static void commit(struct ring *ring, uint64_t ticket, struct record record)
{
    struct ring_slot *slot = ring_front_slot(ring, ticket);
    slot->record = record;
    slot->checksum = ring_checksum(&record, ticket);
    __atomic_store_n(&slot->sequence, ticket + 1, __ATOMIC_RELEASE);
}

Test(ring, waits_for_a_slow_writer_but_not_for_ever)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {2}};
    struct record second = make_record(0, 2);
    const uint64_t patience = RING_READER_PATIENCE_NS;
    uint64_t ticket = take_ticket(ends.ring);
    ring_put(ends.ring, &second);
    cr_assert_eq(read_all(&ends, 100, &seen), 1, "the other's is not held up");
    cr_assert_eq(read_all(&ends, 100 + patience - 1, &seen), 0);
    cr_assert_eq(ends.ring->header.tail, FIRST, "its slot is not free yet");
    commit(ends.ring, ticket, make_record(1, 0));
    cr_assert_eq(read_all(&ends, 100 + 5 * patience, &seen), 1);
    cr_assert_eq(ends.reader.counts.abandoned, 0);
    cr_assert_eq(ends.ring->header.tail, FIRST + 2);

    struct record third = make_record(0, 3);
    ticket = take_ticket(ends.ring);
    ring_put(ends.ring, &third);
    cr_assert_eq(read_all(&ends, 200, &seen), 1, "the patience begins anew");
    cr_assert_eq(read_all(&ends, 200 + patience, &seen), 1);
    cr_assert_eq(ends.reader.counts.abandoned, 1);
    commit(ends.ring, ticket, make_record(0, 3));
    cr_assert_eq(read_all(&ends, 300 + patience, &seen), 0, "too late");
    cr_assert_eq(seen.count, 3);
    close_ends(&ends);
}

/* Several rounds are written and read after the ticket of a delayed writer: each record arrives
 * once. */
Test(ring, a_slow_writer_holds_up_nobody)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    const uint64_t rounds = 20;
    uint64_t now = 1;
    for (uint64_t number = 1; number <= rounds * (RING_SLOTS - 1); now++) {
        uint64_t ticket = take_ticket(ends.ring);
        for (unsigned i = 0; i < RING_SLOTS - 1; i++, number++) {
            struct record record = make_record(0, number);
            cr_assert(ring_put(ends.ring, &record));
            if (i % 1000 == 0)
                read_all(&ends, now, &seen);
        }
        cr_assert_eq(read_all(&ends, now, &seen), (RING_SLOTS - 2) % 1000);
        commit(ends.ring, ticket, make_record(1, seen.next[1]));
        cr_assert_eq(read_all(&ends, now, &seen), 1);
        cr_assert_not(ring_reader_pending(&ends.reader));
    }
    cr_assert_eq(seen.count, rounds * RING_SLOTS);
    cr_assert_eq(ends.reader.counts.abandoned, 0);
    close_ends(&ends);
}

/* Two writers are late. Only the first one's time has expired: the second has its own. */
Test(ring, each_hole_has_its_own_patience)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    const uint64_t patience = RING_READER_PATIENCE_NS;
    struct record record = make_record(0, 1);
    take_ticket(ends.ring);
    ring_put(ends.ring, &record);
    read_all(&ends, 1, &seen);
    uint64_t second = take_ticket(ends.ring);
    cr_assert_eq(read_all(&ends, 1 + patience, &seen), 1);
    cr_assert_eq(ends.reader.counts.abandoned, 1);
    commit(ends.ring, second, make_record(1, 0));
    cr_assert_eq(read_all(&ends, 2 + patience, &seen), 1);
    cr_assert_eq(ends.reader.counts.abandoned, 1);
    close_ends(&ends);
}

/* If the head claims slots that nobody wrote, the reader does not examine all of them each time. */
Test(ring, claims_are_not_followed_far)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    struct record record = make_record(0, 1);
    for (unsigned i = 0; i < 1000; i++)
        take_ticket(ends.ring);
    ring_put(ends.ring, &record);
    cr_assert_eq(read_all(&ends, 1, &seen), 0);
    cr_assert_eq(read_all(&ends, 1 + RING_READER_PATIENCE_NS, &seen), 1001);
    cr_assert_eq(ends.reader.counts.abandoned, 1000);
    close_ends(&ends);
}

/* The slot of the late writer contains a newer record meanwhile: however they mix, no wrong record
 * is delivered, and no slot is waited for longer than others. */
Test(ring, a_late_writer_is_caught)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}, .gaps_allowed = true};
    uint64_t late = take_ticket(ends.ring);
    read_all(&ends, 1, &seen);
    read_all(&ends, 1 + RING_READER_PATIENCE_NS, &seen);
    for (uint64_t number = 1; number <= RING_SLOTS; number++) {
        struct record record = make_record(0, number);
        cr_assert(ring_put(ends.ring, &record));
    }
    /* The late writer wrote half of its record, and no sequence number. */
    struct record stray = make_record(1, 99);
    memcpy(&ring_front_slot(ends.ring, late)->record, &stray, 8);
    read_all(&ends, 2, &seen);
    cr_assert_eq(ends.reader.counts.torn, 1);
    cr_assert_eq(seen.next[1], 0);
    cr_assert_eq(seen.count, RING_SLOTS - 1);
    close_ends(&ends);
}

Test(ring, a_new_ring_in_the_place_of_the_old)
{
    struct ends old = open_ends();
    uint64_t late = take_ticket(old.ring);
    int fd = make_memfd(RING_SIZE(RING_SLOTS), SEALS);
    struct ends new = {.fd = fd, .ring = map(fd, RING_SIZE(RING_SLOTS))};
    struct seen seen = {.next = {1}};
    ring_init(new.ring, ID + 1, FIRST + RING_GENERATION, 1);
    cr_assert_null(ring_reader_open(&new.reader, fd, RING_SIZE(RING_SLOTS), RING_SIZE(RING_SLOTS)));
    commit(new.ring, late, make_record(1, 7));
    cr_assert_eq(read_all(&new, 1, &seen), 0);
    for (uint64_t number = 1; number <= RING_SLOTS; number++) {
        struct record record = make_record(0, number);
        cr_assert(ring_put(new.ring, &record));
    }
    cr_assert_eq(read_all(&new, 1, &seen), RING_SLOTS);
    close_ends(&old);
    close_ends(&new);
}

Test(ring, the_heartbeat_ends_with_the_reader)
{
    struct ends ends = open_ends();
    ring_reader_beat(&ends.reader, 12345);
    cr_assert_eq(ends.ring->header.heartbeat, 12345);
    ring_reader_close(&ends.reader);
    cr_assert_eq(ends.ring->header.heartbeat, 0);
    ring_reader_close(&ends.reader);
    close_ends(&ends);
}

/* Hostile memory */

static void assert_refused(int fd, size_t size, const char *because)
{
    struct ring_reader reader;
    const char *wrong = ring_reader_open(&reader, fd, size, size);
    cr_assert_not_null(wrong, "%s", because);
    cr_assert_str_eq(wrong, because);
    cr_assert_null(reader.header);
    close(fd);
}

Test(ring, refuses_files_that_can_change)
{
    const size_t size = RING_SIZE(RING_SLOTS);
    char path[] = "/tmp/socktune-ring-XXXXXX";
    int file = mkstemp(path);
    unlink(path);
    cr_assert_eq(ftruncate(file, (off_t)size), 0);
    /* On tmpfs a plain file has seals too, but none can be added. */
    struct ring_reader reader;
    cr_assert_not_null(ring_reader_open(&reader, file, size, size));
    close(file);
    assert_refused(open("/dev/null", O_RDWR), size, "the ring is not a memfd");
    assert_refused(make_memfd(size, 0), size, "the ring is not sealed");
    assert_refused(make_memfd(size, F_SEAL_GROW | F_SEAL_SEAL), size, "the ring is not sealed");
    assert_refused(make_memfd(size, F_SEAL_SHRINK | F_SEAL_GROW), size, "the ring is not sealed");
    assert_refused(make_memfd(size, SEALS | F_SEAL_WRITE), size, "the ring cannot be mapped");
    assert_refused(make_memfd(size - 4096, SEALS), size,
                   "the ring has not the size that was announced");
    assert_refused(make_memfd(0, SEALS), 0, "the ring is too small or too large");
    assert_refused(make_memfd(RING_SIZE(RING_SLOTS_MAX * 2), SEALS), RING_SIZE(RING_SLOTS_MAX * 2),
                   "the ring is too small or too large");
    assert_refused(make_memfd(size, SEALS), size, "the ring is not one");
}

static int make_lying(void (*lie)(struct ring_header *))
{
    int fd = make_memfd(RING_SIZE(RING_SLOTS), SEALS);
    struct ring *ring = map(fd, RING_SIZE(RING_SLOTS));
    ring_init(ring, ID, FIRST, 1);
    lie(&ring->header);
    munmap(ring, RING_SIZE(RING_SLOTS));
    return fd;
}

static void lie_version(struct ring_header *header)
{
    header->version++;
}
static void lie_slots(struct ring_header *header)
{
    header->slots *= 2;
}
static void lie_odd(struct ring_header *header)
{
    header->slots--;
}
static void lie_slot_size(struct ring_header *header)
{
    header->slot_size = 0;
}
static void lie_place(struct ring_header *header)
{
    header->slots_at = 64;
}

Test(ring, refuses_headers_that_lie)
{
    const size_t size = RING_SIZE(RING_SLOTS);
    const char *unfit = "the ring's header does not fit its size";
    assert_refused(make_lying(lie_version), size, "the ring is of another version");
    assert_refused(make_lying(lie_slots), size, unfit);
    assert_refused(make_lying(lie_odd), size, unfit);
    assert_refused(make_lying(lie_slot_size), size, unfit);
    assert_refused(make_lying(lie_place), size, unfit);
}

Test(ring, gives_up_on_a_head_that_lies)
{
    const uint64_t heads[] = {FIRST - 1, 0, UINT64_MAX, FIRST + RING_SLOTS + 1};
    for (unsigned i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct ends ends = open_ends();
        struct seen seen = {0};
        ends.ring->header.head = heads[i];
        cr_assert_eq(read_all(&ends, 1, &seen), -1, "head %llu", (unsigned long long)heads[i]);
        close_ends(&ends);
    }
}

/* After the check neither header nor tail is read again. */
Test(ring, does_not_look_at_the_header_twice)
{
    struct ends ends = open_ends();
    struct seen seen = {.next = {1}};
    struct record record = make_record(0, 1);
    ring_put(ends.ring, &record);
    ends.ring->header.slots = UINT32_MAX;
    ends.ring->header.slot_size = 1;
    ends.ring->header.tail = 77;
    cr_assert_eq(read_all(&ends, 1, &seen), 1);
    close_ends(&ends);
}

Test(ring, refuses_records_that_are_none)
{
    const struct record good = make_record(0, 1);
    struct record bad[] = {good, good, good, good, good};
    struct ends ends = open_ends();
    struct seen seen = {0};
    bad[0].kind = 0;
    bad[1].kind = 200;
    bad[2].family = AF_UNIX;
    bad[3].protocol = IPPROTO_UDP;
    bad[4].cookie = 0;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(ring_put(ends.ring, &bad[i]));
    cr_assert_eq(read_all(&ends, 1, &seen), 5);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(ends.reader.counts.refused, 5);
    close_ends(&ends);
}

/* Records in flight to the reader */

Test(ring, counts_what_is_handed_over)
{
    struct ends ends = open_ends();
    cr_assert_eq(ends.reader.id, ID);
    ends.ring->header.handed = 3;
    cr_assert_eq(ring_in_flight(ends.ring), 3);
    ring_reader_took(&ends.reader);
    cr_assert_eq(ring_in_flight(ends.ring), 2);
    for (unsigned i = 0; i < 5; i++)
        ring_reader_took(&ends.reader);
    cr_assert_eq(ring_in_flight(ends.ring), 0, "never less than none");
    close_ends(&ends);
}

Test(ring, what_never_comes_is_settled)
{
    struct ends ends = open_ends();
    ends.ring->header.handed = 3;
    ring_reader_settle(&ends.reader);
    cr_assert_eq(ring_in_flight(ends.ring), 3, "it may be on its way");
    ends.ring->header.handed = 4;
    ring_reader_settle(&ends.reader);
    cr_assert_eq(ring_in_flight(ends.ring), 4, "more is coming");
    ring_reader_settle(&ends.reader);
    cr_assert_eq(ring_in_flight(ends.ring), 0);
    close_ends(&ends);
}

Test(ring, what_is_withheld_is_told)
{
    struct ends ends = open_ends();
    struct seen seen = {0};
    ring_withhold(ends.ring);
    ring_withhold(ends.ring);
    cr_assert_eq(read_all(&ends, 1, &seen), 0);
    cr_assert_eq(ends.reader.counts.withheld, 2);
    close_ends(&ends);
}
