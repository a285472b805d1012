/* SPDX-License-Identifier: MIT */
/*
 * Sockets are identified by cookie: process IDs and inode numbers are reused, cookies are not.
 * Values are stored in hexadecimal, as getsockopt() returned them.
 */
#include "apply_undo.h"
#include "commands.h"
#include "compat.h"
#include "console.h"
#include "duplicate.h"
#include "format_option.h"
#include "policy_file.h"
#include "read_option.h"
#include "show_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1 };

/* Saving */

static json_t *value_json(const struct value *value)
{
    char text[2 * POLICY_VALUE_MAX + 1];
    bytes_hexadecimal(value->bytes, value->length, text, sizeof text);
    return json_string(text);
}

void undo_note(json_t *undo, const struct policy *policy, const struct process *process,
               const struct open_socket *socket, const struct socket_description *description,
               const struct reconciled_socket *changes)
{
    json_t *options = json_array();
    for (uint32_t i = 0; i < changes->count; i++) {
        const struct reconciled_option *change = &changes->options[i];
        const struct policy_option *option =
            &policy->options[policy->actions[change->action].option];
        if (change->result == RECONCILE_CHANGED)
            json_array_append_new(
                options,
                json_pack("{s:s, s:i, s:i, s:b, s:o, s:o}", "option",
                          policy_string(policy, option->name), "level", (int)option->level,
                          "number", (int)option->optname, "autotuned", change->unset, "before",
                          value_json(&change->before), "after", value_json(&change->after)));
    }
    if (json_array_size(options) != 0)
        json_array_append_new(undo,
                              json_pack("{s:i, s:o, s:i, s:I, s:I, s:O}", "pid", (int)process->pid,
                                        "program", json_text(process->name), "fd", socket->fd,
                                        "inode", (json_int_t)socket->inode, "cookie",
                                        (json_int_t)description->cookie, "options", options));
    json_decref(options);
}

int undo_prepare(const char *path)
{
    struct stat status;
    json_t *nothing;
    int result;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
        return command_failure("%s: there is such a file already, and what it says could not be "
                               "undone any more; name another one",
                               path);
    nothing = json_array();
    result = undo_save(nothing, path);
    json_decref(nothing);
    return result;
}

int undo_save(json_t *undo, const char *path)
{
    json_t *document = json_pack("{s:i, s:O}", "version", VERSION, "sockets", undo);
    char *text = document != NULL ? json_dumps(document, JSON_INDENT(1)) : NULL;
    int result = text != NULL ? write_file(path, text, strlen(text)) : -1;
    if (result != 0)
        result = command_failure("%s: %s", path, text != NULL ? strerror(errno) : "out of memory");
    free(text);
    json_decref(document);
    return result;
}

/* Restoring */

/* An option of the file. */
struct undo_option {
    const char *name;
    int level, number, autotuned;
    struct value before, after;
};

enum undo_result { UNDO_DONE, UNDO_AS_BEFORE, UNDO_CHANGED_SINCE, UNDO_FAILED };

/* How many options of the file were restored, left alone, or could not be restored. */
struct undo_count {
    size_t restored, left, failed;
};

