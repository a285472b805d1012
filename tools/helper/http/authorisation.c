/* SPDX-License-Identifier: MIT */
#include "authorisation.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

gid_t authorisation_group(const char *name)
{
    const struct group *group = *name ? getgrnam(name) : NULL;
    return group != NULL ? group->gr_gid : (gid_t)-1;
}

/* The peer's supplementary groups at the time of connect(); the passwd database may differ. */
static bool has_group(int fd, gid_t wanted)
{
    socklen_t length = 0;
    gid_t *groups = NULL;
    bool found = false;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &length) == 0 || errno != ERANGE)
        return false;
    groups = malloc(length);
    if (groups != NULL && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) == 0)
        for (size_t i = 0; i < length / sizeof *groups; i++)
            found |= groups[i] == wanted;
    free(groups);
    return found;
}

struct authorisation authorisation_of(int fd, gid_t group)
{
    struct authorisation viewer = {.uid = (uid_t)-1};
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return viewer;
    viewer.uid = peer.uid;
    viewer.all = peer.uid == 0 || peer.uid == geteuid() ||
                 (group != (gid_t)-1 && (peer.gid == group || has_group(fd, group)));
    return viewer;
}
