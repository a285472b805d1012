/* SPDX-License-Identifier: MIT */
/*
 * socktune inspect: the sockets of a running process, with all their options.
 *
 * Each socket is duplicated and read into a snapshot; the duplicate is closed before anything else
 * is done.
 */
#include "commands.h"
#include "console.h"
#include "default_sockets.h"
#include "duplicate.h"
#include "format_option.h"
#include "names.h"
#include "read_option.h"
#include "reconcile.h"
#include "show_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_WIDTH 96

struct reading {
    bool known;
    bool unset;
    struct value value;
};

struct inspection {
    bool all, json;
    const char *fd; /* --fd, or NULL */
    const struct option *rows;
    size_t row_count;
    struct socket_description description;
    struct reading *readings; /* by row of the option table */
    struct default_sockets defaults;
    json_t *processes; /* with `json` */
    unsigned refused;  /* processes whose sockets may not be duplicated */
};

/* The snapshot */

static int snapshot_take(const struct socket_owner *owner, const struct open_socket *sockets,
                         size_t count, struct inspection *inspection)
{
    int fd = socket_duplicate(owner, sockets, count);
    int result;
    if (fd < 0)
        return -1;
    result = describe_socket(fd, &inspection->description);
    for (size_t i = 0; result == 0 && i < inspection->row_count; i++) {
        const struct option *row = &inspection->rows[i];
        struct reading *reading = &inspection->readings[i];
        reading->known = option_concerns(row, &inspection->description.sockinfo) &&
                         read_option(KERNEL_SOCKET(fd), row->level, row->optname, row,
                                     &reading->value, &reading->unset);
    }
    close(fd);
    return result;
}

/* The same option of a fresh socket. */
struct comparison {
    bool known;
    bool differs;
    bool by_kernel; /* the kernel changes it, or may change it, by itself */
    struct value value;
};

static struct comparison compare_reading(const struct inspection *inspection, size_t i,
                                         const struct default_socket *reference)
{
    const struct option *row = &inspection->rows[i];
    const struct reading *reading = &inspection->readings[i];
    struct comparison result = {
        .by_kernel = option_floats(row, &inspection->description.sockinfo, reading->unset)};
    bool unset;
    result.known = reference != NULL && reference->fd >= 0 &&
                   read_option(KERNEL_SOCKET(reference->fd), row->level, row->optname, row,
                               &result.value, &unset);
    result.differs = result.known &&
                     (result.value.length != reading->value.length ||
                      memcmp(result.value.bytes, reading->value.bytes, result.value.length) != 0);
    return result;
}

/* JSON */

static json_t *json_reading(const struct inspection *inspection, size_t i,
                            const struct default_socket *reference)
{
    const struct option *row = &inspection->rows[i];
    const struct reading *reading = &inspection->readings[i];
    struct comparison with = compare_reading(inspection, i, reference);
    char text[2 * POLICY_VALUE_MAX + 3];
    bytes_format(row, reading->value.bytes, reading->value.length, text, sizeof text);
    return json_pack(
        "{s:o, s:o, s:s?, s:o, s:o, s:b}", "value",
        bytes_json(row, reading->value.bytes, reading->value.length), "text", json_text(text),
        "unit", unit_name(row->unit), "fresh",
        with.known ? bytes_json(row, with.value.bytes, with.value.length) : json_null(), "differs",
        with.known ? json_boolean(with.differs) : json_null(), "automatic", with.by_kernel);
}

static json_t *json_tcp_info(const struct tcp_info_bytes *info)
{
    size_t count;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    json_t *object = json_object();
    uint64_t number;
    for (size_t i = 0; i < count; i++) {
        enum tcp_info_answer answer = tcp_info_get(&fields[i], info, &number);
        if (answer != TCP_INFO_ABSENT)
            json_object_set_new(object, fields[i].name,
                                answer == TCP_INFO_UNSET ? json_null()
                                                         : json_integer((json_int_t)number));
    }
    return object;
}

