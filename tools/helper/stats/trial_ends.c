/* SPDX-License-Identifier: MIT */
#include "trial_ends.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE 256

static void append_end(struct trial_ends *ends, uid_t uid, uint64_t id, const char *reason)
{
    struct trial_end *end;
    if (ends->count == TRIAL_ENDS_MAX) {
        ends->count--;
        memmove(ends->ends, ends->ends + 1, ends->count * sizeof ends->ends[0]);
    }
    end = &ends->ends[ends->count++];
    *end = (struct trial_end){.uid = uid, .id = id};
    snprintf(end->reason, sizeof end->reason, "%s", reason);
}

static void read_line(struct trial_ends *ends, char *line)
{
    unsigned uid;
    uint64_t id;
    int used = 0;
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "%u %" SCNx64 " %n", &uid, &id, &used) == 2 && used > 0)
        append_end(ends, uid, id, line + used);
}

void trial_ends_read(struct trial_ends *ends, const char *path)
{
    char line[LINE_SIZE];
    int fd;
    FILE *from;
    if (path == NULL)
        return;
    ends->path = strdup(path);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    from = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (from == NULL)
        return;
    while (fgets(line, sizeof line, from) != NULL)
        read_line(ends, line);
    fclose(from);
}

void trial_ends_free(struct trial_ends *ends)
{
    free(ends->path);
    ends->path = NULL;
}

const char *trial_ends_find(const struct trial_ends *ends, uid_t uid, uint64_t id)
{
    for (size_t i = 0; i < ends->count; i++)
        if (ends->ends[i].uid == uid && ends->ends[i].id == id)
            return ends->ends[i].reason;
    return NULL;
}

/* Returns whether everything was written. */
static bool write_ends_file(const struct trial_ends *ends, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *to = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (to == NULL)
        return false;
    for (size_t i = 0; i < ends->count; i++)
        fprintf(to, "%u %016" PRIx64 " %s\n", (unsigned)ends->ends[i].uid, ends->ends[i].id,
                ends->ends[i].reason);
    return (ferror(to) | fclose(to)) == 0;
}

bool trial_ends_add(struct trial_ends *ends, uid_t uid, uint64_t id, const char *reason)
{
    char fresh[PATH_MAX];
    append_end(ends, uid, id, reason);
    if (ends->path == NULL ||
        snprintf(fresh, sizeof fresh, "%s.new", ends->path) >= (int)sizeof fresh)
        return false;
    return write_ends_file(ends, fresh) && rename(fresh, ends->path) == 0;
}
