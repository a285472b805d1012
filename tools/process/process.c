/* SPDX-License-Identifier: MIT */
/*
 * What /proc tells of a process: proc(5).
 */
#include "process.h"
#include "compat.h"
#include "endpoint.h"
#include "tcp_info.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_MAX (8u << 20) /* bytes of a /proc file held in memory */

static char *no_words[] = {NULL};

/* --- files of /proc --------------------------------------------------------------------------- */

/* "/proc/PID/NAME" in `path`. */
static const char *proc_path(pid_t pid, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "/proc/%d/%s", pid, name);
    return path;
}

/* The whole file, with a NUL behind it; NULL with errno. Files of /proc have no size to ask for. */
static char *read_whole(pid_t pid, const char *name, size_t *size)
{
    char path[PATH_MAX];
    int fd = open(proc_path(pid, name, path), O_RDONLY | O_CLOEXEC);
    size_t room = 4096;
    char *text = fd < 0 ? NULL : malloc(room);
    ssize_t got = text ? 1 : -1;

    for (*size = 0; got > 0 && *size < FILE_MAX; *size += (size_t)(got > 0 ? got : 0)) {
        if (room - *size < 2) {
            char *larger = realloc(text, room *= 2);

            if (!larger) {
                got = -1;
                break;
            }
            text = larger;
        }
        got = read(fd, text + *size, room - *size - 1);
    }
    if (fd >= 0)
        close(fd);
    if (got < 0) {
        int error = errno;

        free(text);
        return errno = error, NULL;
    }
    text[*size] = '\0';
    return text;
}

/* Strings ended by NUL each, as in cmdline and environ: an array into one block, to be released by
 * free_words(). */
static char **read_words(pid_t pid, const char *name)
{
    size_t size, count = 0, kept = 0;
    char *text = read_whole(pid, name, &size);
    char **words;

    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\0' || i + 1 == size;
    words = count ? malloc((count + 1) * sizeof *words) : no_words;
    if (words && count) {
        for (char *at = text; kept < count; at += strlen(at) + 1)
            words[kept++] = at;
        words[kept] = NULL;
        return words;
    }
    free(text);
    return words;
}

/* A program that shows a title in place of its arguments leaves empty ones behind it. */
static char **without_padding(char **words)
{
    size_t count = 0;

    while (words[count])
        count++;
    while (count > 1 && !*words[count - 1])
        words[--count] = NULL;
    return words;
}

/* A title is one string: its words then, for it begins with the program's name. Joined by spaces
 * they read as before. */
static char **without_title(char **words)
{
    size_t count = 1;
    char **larger;

    if (!words[0] || words[1] || !strchr(words[0], ' '))
        return words;
    for (const char *at = words[0]; *at; at++)
        count += *at == ' ';
    larger = reallocarray(words, count + 1, sizeof *words);
    if (!larger)
        return words;
    for (size_t i = 1; i <= count; i++) {
        larger[i] = strchr(larger[i - 1], ' ');
        if (larger[i])
            *larger[i]++ = '\0';
        else
            break;
    }
    return larger;
}

static void free_words(char **words)
{
    if (!words || !words[0])
        return;
    free(words[0]); /* the block */
    free(words);
}

/* The number behind "FIELD:" of status; `fallback` where the kernel has no such line. `column`
 * counts the numbers of that line from 0. */
static unsigned long status_number(const char *status, const char *field, int column,
                                   unsigned long fallback)
{
    char line[64];
    const char *at;
    char *end;
    unsigned long number = fallback;

    snprintf(line, sizeof line, "\n%s:", field);
    at = strstr(status, line);
    if (!at)
        return fallback;
    for (at += strlen(line); column >= 0; column--, at = end) {
        number = strtoul(at, &end, 10);
        if (end == at)
            return fallback;
    }
    return number;
}

/* "Name:" of status, the first line. */
static void read_name(const char *status, char name[64])
{
    sscanf(status, "Name:\t%63[^\n]", name);
}

static int read_status(struct process *process)
{
    size_t size;
    char *status = read_whole(process->thread, "status", &size);

    if (!status) {
        if (errno == ENOENT)
            errno = ESRCH;
        return -1;
    }
    read_name(status, process->name);
    process->real_uid = (uid_t)status_number(status, "Uid", 0, 0);
    process->effective_uid = (uid_t)status_number(status, "Uid", 1, 0);
    process->real_gid = (gid_t)status_number(status, "Gid", 0, 0);
    process->effective_gid = (gid_t)status_number(status, "Gid", 1, 0);
    process->no_new_privs = status_number(status, "NoNewPrivs", 0, 0) == 1;
    process->seccomp = (int)status_number(status, "Seccomp", 0, 0);
    free(status);
    return 0;
}

