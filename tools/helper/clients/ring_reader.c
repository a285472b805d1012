/* SPDX-License-Identifier: MIT */
/*
 * Reading a ring that others write. What could be turned against the reader:
 *
 * - a mapping that faults: the file must be a memfd in ordinary memory (hugetlbfs raises SIGBUS for
 *   want of huge pages) that can never shrink (F_SEAL_SHRINK, checked with the size at hand);
 * - indices and counts: the reader keeps its own, and masks them by the number of slots that it
 *   read once and checked;
 * - records that change while they are looked at: each is copied first, the copy is checked;
 * - a head that claims what cannot be: the reader gives up on the ring;
 * - a writer that never finishes: those behind it are taken, and it is passed over in time.
 */
#include "ring_reader.h"

#include "compat.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* No program has more writers than these that are held up in the middle of a record. */
#define OPEN_MAX 64u

/* NULL, or what is wrong with the file. */
static const char *check_file(int fd, size_t size)
{
    const int needed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
    struct statfs filesystem;
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0)
        return "the ring is not a memfd";
    if ((seals & needed) != needed)
        return "the ring is not sealed";
    if (fstatfs(fd, &filesystem) != 0 || filesystem.f_type != TMPFS_MAGIC)
        return "the ring is not in ordinary memory";
    if (fstat(fd, &status) != 0 || status.st_size < 0 || (size_t)status.st_size != size)
        return "the ring has not the size that was announced";
    if (size < RING_SIZE(RING_SLOTS_MIN) || size > RING_SIZE(RING_SLOTS_MAX))
        return "the ring is too small or too large";
    return NULL;
}

static const char *check_header(const struct ring_header *header, size_t size)
{
    if (memcmp(header->magic, RING_MAGIC, sizeof header->magic) != 0)
        return "the ring is not one";
    if (header->version != RING_VERSION)
        return "the ring is of another version";
    if (header->slot_size != sizeof(struct ring_slot) ||
        header->slots_at != sizeof(struct ring_header) ||
        (header->slots & (header->slots - 1)) != 0 || RING_SIZE(header->slots) != size)
        return "the ring's header does not fit its size";
    return NULL;
}

const char *ring_reader_open(struct ring_reader *reader, int fd, size_t size)
{
    struct ring_header header;
    *reader = (struct ring_reader){0};
    const char *wrong = check_file(fd, size);
    if (wrong != NULL)
        return wrong;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return "the ring cannot be mapped";
    memcpy(&header, memory, sizeof header);
    wrong = check_header(&header, size);
    if (wrong != NULL) {
        munmap(memory, size);
        return wrong;
    }
    reader->beyond = calloc(header.slots / 8, 1);
    if (reader->beyond == NULL) {
        munmap(memory, size);
        return "memory is out";
    }
    reader->ring = memory;
    reader->size = size;
    reader->slots = header.slots;
    reader->tail = header.tail;
    reader->id = header.id;
    return NULL;
}

void ring_reader_close(struct ring_reader *reader)
{
    if (reader->ring == NULL)
        return;
    ring_reader_beat(reader, 0);
    munmap(reader->ring, reader->size);
    free(reader->beyond);
    reader->ring = NULL;
    reader->beyond = NULL;
}

void ring_reader_beat(struct ring_reader *reader, uint64_t now_ns)
{
    __atomic_store_n(&reader->ring->header.heartbeat, now_ns, __ATOMIC_RELAXED);
}

void ring_reader_rest(struct ring_reader *reader)
{
    if (!reader->touched)
        return;
    /* madvise(2): of a shared mapping, the contents are not lost. The header is in use all the
     * time. */
    (void)madvise(reader->ring->slot, reader->size - sizeof reader->ring->header, MADV_DONTNEED);
    reader->touched = false;
}

bool ring_record_is_sane(const struct record *record)
{
    if (record->kind < RECORD_CONNECT || record->kind > RECORD_LISTEN)
        return false;
    if (record->family != AF_INET && record->family != AF_INET6)
        return false;
    if (record->protocol != IPPROTO_TCP && record->protocol != IPPROTO_MPTCP)
        return false;
    return record->cookie != 0;
}

enum slot_state { SLOT_OPEN, SLOT_WHOLE, SLOT_TORN };

static enum slot_state copy_slot(const struct ring_slot *slot, uint64_t ticket,
                                 struct record *record)
{
    if (__atomic_load_n(&slot->sequence, __ATOMIC_ACQUIRE) != ticket + 1)
        return SLOT_OPEN;
    /* The copy may race with a late writer, or a hostile one: the checksum is that of the copy. */
    memcpy(record, &slot->record, sizeof *record);
    uint64_t checksum = __atomic_load_n(&slot->checksum, __ATOMIC_RELAXED);
    return checksum == ring_checksum(record, ticket) ? SLOT_WHOLE : SLOT_TORN;
}

