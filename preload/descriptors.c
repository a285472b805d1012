/* SPDX-License-Identifier: MIT */
#include "descriptors.h"

#include "kernel.h"

/* The number in a directory entry's name, or -1. */
static int descriptor_number(const char *name)
{
    int number = 0;
    if (*name < '0' || *name > '9')
        return -1;
    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (*name - '0');
    return number;
}

/* The layout of getdents64(2). glibc has no name for it that fits every word size. */
struct directory_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
} __attribute__((packed));

bool descriptors_each(bool (*look)(void *context, int directory, const char *name, int number),
                      void *context)
{
    int directory = kernel_open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        return false;
    char buffer[1024];
    long got;
    bool more = true;
    while (more && (got = kernel_call(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
        for (long at = 0; more && at < got;) {
            const struct directory_entry *entry = (const struct directory_entry *)(buffer + at);
            at += entry->size;
            int number = descriptor_number(entry->name);
            if (number >= 0 && number != directory)
                more = look(context, directory, entry->name, number);
        }
    }
    kernel_close(directory);
    return true;
}
