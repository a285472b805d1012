/* SPDX-License-Identifier: MIT */
/*
 * Packets in flight: a binary heap by arrival time.
 */
#include "link/flight.h"

#include <stdlib.h>

/* An entry of the heap, or a free buffer after the heap's end. */
struct entry {
    uint64_t due_ns;
    uint64_t number; /* sequence in which packets were added */
    unsigned char *bytes;
    size_t size;
};

struct flight {
    size_t room;
    size_t count;
    uint64_t added;
    unsigned char *buffers;
    struct entry heap[]; /* all buffers */
};

struct flight *flight_open(size_t packets)
{
    struct flight *flight = malloc(sizeof *flight + packets * sizeof(struct entry));
    if (flight == NULL)
        return NULL;
    *flight = (struct flight){.room = packets, .buffers = malloc(packets * FLIGHT_PACKET_SIZE)};
    if (flight->buffers == NULL) {
        free(flight);
        return NULL;
    }
    for (size_t i = 0; i < packets; i++)
        flight->heap[i].bytes = flight->buffers + i * FLIGHT_PACKET_SIZE;
    return flight;
}

void flight_close(struct flight *flight)
{
    free(flight->buffers);
    free(flight);
}

unsigned char *flight_room(struct flight *flight)
{
    return flight->count < flight->room ? flight->heap[flight->count].bytes : NULL;
}

static bool before(const struct entry *one, const struct entry *other)
{
    return one->due_ns < other->due_ns ||
           (one->due_ns == other->due_ns && one->number < other->number);
}

static void swap(struct entry *one, struct entry *other)
{
    struct entry kept = *one;
    *one = *other;
    *other = kept;
}

void flight_add(struct flight *flight, size_t size, uint64_t due_ns)
{
    struct entry *heap = flight->heap;
    size_t at = flight->count++;
    heap[at].due_ns = due_ns;
    heap[at].number = flight->added++;
    heap[at].size = size;
    for (; at && before(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&heap[at], &heap[(at - 1) / 2]);
}

bool flight_first(const struct flight *flight, struct flown *first)
{
    if (!flight->count)
        return false;
    *first = (struct flown){.due_ns = flight->heap[0].due_ns,
                            .bytes = flight->heap[0].bytes,
                            .size = flight->heap[0].size};
    return true;
}

void flight_remove_first(struct flight *flight)
{
    struct entry *heap = flight->heap;
    size_t at = 0, least = 0;
    /* Move the removed packet's buffer behind the end: it is free. */
    swap(&heap[0], &heap[--flight->count]);
    do {
        at = least;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < flight->count; child++)
            if (before(&heap[child], &heap[least]))
                least = child;
        if (least != at)
            swap(&heap[at], &heap[least]);
    } while (least != at);
}
