/* SPDX-License-Identifier: MIT */
/*
 * The writers' end of the ring. No value in the shared memory is used as a reference: a slot is
 * found by masking a ticket with a constant. So a malicious helper can only cause lost records.
 */
#include "ring.h"

void ring_init(struct ring *ring, uint64_t id, uint64_t first, uint64_t now_ns)
{
    struct ring_header *header = &ring->header;
    header->version = RING_VERSION;
    header->slot_size = sizeof(struct ring_slot);
    header->slots = RING_SLOTS;
    header->slots_at = sizeof(struct ring_header);
    header->id = id;
    header->head = header->tail = first;
    header->heartbeat = now_ns;
    __builtin_memcpy(header->magic, RING_MAGIC, sizeof header->magic);
}

/* Negative if the tail has passed a head that was read earlier. */
static int64_t unread_bytes(const struct ring *ring, uint64_t head)
{
    return (int64_t)(head - __atomic_load_n(&ring->header.tail, __ATOMIC_ACQUIRE));
}

bool ring_put(struct ring *ring, const struct record *record)
{
    uint64_t ticket = __atomic_load_n(&ring->header.head, __ATOMIC_RELAXED);
    int64_t before;
    do {
        before = unread_bytes(ring, ticket);
        if (before >= (int64_t)RING_SLOTS) {
            ring_drop(ring);
            return false;
        }
    } while (!__atomic_compare_exchange_n(&ring->header.head, &ticket, ticket + 1, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    struct ring_slot *slot = before < (int64_t)RING_FRONT
                                 ? ring_front_slot(ring, ticket)
                                 : ring_backlog_slot(ring, ticket, RING_SLOTS);
    slot->record = *record;
    slot->checksum = ring_checksum(record, ticket);
    __atomic_store_n(&slot->sequence, ticket + 1, __ATOMIC_RELEASE);
    return true;
}