static json_t *json_inspected(const struct inspection *inspection,
                              const struct open_socket *sockets, size_t count,
                              const struct default_socket *reference)
{
    json_t *object = json_socket(&inspection->description, sockets, count);
    json_t *options = json_object();
    for (size_t i = 0; i < inspection->row_count; i++)
        if (inspection->readings[i].known)
            json_object_set_new(options, inspection->rows[i].name,
                                json_reading(inspection, i, reference));
    json_object_set_new(object, "options", options);
    json_object_set_new(object, "fresh_elsewhere", json_boolean(reference && reference->elsewhere));
    if (inspection->description.tcp_info.length)
        json_object_set_new(object, "tcp_info", json_tcp_info(&inspection->description.tcp_info));
    return object;
}

/* Text */

static void print_reading(const struct inspection *inspection, size_t i,
                          const struct default_socket *reference)
{
    const struct option *row = &inspection->rows[i];
    const struct reading *reading = &inspection->readings[i];
    struct comparison with = compare_reading(inspection, i, reference);
    char text[2 * POLICY_VALUE_MAX + 3], other[2 * POLICY_VALUE_MAX + 3] = "";
    const char *mark = with.differs ? with.by_kernel ? "~" : "*" : " ";
    bool bold = with.differs && !with.by_kernel;
    if (!with.differs && inspection->all)
        return;
    bytes_format(row, reading->value.bytes, reading->value.length, text, sizeof text);
    if (with.differs)
        bytes_format(row, with.value.bytes, with.value.length, other, sizeof other);
    printf("  %s%s %-26s  %-*s%s%s%s\n", bold ? colour(stdout, COLOUR_BOLD) : "", mark, row->name,
           *other ? 22 : 0, *text ? text : "none", *other ? "  fresh: " : "",
           *other || !with.differs ? other : "none", bold ? colour(stdout, COLOUR_NONE) : "");
}

/* " NAME VALUE" of a field; "" if there is nothing to show. */
static void format_field(const struct tcp_info_field *field, const struct tcp_info_bytes *info,
                         char *text, size_t size)
{
    static const char *const suffixes[] = {
        [UNIT_NONE] = "",     [UNIT_BYTES] = "B",         [UNIT_BYTES_PER_SECOND] = "B/s",
        [UNIT_SECONDS] = "s", [UNIT_MILLISECONDS] = "ms", [UNIT_MICROSECONDS] = "us",
        [UNIT_HOPS] = "",     [UNIT_COUNT_OF] = ""};
    uint64_t number;
    *text = '\0';
    if (tcp_info_get(field, info, &number) == TCP_INFO_VALUE && number)
        snprintf(text, size, "%s %llu%s", field->name, (unsigned long long)number,
                 suffixes[field->unit]);
}

static void print_tcp_info(const struct tcp_info_bytes *info)
{
    size_t count, column = 0;
    const struct tcp_info_field *fields = tcp_info_table(&count);
    char text[64];
    for (size_t i = 1; i < count; i++) { /* the heading shows the state */
        format_field(&fields[i], info, text, sizeof text);
        if (!*text)
            continue;
        if (column == 0 || column + strlen(text) + 2 > TEXT_WIDTH)
            column = (size_t)printf("%s    ", column ? "\n" : "") - (column ? 1 : 0);
        else
            column += (size_t)printf("  ");
        column += (size_t)printf("%s", text);
    }
    if (column)
        putchar('\n');
}

/* For a listener, two fields have another meaning, and the others have none. */
static void print_queue(const struct tcp_info_bytes *info)
{
    uint64_t waiting = 0, backlog = 0;
    tcp_info_get(tcp_info_find("unacked"), info, &waiting);
    tcp_info_get(tcp_info_find("sacked"), info, &backlog);
    printf("    %llu of %llu in the accept queue\n", (unsigned long long)waiting,
           (unsigned long long)backlog);
}

