/* SPDX-License-Identifier: MIT */
#include "multipath.h"

#include "compat.h"
#include "fallback.h"
#include "kernel_socket.h"
#include "tune.h"

#include <errno.h>
#include <netinet/in.h>

unsigned multipath_concerns(const struct rules_in_force *rules)
{
    return fallback_concerns(&rules->policy, &rules->active) ? PHASE_FALLBACK : 0;
}

static int socket_protocol(int fd)
{
    return socket_get_int(OWN_SOCKET(fd), SOL_SOCKET, SO_PROTOCOL);
}

void multipath_note_listener(int fd, unsigned protocols)
{
    int saved = errno;
    if (late_state == NULL)
        return;
    if ((protocols & PROTOCOL_MPTCP) != 0 &&
        (protocols == PROTOCOL_MPTCP || socket_protocol(fd) == IPPROTO_MPTCP))
        __atomic_store_n(&late_state->multipath, true, __ATOMIC_RELAXED);
    else if ((unsigned)fd < LATE_LISTENERS)
        __atomic_fetch_or(&late_state->no_multipath[fd / 64], (uint64_t)1 << fd % 64,
                          __ATOMIC_RELAXED);
    errno = saved;
}

/* Is it not known yet whether `listener` is of MPTCP? */
static bool is_unseen(int listener)
{
    return late_state != NULL && (unsigned)listener < LATE_LISTENERS &&
           (__atomic_load_n(&late_state->no_multipath[listener / 64], __ATOMIC_RELAXED) >>
                listener % 64 &
            1) == 0;
}

bool multipath_may_be(int listener)
{
    return multipath_any() || is_unseen(listener);
}

bool multipath_fell_back(int listener, int fd)
{
    if (!multipath_any())
        multipath_note_listener(listener, PROTOCOL_ALL);
    return multipath_any() && socket_protocol(fd) == IPPROTO_TCP &&
           socket_protocol(listener) == IPPROTO_MPTCP;
}
