/* SPDX-License-Identifier: MIT */
/*
 * Reads a ring that untrusted processes write. Possible attacks, and the defence:
 *
 * - A mapping that faults: the file must be a memfd in ordinary memory (hugetlbfs raises SIGBUS if
 *   there are no huge pages) that can never shrink (F_SEAL_SHRINK, checked with the current size).
 * - Memory that the reader would allocate: slots are not mapped (see the header file).
 * - Indices and counts: the reader keeps its own, and masks them by the number of slots, which it
 *   read once and checked. Counts may not grow faster than writers can count.
 * - Records that change while they are checked: each is copied first, and the copy is checked.
 * - An impossible head: the reader gives the ring up.
 * - A writer that never commits: later records are read, and the hole is skipped after a while.
 */
#include "ring_reader.h"
#include "policy.h"

#include "compat.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Limit of writers that are interrupted in the middle of a record. */
#define OPEN_MAX 64u

/* Returns NULL, or what is wrong with the file. */
static const char *check_ring_memory(int fd, size_t size, size_t memory)
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
    if (fstat(fd, &status) != 0 || status.st_size < 0 || (size_t)status.st_size != memory)
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

static const char *map_header(struct ring_reader *reader, size_t size)
{
    struct ring_header header;
    void *memory = mmap(NULL, sizeof header, PROT_READ | PROT_WRITE, MAP_SHARED, reader->fd, 0);
    if (memory == MAP_FAILED)
        return "the ring cannot be mapped";
    reader->header = memory;
    memcpy(&header, memory, sizeof header);
    const char *wrong = check_header(&header, size);
    if (wrong != NULL)
        return wrong;
    reader->slots = header.slots;
    reader->tail = header.tail;
    reader->id = header.id;
    reader->beyond = calloc(header.slots / 8, 1);
    return reader->beyond == NULL ? "memory is out" : NULL;
}

static void let_go(struct ring_reader *reader)
{
    if (reader->header != NULL)
        munmap(reader->header, sizeof *reader->header);
    if (reader->fd >= 0)
        (void)close(reader->fd);
    free(reader->beyond);
    *reader = (struct ring_reader){.fd = -1, .counts = reader->counts};
}

const char *ring_reader_open(struct ring_reader *reader, int fd, size_t size, size_t memory)
{
    *reader = (struct ring_reader){.fd = -1, .believable = RING_READER_COUNT_MAX};
    const char *wrong = check_ring_memory(fd, size, memory);
    if (wrong != NULL)
        return wrong;
    reader->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    wrong = reader->fd < 0 ? "the helper has no descriptor left" : map_header(reader, size);
    if (wrong != NULL)
        let_go(reader);
    return wrong;
}

void ring_reader_close(struct ring_reader *reader)
{
    if (reader->header == NULL)
        return;
    ring_reader_beat(reader, 0);
    let_go(reader);
}

void ring_reader_beat(struct ring_reader *reader, uint64_t now_ns)
{
    __atomic_store_n(&reader->header->heartbeat, now_ns, __ATOMIC_RELAXED);
}

bool ring_record_is_sane(const struct record *record)
{
    bool datagram = record->kind == RECORD_DATAGRAM;
    if (record->kind < RECORD_CONNECT || record->kind > RECORD_DATAGRAM)
        return false;
    if (record->family != AF_INET && record->family != AF_INET6)
        return false;
    if (datagram ? record->protocol != IPPROTO_UDP
                 : record->protocol != IPPROTO_TCP && record->protocol != IPPROTO_MPTCP)
        return false;
    return record->cookie != 0 && record->applied <= POLICY_OPTIONS_MAX &&
           record->named <= record->applied && record->named <= RECORD_NAMED_MAX;
}

/* Slots */

/* Copies of consecutive slots. */
struct slot_window {
    struct ring_slot slots[RING_FRONT];
    uint64_t first; /* index of the first slot in the file */
    uint64_t count; /* 0: none */
};

