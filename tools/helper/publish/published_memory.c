/* SPDX-License-Identifier: MIT */
#include "published_memory.h"
#include "published.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t published_memory_put(const struct published_memory *memory, const void *policy,
                              uint32_t size)
{
    const size_t length = PUBLISHED_SIZE(memory->room);
    struct published *published;
    uint64_t generation = 0;
    /* Without memory this fails; a write to the mapping would raise SIGBUS instead. */
    if (size > memory->room || fallocate(memory->fd, FALLOC_FL_KEEP_SIZE, (off_t)memory->offset,
                                         (off_t)PUBLISHED_SIZE(size)) != 0)
        return 0;
    published =
        mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, (off_t)memory->offset);
    if (published == MAP_FAILED)
        return 0;
    if (published_put(published, memory->room, policy, size))
        generation = published_generation(published);
    (void)munmap(published, length);
    return generation;
}

bool published_memory_read(const struct published_memory *memory, struct published_answers *answers)
{
    struct published head;
    if (pread(memory->fd, &head, sizeof head, (off_t)memory->offset) != (ssize_t)sizeof head)
        return false;
    *answers = (struct published_answers){head.adopted, head.refused, head.reason};
    return true;
}
