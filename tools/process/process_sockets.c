/* SPDX-License-Identifier: MIT */
/*
 * The sockets of a process: its descriptors in /proc/PID/fd, and the kernel's tables of sockets in
 * /proc/PID/net.
 */
#include "process_sockets.h"
#include "endpoint.h"
#include "process_files.h"
#include "tcp_info.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Descriptors */

static int by_inode(const void *left, const void *right)
{
    uint64_t a = ((const struct open_socket *)left)->inode;
    uint64_t b = ((const struct open_socket *)right)->inode;
    return (a > b) - (a < b);
}

/* The lowest descriptor of a socket first. */
static int by_inode_and_fd(const void *left, const void *right)
{
    int order = by_inode(left, right);
    int a = ((const struct open_socket *)left)->fd, b = ((const struct open_socket *)right)->fd;
    return order ? order : (a > b) - (a < b);
}

static int by_first_and_fd(const void *left, const void *right)
{
    const struct open_socket *a = left, *b = right;
    return a->first != b->first ? (a->first > b->first) - (a->first < b->first)
                                : (a->fd > b->fd) - (a->fd < b->fd);
}

static int by_fd(const void *left, const void *right)
{
    int a = ((const struct process_socket *)left)->fd;
    int b = ((const struct process_socket *)right)->fd;
    return (a > b) - (a < b);
}

/* Make room for one more item of `size` bytes. Returns 0, or -1 with errno. */
static int reserve_item(void **items, size_t count, size_t *room, size_t size)
{
    void *larger;
    if (count < *room)
        return 0;
    larger = reallocarray(*items, *room ? 2 * *room : 16, size);
    if (larger == NULL)
        return -1;
    *room = *room ? 2 * *room : 16;
    *items = larger;
    return 0;
}

/* One entry of /proc/PID/fd. */
static int read_descriptor(int directory, const char *name, struct open_sockets *open)
{
    char target[64];
    ssize_t length = readlinkat(directory, name, target, sizeof target - 1);
    uint64_t inode;
    if (length < 0)
        return 0; /* closed meanwhile */
    target[length] = '\0';
    if (strcmp(target, "anon_inode:[io_uring]") == 0)
        open->uring = true;
    if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
        return 0;
    if (reserve_item((void **)&open->items, open->count, &open->room, sizeof *open->items) != 0)
        return -1;
    open->items[open->count++] = (struct open_socket){.inode = inode, .fd = atoi(name)};
    return 0;
}

static void order_sockets(struct open_sockets *open)
{
    struct open_socket *items = open->items;
    if (!open->count)
        return;
    qsort(items, open->count, sizeof *items, by_inode_and_fd);
    for (size_t i = 0; i < open->count; i++)
        items[i].first =
            i && items[i].inode == items[i - 1].inode ? items[i - 1].first : items[i].fd;
    qsort(items, open->count, sizeof *items, by_first_and_fd);
}

int open_sockets_read(pid_t pid, struct open_sockets *open)
{
    char path[PATH_MAX];
    DIR *directory;
    int result = 0;
    *open = (struct open_sockets){0};
    directory = opendir(process_file_path(process_live_thread(pid), "fd", path));
    if (directory == NULL)
        return -1;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory)) != NULL;)
        result = read_descriptor(dirfd(directory), entry->d_name, open);
    closedir(directory);
    order_sockets(open);
    return result;
}

size_t descriptors_of_one(const struct open_sockets *open, size_t first)
{
    size_t next = first + 1;
    while (next < open->count && open->items[next].inode == open->items[first].inode)
        next++;
    return next - first;
}

void open_sockets_free(struct open_sockets *open)
{
    free(open->items);
}

/* Tables of sockets */

/* Read "0100007F:1F90" of /proc/net/tcp: 32-bit words in the machine's byte order, the port in hex.
 * Returns the length of the address. */
static socklen_t read_hex_address(const char *hex, struct sockaddr_storage *to)
{
    uint32_t words[4] = {0};
    size_t digits = strcspn(hex, ":");
    size_t count = digits == 32 ? 4 : 1;
    in_port_t port = htons(hex[digits] != '\0' ? (uint16_t)strtoul(hex + digits + 1, NULL, 16) : 0);
    for (size_t i = 0; i < count; i++) {
        char word[9];
        snprintf(word, sizeof word, "%.8s", hex + 8 * i);
        words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    memset(to, 0, sizeof *to);
    if (count == 1) {
        struct sockaddr_in *address = (struct sockaddr_in *)to;
        *address = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = words[0]};
        return sizeof *address;
    }
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)to;
    *address = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    memcpy(&address->sin6_addr, words, sizeof words);
    return sizeof *address;
}