/* Buffers for one call: there is one thread, and no callback reads a ring. */
static struct slot_window front, backlog;

static bool read_slots(const struct ring_reader *reader, uint64_t first, uint64_t count,
                       struct ring_slot *to)
{
    size_t size = count * sizeof *to;
    off_t at = (off_t)(sizeof(struct ring_header) + first * sizeof *to);
    return pread(reader->fd, to, size, at) == (ssize_t)size;
}

/* Returns the copy of a slot. If needed, reads it together with up to `wanted` slots, the last
 * being `end` - 1. NULL if it could not be read. */
static const struct ring_slot *slot_in(struct slot_window *window, const struct ring_reader *reader,
                                       uint64_t index, uint64_t wanted, uint64_t end)
{
    if (window->count != 0 && index >= window->first && index - window->first < window->count)
        return &window->slots[index - window->first];
    uint64_t count = end - index;
    if (count > wanted)
        count = wanted;
    if (count > RING_FRONT)
        count = RING_FRONT;
    window->first = index;
    window->count = read_slots(reader, index, count, window->slots) ? count : 0;
    return window->count != 0 ? window->slots : NULL;
}

enum slot_state { SLOT_OPEN, SLOT_WHOLE, SLOT_TORN };

static enum slot_state slot_state_of(const struct ring_slot *slot, uint64_t ticket)
{
    if (slot == NULL || slot->sequence != ticket + 1)
        return SLOT_OPEN;
    return slot->checksum == ring_checksum(&slot->record, ticket) ? SLOT_WHOLE : SLOT_TORN;
}

/* The copy may have raced with the writer. A copy made after the slot was seen committed has not;
 * if that is torn, two writers used the slot, or the writer is hostile. */
static enum slot_state read_slot_again(const struct ring_reader *reader, uint64_t index,
                                       uint64_t ticket, struct record *record)
{
    static struct ring_slot slot;
    if (!read_slots(reader, index, 1, &slot))
        return SLOT_OPEN;
    enum slot_state state = slot_state_of(&slot, ticket);
    if (state == SLOT_WHOLE)
        *record = slot.record;
    return state;
}

/* Finds the record of a ticket, in its front slot or in its backlog slot. */
static enum slot_state find_record(const struct ring_reader *reader, uint64_t ticket,
                                   uint64_t wanted, struct record *record)
{
    const uint64_t places[] = {ticket & (RING_FRONT - 1),
                               RING_FRONT + (ticket & (reader->slots - 1))};
    const uint64_t ends[] = {RING_FRONT, RING_FRONT + reader->slots};
    struct slot_window *windows[] = {&front, &backlog};
    for (unsigned i = 0; i < 2; i++) {
        const struct ring_slot *slot = slot_in(windows[i], reader, places[i], wanted, ends[i]);
        enum slot_state state = slot_state_of(slot, ticket);
        if (state == SLOT_WHOLE)
            *record = slot->record;
        if (state == SLOT_TORN)
            state = read_slot_again(reader, places[i], ticket, record);
        if (state != SLOT_OPEN)
            return state;
    }
    return SLOT_OPEN;
}

/* Tickets */

/* True if the ticket at the tail has had no record for so long that it is skipped. */
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

static void deliver_record(struct ring_reader *reader, enum slot_state state,
                           const struct record *record, ring_take *take, void *context)
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

/* The writers' counts */

/* Takes a count that may only grow; a smaller value is ignored. False if it grew by more than is
 * possible. */
static bool take_count(struct ring_reader *reader, const uint64_t *from, uint64_t *seen,
                       uint64_t *count)
{
    uint64_t now = __atomic_load_n(from, __ATOMIC_RELAXED);
    if (now <= *seen)
        return true;
    uint64_t more = now - *seen;
    if (more > reader->believable)
        return false;
    reader->believable -= more;
    *count += more;
    *seen = now;
    return true;
}

