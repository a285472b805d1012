/* SPDX-License-Identifier: MIT */
/*
 * Descriptions of sockets and processes.
 */
#include "show_socket.h"
#include "console.h"
#include "endpoint.h"
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void print_socket(const struct observed *observed)
{
    char protocol[32], local[ENDPOINT_SIZE], remote[ENDPOINT_SIZE];
    const char *role = observed_role(observed);
    const char *towards = "to";

    endpoint_format(&observed->local, observed->local_length, local);
    endpoint_format(&observed->remote, observed->remote_length, remote);
    if (role && strcmp(role, "accept") == 0)
        towards = "from";
    fputs(observed_protocol(observed, protocol), stdout);
    if (observed_state(observed))
        printf(" %s", observed_state(observed));
    if (*local)
        printf(" %s", local);
    if (*remote)
        printf(" %s %s", towards, remote);
}

json_t *json_socket(const struct observed *observed, const struct open_socket *sockets,
                    size_t count)
{
    char protocol[32], local[ENDPOINT_SIZE], remote[ENDPOINT_SIZE];
    json_t *fds = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(fds, json_integer(sockets[i].fd));
    endpoint_format(&observed->local, observed->local_length, local);
    endpoint_format(&observed->remote, observed->remote_length, remote);
    return json_pack("{s:o, s:I, s:I, s:s?, s:s, s:s?, s:s?, s:s?, s:s?}", "fds", fds, "inode",
                     (json_int_t)sockets->inode, "cookie", (json_int_t)observed->cookie, "family",
                     name_of_bits(observed->sockinfo.families, family_names), "protocol",
                     observed_protocol(observed, protocol), "role", observed_role(observed),
                     "state", observed_state(observed), "local", *local ? local : NULL, "remote",
                     *remote ? remote : NULL);
}

size_t descriptors_of_one(const struct open_sockets *open, size_t first)
{
    size_t next = first + 1;

    while (next < open->count && open->items[next].inode == open->items[first].inode)
        next++;
    return next - first;
}

bool read_pid(const char *word, pid_t *pid)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(word, &end, 10);
    if (*word < '0' || *word > '9' || *end || errno || number < 1 || number > INT_MAX)
        return false;
    *pid = (pid_t)number;
    return true;
}

static int by_number(const void *left, const void *right)
{
    pid_t a = *(const pid_t *)left, b = *(const pid_t *)right;

    return (a > b) - (a < b);
}

pid_t *all_processes(size_t *count)
{
    DIR *directory = opendir("/proc");
    size_t room = 1024;
    pid_t *pids = directory ? malloc(room * sizeof *pids) : NULL;

    *count = 0;
    for (struct dirent *entry; pids && (entry = readdir(directory));) {
        if (!read_pid(entry->d_name, &pids[*count]) || pids[*count] == getpid())
            continue;
        if (++*count == room) {
            pid_t *larger = reallocarray(pids, room *= 2, sizeof *pids);

            if (!larger)
                free(pids);
            pids = larger;
        }
    }
    if (directory)
        closedir(directory);
    if (pids)
        qsort(pids, *count, sizeof *pids, by_number);
    return pids;
}
