/* SPDX-License-Identifier: MIT */
/*
 * One mprotect(2) does what ld.so would do for -z relro, and covers more: RELRO takes effect before
 * the constructor runs. Writable function pointers in every process of a machine would help an
 * attacker, if the object is in /etc/ld.so.preload.
 */
#include "protect.h"

#include "kernel.h"

#include <link.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <unistd.h>

/* The linker puts this at the start of the object; the program headers follow. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* musl gives the rest of the object's page to malloc() before any constructor runs. It has set
 * `__environ` by then. glibc has not, unless another object took initfirst. */
static bool owns_its_page(void)
{
    return &__environ == NULL || __environ == NULL;
}

static void protect_segment(uintptr_t from, uintptr_t to, uintptr_t page)
{
    from &= ~(page - 1);
    to = (to + page - 1) & ~(page - 1);
    kernel_call(SYS_mprotect, from, to - from, PROT_READ);
}

void protect_data(void)
{
    const uintptr_t base = (uintptr_t)&__ehdr_start;
    const ElfW(Phdr) *header = (const void *)((const char *)&__ehdr_start + __ehdr_start.e_phoff);
    const uintptr_t page = getauxval(AT_PAGESZ);
    if (!owns_its_page())
        return;
    for (unsigned i = 0; i < __ehdr_start.e_phnum; i++)
        if (header[i].p_type == PT_LOAD && (header[i].p_flags & PF_W) != 0)
            protect_segment(base + header[i].p_vaddr, base + header[i].p_vaddr + header[i].p_memsz,
                            page);
}
