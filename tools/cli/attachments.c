/* SPDX-License-Identifier: MIT */
#include "attachments.h"

#include <stdlib.h>
#include <string.h>

void attachments_read(struct attachments *attachments)
{
    struct attach_error error;
    if (attach_list(&attachments->states, &attachments->count, &error) != 0)
        attachments->count = 0;
}

void attachments_free(struct attachments *attachments)
{
    free(attachments->states);
}

/* "/a" is above "/a" and "/a/b"; "/" is above all. */
static bool is_above(const char *cgroup, const char *path)
{
    size_t length = strcmp(cgroup, "/") == 0 ? 0 : strlen(cgroup);
    return strncmp(cgroup, path, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

const struct attach_state *attachments_find(const struct attachments *attachments,
                                            const char *cgroup)
{
    const struct attach_state *nearest = NULL;
    for (size_t i = 0; cgroup != NULL && i < attachments->count; i++) {
        const struct attach_state *state = &attachments->states[i];
        if (is_above(state->about.cgroup, cgroup) &&
            (nearest == NULL || strlen(state->about.cgroup) > strlen(nearest->about.cgroup)))
            nearest = state;
    }
    return nearest;
}