static int read_exe(struct process *process)
{
    static const char deleted[] = " (deleted)";
    char path[PATH_MAX], target[PATH_MAX];
    ssize_t length = readlink(proc_path(process->thread, "exe", path), target, sizeof target - 1);
    size_t mark = sizeof deleted - 1;

    if (length < 0) {
        process->unknown |= errno == ENOENT ? 0 : UNKNOWN_EXE; /* ENOENT: it has none */
        return 0;
    }
    target[length] = '\0';
    if ((size_t)length > mark && strcmp(target + length - mark, deleted) == 0) {
        target[(size_t)length - mark] = '\0';
        process->exe_deleted = true;
    }
    process->exe = strdup(target);
    return process->exe ? 0 : -1;
}

static void read_maps(struct process *process)
{
    char path[PATH_MAX], line[PATH_MAX + 128];
    FILE *maps = fopen(proc_path(process->thread, "maps", path), "re");

    /* Without the permission, open() succeeds in some kernels and read() fails or gives nothing. */
    if (!maps || !fgets(line, sizeof line, maps)) {
        process->unknown |= UNKNOWN_MAPS;
    } else {
        do {
            const char *name = strrchr(line, '/');

            if (!name)
                continue;
            if (strncmp(name, "/libsocktune.so", 15) == 0)
                process->library_loaded = true;
            else if (strncmp(name, "/liburing", 9) == 0)
                process->uring_loaded = true;
        } while (fgets(line, sizeof line, maps));
    }
    if (maps)
        fclose(maps);
}

/* Of the size of the process's words, not ours. */
static void read_auxv(struct process *process)
{
    size_t size;
    char *text = read_whole(process->thread, "auxv", &size);
    uint64_t first = 0;
    bool wide;

    process->secure = SECURE_UNKNOWN;
    if (!text || size < 16) {
        free(text);
        return;
    }
    /* The first type is a small number: in a 64-bit vector its upper half is 0, in a 32-bit one
     * that place holds the first value, which is an address (AT_SYSINFO_EHDR) or not 0 in any case.
     */
    memcpy(&first, text, sizeof first);
    wide = first >> 32 == 0;
    for (size_t at = 0, step = wide ? 16 : 8; at + step <= size; at += step) {
        Elf64_auxv_t entry = {0};
        Elf32_auxv_t narrow = {0};

        if (wide) {
            memcpy(&entry, text + at, sizeof entry);
        } else {
            memcpy(&narrow, text + at, sizeof narrow);
            entry.a_type = narrow.a_type;
            entry.a_un.a_val = narrow.a_un.a_val;
        }
        if (entry.a_type == AT_SECURE)
            process->secure = entry.a_un.a_val ? SECURE_YES : SECURE_NO;
    }
    free(text);
}

/* --- sockets ---------------------------------------------------------------------------------- */

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
static int reserve(void **items, size_t count, size_t *room, size_t size)
{
    void *larger;

    if (count < *room)
        return 0;
    larger = reallocarray(*items, *room ? 2 * *room : 16, size);
    if (!larger)
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
    if (reserve((void **)&open->items, open->count, &open->room, sizeof *open->items) != 0)
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

/* Does it still have the memory and the descriptors of its process? */
static bool has_executable(pid_t tid)
{
    char path[PATH_MAX], target[PATH_MAX];
    return readlink(proc_path(tid, "exe", path), target, sizeof target) >= 0;
}

pid_t process_live_thread(pid_t pid)
{
    char path[PATH_MAX];
    pid_t found = pid;
    DIR *tasks;
    if (has_executable(pid) || errno != ENOENT)
        return pid;
    tasks = opendir(proc_path(pid, "task", path));
    for (struct dirent *entry; tasks != NULL && found == pid && (entry = readdir(tasks)) != NULL;) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid > 0 && tid != pid && has_executable(tid))
            found = tid;
    }
    if (tasks != NULL)
        closedir(tasks);
    return found;
}

int open_sockets_read(pid_t pid, struct open_sockets *open)
{
    char path[PATH_MAX];
    DIR *directory;
    int result = 0;

    *open = (struct open_sockets){0};
    directory = opendir(proc_path(process_live_thread(pid), "fd", path));
    if (!directory)
        return -1;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory));)
        result = read_descriptor(dirfd(directory), entry->d_name, open);
    closedir(directory);
    order_sockets(open);
    return result;
}