static void format_hex_address(const char *hex, char text[64])
{
    struct sockaddr_storage address;
    char endpoint[ENDPOINT_SIZE];
    endpoint_format(&address, read_hex_address(hex, &address), endpoint);
    snprintf(text, 64, "%.63s", endpoint);
}

static int find_remote(FILE *table, uint64_t inode, struct sockaddr_storage *remote,
                       socklen_t *length)
{
    char line[512], address[48];
    uint64_t found;
    while (fgets(line, sizeof line, table) != NULL)
        if (sscanf(line, "%*s %*s %47s %*x %*s %*s %*s %*s %*s %" SCNu64, address, &found) == 2 &&
            found == inode) {
            *length = read_hex_address(address, remote);
            return 0;
        }
    return -1;
}

int process_socket_remote(pid_t pid, uint64_t inode, struct sockaddr_storage *remote,
                          socklen_t *length)
{
    static const char *const tables[] = {"net/tcp", "net/tcp6"};
    char path[PATH_MAX];
    int result = -1;
    for (size_t i = 0; result != 0 && i < sizeof tables / sizeof *tables; i++) {
        FILE *table = fopen(process_file_path(process_live_thread(pid), tables[i], path), "re");
        if (table == NULL)
            continue;
        result = find_remote(table, inode, remote, length);
        fclose(table);
    }
    return result;
}

static const char *state_name(const char *protocol, unsigned state)
{
    if (strncmp(protocol, "tcp", 3) == 0)
        return tcp_state_name(state);
    return state == 1 ? "connected" : "unconnected";
}

/* Keep a line of /proc/PID/net/PROTOCOL, if one of the open sockets has its inode. */
static int keep_socket(struct process *process, const char *protocol, const char *line,
                       struct open_sockets *open, size_t *room)
{
    char local[48], remote[48];
    unsigned state;
    struct open_socket key = {0};
    struct open_socket *match;
    struct process_socket *kept;
    if (sscanf(line, "%*s %47s %47s %x %*s %*s %*s %*s %*s %" SCNu64, local, remote, &state,
               &key.inode) != 4 ||
        key.inode == 0)
        return 0;
    match = bsearch(&key, open->items, open->count, sizeof key, by_inode);
    if (match == NULL)
        return 0;
    if (reserve_item((void **)&process->sockets, process->socket_count, room,
                     sizeof *process->sockets) != 0)
        return -1;
    match->found = true;
    kept = &process->sockets[process->socket_count++];
    *kept = (struct process_socket){
        .fd = match->first, .protocol = protocol, .state = state_name(protocol, state)};
    format_hex_address(local, kept->local);
    format_hex_address(remote, kept->remote);
    return 0;
}

static int read_socket_table(struct process *process, const char *protocol,
                             struct open_sockets *open, size_t *room)
{
    char path[PATH_MAX], name[32], line[512];
    FILE *table;
    int result = 0;
    snprintf(name, sizeof name, "net/%s", protocol);
    table = fopen(process_file_path(process->thread, name, path), "re");
    if (table == NULL)
        return 0; /* no such protocol in this kernel (IPv6 may be off) */
    while (result == 0 && fgets(line, sizeof line, table) != NULL)
        result = keep_socket(process, protocol, line, open, room);
    fclose(table);
    return result;
}

int process_sockets_read(struct process *process)
{
    static const char *const protocols[] = {"tcp",     "tcp6",     "udp", "udp6",
                                            "udplite", "udplite6", "raw", "raw6"};
    struct open_sockets open;
    size_t room = 0;
    int result = open_sockets_read(process->thread, &open);
    process->uring_open = open.uring;
    if (result != 0 && errno != ENOMEM) {
        process->unknown |= UNKNOWN_DESCRIPTORS;
        result = 0;
    }

    for (size_t i = 0; result == 0 && open.count && i < sizeof protocols / sizeof *protocols; i++)
        result = read_socket_table(process, protocols[i], &open, &room);
    for (size_t i = 0; i < open.count; i++)
        process->other_sockets += !open.items[i].found;
    if (process->socket_count)
        qsort(process->sockets, process->socket_count, sizeof *process->sockets, by_fd);
    open_sockets_free(&open);
    return result;
}
