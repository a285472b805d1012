/* SPDX-License-Identifier: MIT */
/*
 * The kernel numbers cookies in sequence, so the remainder spreads them evenly.
 */
#include "treated_sockets.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

enum { LOCKS = 256 };

/* By cookie: a socket that is slow to take its options delays few others. */
static pthread_mutex_t locks[LOCKS];

struct treated_sockets *treated_sockets_make(void)
{
    void *memory = mmap(NULL, sizeof(struct treated_sockets), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    treated_sockets_fork();
    return memory == MAP_FAILED ? NULL : memory;
}

bool treated_sockets_has(const struct treated_sockets *treated, uint64_t cookie)
{
    return cookie != 0 && atomic_load(&treated->cookies[cookie % TREATED_MAX]) == cookie;
}

bool treated_sockets_begin(struct treated_sockets *treated, uint64_t cookie)
{
    pthread_mutex_lock(&locks[cookie % LOCKS]);
    if (!treated_sockets_has(treated, cookie))
        return true;
    pthread_mutex_unlock(&locks[cookie % LOCKS]);
    return false;
}

void treated_sockets_end(struct treated_sockets *treated, uint64_t cookie)
{
    if (cookie != 0)
        atomic_store(&treated->cookies[cookie % TREATED_MAX], cookie);
    pthread_mutex_unlock(&locks[cookie % LOCKS]);
}

void treated_sockets_fork(void)
{
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&locks[i], NULL);
}
