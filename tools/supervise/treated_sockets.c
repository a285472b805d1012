/* SPDX-License-Identifier: MIT */
/*
 * The kernel numbers cookies in sequence, so the remainder spreads them evenly.
 */
#include "treated_sockets.h"

#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

struct treated_sockets *treated_sockets_make(void)
{
    void *memory = mmap(NULL, sizeof(struct treated_sockets), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

bool treated_sockets_has(const struct treated_sockets *treated, uint64_t cookie)
{
    return cookie != 0 && atomic_load(&treated->cookies[cookie % TREATED_MAX]) == cookie;
}

bool treated_sockets_add(struct treated_sockets *treated, uint64_t cookie)
{
    return cookie == 0 ||
           atomic_exchange(&treated->cookies[cookie % TREATED_MAX], cookie) != cookie;
}