void open_sockets_free(struct open_sockets *open)
{
    free(open->items);
}

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
        FILE *table = fopen(proc_path(process_live_thread(pid), tables[i], path), "re");
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
    if (!match)
        return 0;
    if (reserve((void **)&process->sockets, process->socket_count, room,
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
    table = fopen(proc_path(process->thread, name, path), "re");
    if (!table)
        return 0; /* no such protocol in this kernel (IPv6 may be off) */
    while (result == 0 && fgets(line, sizeof line, table))
        result = keep_socket(process, protocol, line, open, room);
    fclose(table);
    return result;
}

static int read_sockets(struct process *process)
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

/* --- namespaces ------------------------------------------------------------------------------- */

/* True if both lead to another file. */
static bool differs(struct process *process, const char *name)
{
    char path[PATH_MAX], own[PATH_MAX];
    struct stat theirs, ours;

    snprintf(own, sizeof own, "/proc/self/%s", name);
    if (stat(proc_path(process->thread, name, path), &theirs) != 0 || stat(own, &ours) != 0) {
        process->unknown |= UNKNOWN_NAMESPACES;
        return false;
    }
    return theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev;
}

/* --- the whole -------------------------------------------------------------------------------- */

char *process_cgroup(pid_t pid)
{
    char path[PATH_MAX], line[PATH_MAX + 16];
    char *cgroup = NULL;
    FILE *file;

    snprintf(path, sizeof path, pid != 0 ? "/proc/%d/cgroup" : "/proc/self/cgroup", (int)pid);
    file = fopen(path, "re");
    /* The line of the version 2 hierarchy is "0::/PATH"; cgroups(7). */
    while (file != NULL && cgroup == NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0)
            cgroup = strdup(line + 3);
    }
    if (file != NULL)
        fclose(file);
    return cgroup;
}

int process_identify(pid_t pid, struct process *process)
{
    char **words;

    *process = (struct process){
        .pid = pid, .thread = process_live_thread(pid), .argv = no_words, .environment = no_words};
    if (read_status(process) != 0 || read_exe(process) != 0)
        return -1;
    process->cgroup = process_cgroup(process->thread);
    words = read_words(process->thread, "cmdline");
    if (words)
        process->argv = without_title(without_padding(words));
    return 0;
}

struct identity process_identity(const struct process *process)
{
    bool hidden = !process->exe && process->unknown & UNKNOWN_EXE;

    return (struct identity){.executable = hidden ? process->name : process->exe,
                             .argv = (const char *const *)process->argv,
                             .uid = process->effective_uid,
                             .gid = process->effective_gid,
                             .cgroup = process->cgroup};
}

bool process_is_program(const struct process *process)
{
    return process->exe || process->argv[0];
}

int process_read(pid_t pid, struct process *process)
{
    char **words;

    if (process_identify(pid, process) != 0)
        return -1;
    read_maps(process);
    read_auxv(process);
    words = read_words(process->thread, "environ");
    if (words)
        process->environment = words;
    else
        process->unknown |= UNKNOWN_ENVIRONMENT;
    process->supervisor = process->seccomp == 2 ? process_supervisor(pid) : 0;
    process->other_mounts = differs(process, "root");
    process->other_mounts |= differs(process, "ns/mnt");
    process->other_network = differs(process, "ns/net");
    process->other_users = differs(process, "ns/user");
    if (read_sockets(process) != 0)
        return -1;
    if (!process->exe && !(process->unknown & UNKNOWN_EXE))
        process->unknown = 0; /* a kernel thread or a zombie: there is nothing to know */
    return 0;
}

void process_free(struct process *process)
{
    free(process->cgroup);
    free(process->exe);
    free_words(process->argv);
    free_words(process->environment);
    free(process->sockets);
}

const char *process_getenv(const struct process *process, const char *name)
{
    size_t length = strlen(name);

    for (char **entry = process->environment; *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            return *entry + length + 1;
    return NULL;
}

bool process_sees(const struct process *process, const char *path)
{
    char root[PATH_MAX];
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int directory =
        open(proc_path(process->thread, "root", root), O_PATH | O_DIRECTORY | O_CLOEXEC);
    long fd;
    bool seen;

    if (directory < 0)
        return false;
    fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
    seen = fd >= 0;
    if (fd < 0 && errno == ENOSYS) /* before Linux 5.6; absolute links then lead astray */
        seen = faccessat(directory, path + strspn(path, "/"), F_OK, 0) == 0;
    if (fd >= 0)
        close((int)fd);
    close(directory);
    return seen;
}