static void print_inspected(const struct inspection *inspection, const struct open_socket *sockets,
                            size_t count, const struct default_socket *reference)
{
    const struct socket_description *description = &inspection->description;
    printf("%s%sfd %d", inspection->all ? "" : "\n", colour(stdout, COLOUR_BOLD), sockets->fd);
    for (size_t i = 1; i < count; i++)
        printf(", %d", sockets[i].fd);
    fputs("  ", stdout);
    print_socket(description);
    printf("%s\n", colour(stdout, COLOUR_NONE));
    for (size_t i = 0; i < inspection->row_count; i++)
        if (inspection->readings[i].known)
            print_reading(inspection, i, reference);
    if (reference != NULL && reference->elsewhere)
        puts("    (the fresh socket is one of another network namespace: entering this one takes "
             "CAP_SYS_ADMIN)");
    if (description->tcp_info.length && description->listens)
        print_queue(&description->tcp_info);
    else if (description->tcp_info.length && !inspection->all)
        print_tcp_info(&description->tcp_info);
}

/* Processes */

static json_t *json_process(const struct process *process)
{
    return json_pack("{s:i, s:o, s:o, s:i, s:[]}", "pid", (int)process->pid, "program",
                     json_text(process->name), "executable", json_text(process->exe), "uid",
                     (int)process->effective_uid, "sockets");
}

static bool is_asked_for(const struct inspection *inspection, const struct open_socket *sockets,
                         size_t count)
{
    for (size_t i = 0; inspection->fd != NULL && i < count; i++)
        if (atoi(inspection->fd) == sockets[i].fd)
            return true;
    return inspection->fd == NULL;
}

/* getpeername(2) fails for a connection in SYN_SENT; a table in /proc has the address. */
static void find_remote(struct inspection *inspection, const struct process *process,
                        const struct open_socket *socket)
{
    struct sockaddr_storage remote;
    socklen_t length;
    if (inspection->description.connecting &&
        process_socket_remote(process->pid, socket->inode, &remote, &length) == 0)
        description_set_remote(&inspection->description, &remote, length);
}

/* Inspect all sockets. Returns their number, or -1 with errno if they may not be duplicated. */
static int inspect_sockets(struct inspection *inspection, const struct socket_owner *owner,
                           const struct process *process, const struct open_sockets *open,
                           json_t *array)
{
    int shown = 0;
    for (size_t i = 0, count; i < open->count; i += count) {
        const struct open_socket *sockets = &open->items[i];
        const struct socket_description *description = &inspection->description;
        const struct default_socket *reference = NULL;
        count = descriptors_of_one(open, i);
        if (!is_asked_for(inspection, sockets, count))
            continue;
        if (snapshot_take(owner, sockets, count, inspection) != 0) {
            if (is_gone(errno))
                continue;
            return -1;
        }
        find_remote(inspection, process, sockets);
        if (description->sockinfo.families)
            reference = default_sockets_get(&inspection->defaults, owner, description->domain,
                                            description->type, description->protocol);
        if (array != NULL)
            json_array_append_new(array, json_inspected(inspection, sockets, count, reference));
        else if (shown == 0)
            printf("%s%s[%d]%s\n", colour(stdout, COLOUR_BOLD), process->shown, process->pid,
                   colour(stdout, COLOUR_NONE));
        if (array == NULL)
            print_inspected(inspection, sockets, count, reference);
        shown++;
    }
    return shown;
}

/* Returns the number of sockets shown, or -1 with errno. */
static int inspect_identified(struct inspection *inspection, const struct socket_owner *owner,
                              const struct process *process)
{
    struct open_sockets open;
    json_t *object = NULL;
    int shown = -1, error;
    if (open_sockets_read(process->pid, &open) == 0) {
        object = inspection->json ? json_process(process) : NULL;
        shown =
            inspect_sockets(inspection, owner, process, &open, json_object_get(object, "sockets"));
    }
    error = errno;
    open_sockets_free(&open);
    if (object != NULL && (shown > 0 || (shown == 0 && !inspection->all)))
        json_array_append(inspection->processes, object);
    json_decref(object);
    return errno = error, shown;
}

/* Returns the exit status. With --all, processes that ended or are not accessible are only
 * counted. */