static bool read_value(const char *text, struct value *value)
{
    size_t digits = strspn(text, "0123456789abcdef");
    value->length = (uint32_t)(digits / 2);
    if (text[digits] != '\0' || digits % 2 != 0 || digits > sizeof value->bytes * 2)
        return false;
    for (size_t i = 0; i < value->length; i++) {
        const char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};
        value->bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

static bool read_undo_option(json_t *object, struct undo_option *option)
{
    const char *before, *after;
    return json_unpack(object, "{s:s, s:i, s:i, s:b, s:s, s:s}", "option", &option->name, "level",
                       &option->level, "number", &option->number, "autotuned", &option->autotuned,
                       "before", &before, "after", &after) == 0 &&
           read_value(before, &option->before) && read_value(after, &option->after);
}

static bool is_value(const struct value *left, const struct value *right)
{
    return left->length == right->length && memcmp(left->bytes, right->bytes, left->length) == 0;
}

/* Only system calls: `fd` is a duplicate. */
static enum undo_result undo_option(int fd, const struct undo_option *option)
{
    struct value now;
    bool unset;
    if (!read_option(KERNEL_SOCKET(fd), option->level, option->number, NULL, &now, &unset))
        return UNDO_FAILED;
    if (is_value(&now, &option->before) && (unset || option->autotuned == 0))
        return UNDO_AS_BEFORE;
    if (!is_value(&now, &option->after))
        return UNDO_CHANGED_SINCE;
    if (restore_option(fd, option->level, option->number, &option->before,
                       option->autotuned != 0) != 0)
        return UNDO_FAILED;
    errno = 0;
    return read_option(KERNEL_SOCKET(fd), option->level, option->number, NULL, &now, &unset) &&
                   is_value(&now, &option->before)
               ? UNDO_DONE
               : UNDO_FAILED;
}

/* A duplicate of the socket that has this inode number and this cookie; -1 if it is gone. */
static int duplicate_saved(const struct socket_owner *owner, const struct open_sockets *open,
                           uint64_t inode, uint64_t cookie)
{
    for (size_t i = 0, count; i < open->count; i += count) {
        uint64_t found = 0;
        socklen_t length = sizeof found;
        int fd;
        count = descriptors_of_one(open, i);
        if (open->items[i].inode != inode)
            continue;
        fd = socket_duplicate(owner, &open->items[i], count);
        if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_COOKIE, &found, &length) == 0 &&
            found == cookie)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

/* A socket of the file. */
struct undo_socket {
    const char *program;
    int pid, fd;
    json_int_t inode, cookie;
    json_t *options;
};

static bool read_undo_socket(json_t *object, struct undo_socket *socket)
{
    return json_unpack(object, "{s:i, s:s, s:i, s:I, s:I, s:o}", "pid", &socket->pid, "program",
                       &socket->program, "fd", &socket->fd, "inode", &socket->inode, "cookie",
                       &socket->cookie, "options", &socket->options) == 0;
}

/* Restore all options of a socket, the last one first, because setting IP_TOS alters SO_PRIORITY.
 * The results are in the order of the file. Returns 0, or -1 with errno; is_gone(errno) is true if
 * the socket no longer exists. */
static int undo_socket(const struct undo_socket *socket, const struct undo_option *options,
                       size_t count, enum undo_result *results)
{
    struct socket_owner owner;
    struct open_sockets open;
    int fd = -1, error;
    if (socket_owner_open(socket->pid, &owner) != 0)
        return -1;
    if (open_sockets_read(socket->pid, &open) == 0) {
        errno = EBADF;
        fd = duplicate_saved(&owner, &open, (uint64_t)socket->inode, (uint64_t)socket->cookie);
        error = errno;
        for (size_t i = count; fd >= 0 && i-- > 0;)
            results[i] = undo_option(fd, &options[i]);
        if (fd >= 0)
            close(fd);
        open_sockets_free(&open);
    } else {
        error = errno;
    }
    socket_owner_close(&owner);
    errno = error;
    return fd >= 0 ? 0 : -1;
}

static void print_results(const struct undo_socket *socket, const struct undo_option *options,
                          size_t count, const enum undo_result *results)
{
    static const char *const texts[] = {
        [UNDO_DONE] = "set back",
        [UNDO_AS_BEFORE] = "as it was before",
        [UNDO_CHANGED_SINCE] = "left: it has been changed since",
        [UNDO_FAILED] = "cannot be set back",
    };
    printf("%s[%d] fd %d\n", socket->program, socket->pid, socket->fd);
    for (size_t i = 0; i < count; i++)
        printf("  %-22s  %s\n", options[i].name, texts[results[i]]);
}

static void count_results(const enum undo_result *results, size_t count, struct undo_count *total)
{
    for (size_t i = 0; i < count; i++) {
        total->restored += results[i] == UNDO_DONE || results[i] == UNDO_AS_BEFORE;
        total->left += results[i] == UNDO_CHANGED_SINCE;
        total->failed += results[i] == UNDO_FAILED;
    }
}

static void count_missing(bool gone, size_t count, struct undo_count *total)
{
    if (gone)
        total->left += count;
    else
        total->failed += count;
}

/* Returns 0, or -1 if the file is invalid. */
static int undo_noted(json_t *object, struct undo_count *total)
{
    struct undo_socket noted;
    struct undo_option options[POLICY_OPTIONS_MAX];
    enum undo_result results[POLICY_OPTIONS_MAX];
    size_t count;
    if (!read_undo_socket(object, &noted) || !json_is_array(noted.options) ||
        json_array_size(noted.options) > POLICY_OPTIONS_MAX)
        return -1;
    count = json_array_size(noted.options);
    for (size_t i = 0; i < count; i++)
        if (!read_undo_option(json_array_get(noted.options, i), &options[i]))
            return -1;
    if (undo_socket(&noted, options, count, results) == 0) {
        print_results(&noted, options, count, results);
        count_results(results, count, total);
    } else {
        bool gone = is_gone(errno);
        printf("%s[%d] fd %d\n  %s\n", noted.program, noted.pid, noted.fd,
               gone ? "the socket is gone" : strerror(errno));
        count_missing(gone, count, total);
    }
    return 0;
}

static int undo_sockets(const char *path, json_t *sockets)
{
    struct undo_count total = {0};
    for (size_t i = 0; i < json_array_size(sockets); i++)
        if (undo_noted(json_array_get(sockets, i), &total) != 0)
            return command_failure("%s: socket %zu is not as `socktune apply --save` writes it",
                                   path, i + 1);
    if (total.failed == 0 && total.restored == 0 && total.left != 0)
        return command_failure("%s: no option could be set back", path);
    return total.failed != 0;
}

int undo_run(const char *path)
{
    json_error_t error;
    json_t *document = json_load_file(path, 0, &error), *sockets;
    int version = 0, failed;
    if (document == NULL)
        return error.line > 0 ? command_failure("%s:%d: %s", path, error.line, error.text)
                              : command_failure("%s", error.text);
    if (json_unpack(document, "{s:i, s:o}", "version", &version, "sockets", &sockets) != 0 ||
        version != VERSION || !json_is_array(sockets)) {
        json_decref(document);
        return command_failure("%s: this is no file of `socktune apply --save`", path);
    }
    failed = undo_sockets(path, sockets);
    json_decref(document);
    return failed;
}