static bool take_counts(struct ring_reader *reader, uint64_t now_ns)
{
    const struct ring_header *header = reader->header;
    if (now_ns > reader->believed_until) {
        reader->believable += (now_ns - reader->believed_until) / RING_READER_COUNT_NS;
        reader->believed_until = now_ns;
    }
    if (reader->believable > RING_READER_COUNT_MAX)
        reader->believable = RING_READER_COUNT_MAX;
    return take_count(reader, &header->dropped, &reader->dropped_seen, &reader->counts.dropped) &&
           take_count(reader, &header->withheld, &reader->withheld_seen, &reader->counts.withheld);
}

/* Reading */

enum passing { WAITED_FOR, TAKEN_BEFORE, TAKEN, GIVEN_UP };

static enum passing pass_ticket(struct ring_reader *reader, uint64_t ticket, uint64_t head,
                                uint64_t now_ns, ring_take *take, void *context)
{
    struct record record;
    if (was_taken(reader, ticket))
        return TAKEN_BEFORE;
    enum slot_state state = find_record(reader, ticket, head - ticket, &record);
    if (state == SLOT_OPEN && (ticket != reader->tail || !out_of_patience(reader, now_ns)))
        return WAITED_FOR;
    deliver_record(reader, state, &record, take, context);
    return state == SLOT_OPEN ? GIVEN_UP : TAKEN;
}

/* Advances the tail. Consecutive holes are skipped together. */
static void move_tail(struct ring_reader *reader, enum passing passing)
{
    reader->tail++;
    if (passing != GIVEN_UP)
        reader->hole_since = 0;
}

int ring_reader_read(struct ring_reader *reader, uint64_t now_ns, unsigned limit, ring_take *take,
                     void *context)
{
    struct ring_header *header = reader->header;
    const uint64_t head = __atomic_load_n(&header->head, __ATOMIC_ACQUIRE);
    const uint64_t tail = reader->tail;
    if (head - tail > reader->slots || !take_counts(reader, now_ns))
        return -1;
    front.count = backlog.count = 0;
    unsigned passed = 0, open = 0;
    for (uint64_t ticket = tail; ticket != head && passed < limit && open <= OPEN_MAX; ticket++) {
        enum passing passing = pass_ticket(reader, ticket, head, now_ns, take, context);
        bool first = ticket == reader->tail;
        passed += passing == TAKEN || passing == GIVEN_UP;
        open += passing == WAITED_FOR;
        note_taken(reader, ticket, passing != WAITED_FOR && !first);
        if (passing != WAITED_FOR && first)
            move_tail(reader, passing);
    }
    if (reader->tail == head)
        reader->hole_since = 0;
    if (reader->tail != tail)
        __atomic_store_n(&header->tail, reader->tail, __ATOMIC_RELEASE);
    return (int)passed;
}

bool ring_reader_pending(const struct ring_reader *reader)
{
    return __atomic_load_n(&reader->header->head, __ATOMIC_RELAXED) != reader->tail;
}

void ring_reader_took(struct ring_reader *reader)
{
    struct ring_header *header = reader->header;
    if (reader->taken != __atomic_load_n(&header->handed, __ATOMIC_RELAXED))
        __atomic_store_n(&header->taken, ++reader->taken, __ATOMIC_RELAXED);
}

void ring_reader_settle(struct ring_reader *reader)
{
    struct ring_header *header = reader->header;
    uint64_t handed = __atomic_load_n(&header->handed, __ATOMIC_RELAXED);
    if (handed == reader->handed_seen && handed != reader->taken) {
        reader->taken = handed;
        __atomic_store_n(&header->taken, handed, __ATOMIC_RELAXED);
    }
    reader->handed_seen = handed;
}

void ring_reader_put_ended_trials(struct ring_reader *reader, uint64_t ended)
{
    __atomic_store_n(&reader->header->ended, ended, __ATOMIC_RELAXED);
}