static int inspect_process(struct inspection *inspection, pid_t pid)
{
    struct process process;
    struct socket_owner owner;
    char reason[256];
    int status = 0, shown;
    if (process_identify(pid, &process) != 0 || socket_owner_open(pid, &owner) != 0) {
        int error = errno;
        process_free(&process);
        if (inspection->all)
            return 0;
        return command_failure("%d: %s", pid, error == ESRCH ? "no such process" : strerror(error));
    }
    shown = inspect_identified(inspection, &owner, &process);
    if (shown < 0 && inspection->all) {
        inspection->refused += !is_gone(errno);
    } else if (shown < 0) {
        refusal_text(&process, errno, reason, sizeof reason);
        status = command_failure("%s[%d]: %s", process.name, pid, reason);
    } else if (shown == 0 && inspection->fd != NULL) {
        status = command_failure("%s[%d]: descriptor %s is no socket", process.name, pid,
                                 inspection->fd);
    } else if (shown == 0 && !inspection->all && !inspection->json) {
        printf("%s[%d] has no sockets\n", process.shown, pid);
    }
    socket_owner_close(&owner);
    process_free(&process);
    return status;
}

static int inspect_all(struct inspection *inspection)
{
    size_t count;
    pid_t *pids = all_processes(&count);
    int status = 0;
    if (pids == NULL)
        return command_failure("/proc: %s", strerror(errno));
    for (size_t i = 0; i < count; i++)
        status |= inspect_process(inspection, pids[i]);
    free(pids);
    if (inspection->refused)
        fprintf(stderr, "%u processes may not be looked into; root (CAP_SYS_PTRACE) may\n",
                inspection->refused);
    return status;
}

static int inspect_and_print(struct inspection *inspection, pid_t pid)
{
    int status = inspection->all ? inspect_all(inspection) : inspect_process(inspection, pid);
    if (inspection->json && inspection->all)
        status |= print_json(json_pack("{s:O}", "processes", inspection->processes));
    else if (inspection->json && json_array_size(inspection->processes))
        status |= print_json(json_incref(json_array_get(inspection->processes, 0)));
    return status;
}

/* Allocates the memory for the readings. */
static int inspect_with_room(struct inspection *inspection, pid_t pid)
{
    int status;
    inspection->rows = option_table(&inspection->row_count);
    inspection->readings = calloc(inspection->row_count, sizeof *inspection->readings);
    inspection->processes = json_array();
    status = inspection->readings != NULL && inspection->processes != NULL
                 ? inspect_and_print(inspection, pid)
                 : command_failure("%s", strerror(ENOMEM));
    json_decref(inspection->processes);
    default_sockets_free(&inspection->defaults);
    free(inspection->readings);
    return status;
}

static int cmd_inspect(int argc, char **argv)
{
    struct inspection inspection = {.all = false};
    pid_t pid = 0;
    int status;
    int first = parse_flags(argc, argv, &inspection, &status);
    if (first < 0)
        return status;
    if (argc - first != !inspection.all)
        return command_misuse(inspection.all ? "--all takes no process" : "expected one process");
    if (!inspection.all && !read_pid(argv[first], &pid))
        return command_misuse("\"%s\" is no process ID", argv[first]);
    if (inspection.fd != NULL && inspection.all)
        return command_misuse("--fd is for one process");
    if (inspection.fd != NULL && strspn(inspection.fd, "0123456789") != strlen(inspection.fd))
        return command_misuse("\"%s\" is no descriptor", inspection.fd);
    return inspect_with_room(&inspection, pid);
}

static const struct flag flags[] = {
    {"fd", 0, FLAG_VALUE, offsetof(struct inspection, fd), "N", "only the socket at descriptor N",
     NULL, NULL},
    {"all", 'a', FLAG_SWITCH, offsetof(struct inspection, all), NULL,
     "inspect every accessible process; print only options that differ from the default", NULL,
     NULL},
    FLAG_JSON(struct inspection, json),
    FLAGS_END,
};

const struct command inspect_command = {
    .name = "inspect",
    .summary = "show the options of a running program's sockets",
    .synopsis = "PID [--fd N] [--json]\n--all [--json]",
    .details =
        "Prints each socket's addresses, state and role, all its options in their own units, "
        "and TCP_INFO. An option that differs from the default is marked: * somebody set it, "
        "~ the kernel may have changed it.",
    .flags = flags,
    .notes = "You can inspect your own processes, as long as they are dumpable; root "
             "(CAP_SYS_PTRACE) can inspect all.",
    .operand = "<process>",
    .run = cmd_inspect,
};
