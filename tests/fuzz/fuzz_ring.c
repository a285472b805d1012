/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the reader of a ring, whose memory may contain anything and change at any time. The input
 * is a sequence of orders: write bytes somewhere, add a valid record, read. The reader must stay
 * inside the ring, deliver only valid records, and keep its counts correct.
 */
#include "ring_reader.h"

#include "compat.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SIZE RING_SIZE(RING_SLOTS)

static int memory = -1;
static struct ring *ring;

static void make_ring(void)
{
    memory = memfd_create("ring", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    if (memory < 0 || ftruncate(memory, (off_t)SIZE) != 0 ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        abort();
    ring = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (ring == MAP_FAILED)
        abort();
}

static void take(void *context, const struct record *record)
{
    (void)context;
    if (record->cookie == 0 || record->kind < RECORD_CONNECT || record->kind > RECORD_DATAGRAM ||
        (record->family != AF_INET && record->family != AF_INET6) ||
        (record->protocol != IPPROTO_TCP && record->protocol != IPPROTO_MPTCP &&
         record->protocol != IPPROTO_UDP))
        abort();
}

static void put_proper(uint8_t seed)
{
    const struct record record = {.cookie = seed,
                                  .kind = (uint8_t)(seed % 6),
                                  .family = AF_INET,
                                  .protocol = seed % 7 ? IPPROTO_TCP : IPPROTO_UDP};
    ring_put(ring, &record);
}

/* Write a few bytes into the header's numbers or into a slot that will be read soon. */
static void write_bytes(const uint8_t *order, const uint8_t *bytes, size_t count)
{
    uint64_t ticket = ring->header.tail + order[0] / 4u;
    const struct ring_slot *slot = order[0] % 4 == 1 ? ring_front_slot(ring, ticket)
                                                     : ring_backlog_slot(ring, ticket, RING_SLOTS);
    size_t at = order[0] % 2 == 0 ? order[1] % 200u
                                  : (size_t)((const uint8_t *)slot - (uint8_t *)ring) + order[1];
    if (at + count <= SIZE)
        memcpy((uint8_t *)ring + at, bytes, count);
}

static void check_counts(const struct ring_reader *reader, uint64_t passed)
{
    const struct ring_counts *counts = &reader->counts;
    if (counts->records + counts->abandoned + counts->torn + counts->refused != passed)
        abort();
}

static void read_ring(struct ring_reader *reader, uint64_t *now, uint64_t *passed, unsigned limit)
{
    int got;
    if (reader->header == NULL)
        return;
    *now += RING_READER_PATIENCE_NS / 2;
    got = ring_reader_read(reader, *now, limit, take, NULL);
    if (got < 0) {
        ring_reader_close(reader);
        return;
    }
    if ((unsigned)got > limit)
        abort();
    *passed += (unsigned)got;
    check_counts(reader, *passed);
    ring_reader_beat(reader, *now);
    (void)ring_reader_pending(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ring_reader reader = {0};
    uint64_t now = 1, passed = 0;
    if (memory < 0)
        make_ring();
    memset(ring, 0, sizeof ring->header + 64 * sizeof *ring->slot);
    ring_init(ring, 1, RING_GENERATION, now);
    if (size > 0 && data[0] & 2) /* a backlog exists already */
        for (unsigned i = 0; i < RING_FRONT + 4; i++)
            put_proper((uint8_t)i);
    /* If the first byte is odd, the bytes are written before the ring is opened. */
    if (size > 0 && data[0] % 2 == 0 && ring_reader_open(&reader, memory, SIZE, SIZE) != NULL)
        abort();
    for (size_t at = 1; at + 12 <= size; at += 12) {
        const uint8_t *order = data + at;
        if (order[0] % 4 == 0)
            put_proper(order[1]);
        else if (order[0] % 4 == 1)
            read_ring(&reader, &now, &passed, order[1] + 1u);
        else
            write_bytes(order + 1, order + 3, 1u + order[0] / 4 % 9u);
        if (order[0] == 255 && reader.header == NULL) {
            (void)ring_reader_open(&reader, memory, SIZE, SIZE);
            passed = 0;
        }
    }
    ring_reader_close(&reader);
    return 0;
}
