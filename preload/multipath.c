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
    if (late_state != NULL && (protocols & PROTOCOL_MPTCP) != 0 &&
        (protocols == PROTOCOL_MPTCP || socket_protocol(fd) == IPPROTO_MPTCP))
        __atomic_store_n(&late_state->multipath, true, __ATOMIC_RELAXED);
    errno = saved;
}

bool multipath_fell_back(int listener, int fd)
{
    return socket_protocol(fd) == IPPROTO_TCP && socket_protocol(listener) == IPPROTO_MPTCP;
}