/* The ticket at the tail has no record yet. Is it time to pass over it? */
static bool out_of_patience(struct ring_reader *reader, uint64_t now_ns)
{
    if (reader->hole_since == 0)
        reader->hole_since = now_ns;
    return now_ns - reader->hole_since >= RING_READER_PATIENCE_NS;
}

static bool was_taken(const struct ring_reader *reader, uint64_t ticket)
{
    uint64_t slot = ticket & (reader->slots - 1);
    return (reader->beyond[slot / 8] >> slot % 8 & 1) != 0;
}

static void note_taken(struct ring_reader *reader, uint64_t ticket, bool taken)
{
    uint64_t slot = ticket & (reader->slots - 1);
    reader->beyond[slot / 8] =
        (uint8_t)((reader->beyond[slot / 8] & ~(1u << slot % 8)) | (unsigned)taken << slot % 8);
}

static void deliver(struct ring_reader *reader, enum slot_state state, const struct record *record,
                    ring_take *take, void *context)
{
    if (state == SLOT_OPEN) {
        reader->counts.abandoned++;
    } else if (state == SLOT_TORN) {
        reader->counts.torn++;
    } else if (!ring_record_is_sane(record)) {
        reader->counts.refused++;
    } else {
        reader->counts.records++;
        take(context, record);
    }
}

/* A count of the writers' only grows; one that does not is not believed. */
static void take_count(const uint64_t *from, uint64_t *seen, uint64_t *count)
{
    uint64_t now = __atomic_load_n(from, __ATOMIC_RELAXED);
    if (now > *seen) {
        *count += now - *seen;
        *seen = now;
    }
}

static void take_counts(struct ring_reader *reader)
{
    const struct ring_header *header = &reader->ring->header;
    take_count(&header->dropped, &reader->dropped_seen, &reader->counts.dropped);
    take_count(&header->withheld, &reader->withheld_seen, &reader->counts.withheld);
}

enum passing { WAITED_FOR, TAKEN_BEFORE, TAKEN, GIVEN_UP };

static enum passing pass(struct ring_reader *reader, uint64_t ticket, uint64_t now_ns,
                         ring_take *take, void *context)
{
    struct record record;
    if (was_taken(reader, ticket))
        return TAKEN_BEFORE;
    enum slot_state state = copy_slot(ring_front_slot(reader->ring, ticket), ticket, &record);
    if (state == SLOT_OPEN)
        state = copy_slot(ring_backlog_slot(reader->ring, ticket, reader->slots), ticket, &record);
    if (state == SLOT_OPEN && (ticket != reader->tail || !out_of_patience(reader, now_ns)))
        return WAITED_FOR;
    deliver(reader, state, &record, take, context);
    return state == SLOT_OPEN ? GIVEN_UP : TAKEN;
}

/* The tail moves over what is done with; holes on end are given up together. */
static void move_tail(struct ring_reader *reader, enum passing passing)
{
    reader->tail++;
    if (passing != GIVEN_UP)
        reader->hole_since = 0;
}

int ring_reader_read(struct ring_reader *reader, uint64_t now_ns, unsigned limit, ring_take *take,
                     void *context)
{
    struct ring *ring = reader->ring;
    const uint64_t head = __atomic_load_n(&ring->header.head, __ATOMIC_ACQUIRE);
    const uint64_t tail = reader->tail;
    if (head - tail > reader->slots)
        return -1;
    take_counts(reader);
    unsigned passed = 0, open = 0;
    for (uint64_t ticket = tail; ticket != head && passed < limit && open <= OPEN_MAX; ticket++) {
        enum passing passing = pass(reader, ticket, now_ns, take, context);
        bool first = ticket == reader->tail;
        passed += passing == TAKEN || passing == GIVEN_UP;
        open += passing == WAITED_FOR;
        note_taken(reader, ticket, passing != WAITED_FOR && !first);
        if (passing != WAITED_FOR && first)
            move_tail(reader, passing);
    }
    if (reader->tail == head)
        reader->hole_since = 0;
    if (head != tail)
        reader->touched = true;
    if (reader->tail != tail)
        __atomic_store_n(&ring->header.tail, reader->tail, __ATOMIC_RELEASE);
    return (int)passed;
}

bool ring_reader_pending(const struct ring_reader *reader)
{
    return __atomic_load_n(&reader->ring->header.head, __ATOMIC_RELAXED) != reader->tail;
}

void ring_reader_took(struct ring_reader *reader)
{
    struct ring_header *header = &reader->ring->header;
    if (reader->taken != __atomic_load_n(&header->handed, __ATOMIC_RELAXED))
        __atomic_store_n(&header->taken, ++reader->taken, __ATOMIC_RELAXED);
}

void ring_reader_settle(struct ring_reader *reader)
{
    struct ring_header *header = &reader->ring->header;
    uint64_t handed = __atomic_load_n(&header->handed, __ATOMIC_RELAXED);
    if (handed == reader->handed_seen && handed != reader->taken) {
        reader->taken = handed;
        __atomic_store_n(&header->taken, handed, __ATOMIC_RELAXED);
    }
    reader->handed_seen = handed;
}
