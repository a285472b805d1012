/* SPDX-License-Identifier: MIT */
#include "policy_reader.h"

#include "bytes.h"
#include "kernel.h"
#include "policy_index.h"
#include "text.h"

/* The caller's room behind a blob: 4 bytes for each rule of at least 72 bytes, 2 for each option of
 * 16. */
static size_t extra_of(size_t size)
{
    return size / 8 + 64;
}

/* Reads at `offset`, since the position of the descriptor is unknown: that of the compiler's memfd
 * is at its end. Returns the number of bytes read. */
static size_t read_at(int fd, void *buffer, size_t size, size_t offset)
{
    size_t done = 0;
    while (done < size) {
        uint8_t *to = (uint8_t *)buffer + done;
        const size_t at = offset + done;
#if __SIZEOF_LONG__ == 8
        long got = kernel_call(SYS_pread64, fd, to, size - done, at);
#else
        /* Two halves in little-endian order. */
        long got = kernel_call(SYS_pread64, fd, to, size - done, at, 0L);
#endif
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

/* Reads a blob of the file into a mapping of its own, and checks it. */
static const char *map_blob(int fd, size_t offset, size_t size, struct policy *policy)
{
    void *blob = kernel_map(size + extra_of(size));
    if (blob == NULL)
        return "no memory";
    const char *wrong = read_at(fd, blob, size, offset) == size
                            ? policy_open_blob(policy, blob, size)
                            : "cut short";
    if (wrong != NULL)
        kernel_call(SYS_munmap, blob, size + extra_of(size));
    return wrong;
}

void policy_release(const struct policy *policy)
{
    if (policy->blob != NULL)
        kernel_call(SYS_munmap, policy->blob, policy->size + extra_of(policy->size));
}

void policy_protect(const struct policy *policy)
{
    kernel_call(SYS_mprotect, policy->blob, policy->size + extra_of(policy->size), PROT_READ);
}

bool policy_reader_start(struct policy_reader *reader, int fd, uint64_t size)
{
    reader->fd = fd;
    reader->size = size <= POLICY_SIZE_MAX ? (size_t)size : (size_t)POLICY_SIZE_MAX + 1;
    reader->mapped = NULL;
    reader->have =
        read_at(fd, reader->first,
                reader->size < sizeof reader->first ? reader->size : sizeof reader->first, 0);
    return reader->have >= sizeof POLICY_MAGIC - 1 &&
           bytes_equal(reader->first, POLICY_MAGIC, sizeof POLICY_MAGIC - 1);
}

const char *policy_reader_check(struct policy_reader *reader)
{
    const struct policy_header *header = (const void *)reader->first;
    const char *wrong = policy_check_header(reader->first, reader->have, reader->size);
    if (wrong != NULL)
        return wrong;
    if (header->size <= reader->have)
        return policy_open_blob(&reader->front, reader->first, header->size);
    wrong = map_blob(reader->fd, 0, header->size, &reader->front);
    if (wrong == NULL)
        reader->mapped = (void *)reader->front.blob;
    return wrong;
}

void policy_reader_end(struct policy_reader *reader)
{
    if (reader->mapped != NULL)
        policy_release(&reader->front);
    reader->mapped = NULL;
}

static const struct policy_header *header_of(const struct policy_reader *reader)
{
    return (const struct policy_header *)reader->front.blob;
}

/* A block of the index: one that has been read already, or read now into `room`. */
static const struct policy_index_block *get_block(void *context, uint32_t number,
                                                  struct policy_index_block *room)
{
    const struct policy_reader *reader = context;
    size_t offset = header_of(reader)->index.offset + (size_t)number * sizeof *room;
    if (offset + sizeof *room <= reader->have)
        return (const void *)(reader->first + offset);
    return read_at(reader->fd, room, sizeof *room, offset) == sizeof *room ? room : NULL;
}

static bool choose_part(struct policy_reader *reader, const struct own_executable *executable,
                        struct policy_index_entry *part)
{
    const struct policy_header *header = header_of(reader);
    const struct policy_index index = {
        get_block,
        reader,
        header->index.count,
        {.offset = header->whole, .size = (uint32_t)reader->size - header->whole}};
    const char *const names[] = {text_basename(executable->path != NULL ? executable->path : ""),
                                 text_basename(executable->argv0 != NULL ? executable->argv0 : "")};
    return policy_index_choose(&index, names, part);
}

/* Uses the front as the policy. */
static const char *take_front(struct policy_reader *reader, struct policy *policy)
{
    if (reader->front.rule_count == 0 && reader->front.failure[0] == 0) {
        *policy = (struct policy){.checksum = reader->front.checksum,
                                  .flags = reader->front.flags,
                                  .rule_total = reader->front.rule_total,
                                  .failure = ""};
        return NULL;
    }
    if (reader->mapped == NULL)
        return map_blob(reader->fd, 0, reader->front.size, policy);
    *policy = reader->front;
    reader->mapped = NULL;
    return NULL;
}

const char *policy_reader_take(struct policy_reader *reader, struct own_executable *executable,
                               struct policy *policy, void **extra)
{
    struct policy_index_entry part = {.size = 0};
    if (header_of(reader)->index.count != 0) {
        own_executable_find(executable, EXECUTABLE_NAME);
        if (!choose_part(reader, executable, &part))
            return "damaged: the index is wrong";
    }
    const char *wrong = part.size != 0 ? map_blob(reader->fd, part.offset, part.size, policy)
                                       : take_front(reader, policy);
    if (wrong == NULL && policy->blob != NULL)
        *extra = (uint8_t *)policy->blob + policy->size;
    return wrong;
}
