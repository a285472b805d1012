/* SPDX-License-Identifier: MIT */
/*
 * Finding, reading and compiling rules; writing files.
 */
#include "policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *default_rules(void)
{
    static const char *const places[] = {"/etc/socktune.d", "/etc/socktune.conf"};
    const char *named = getenv("SOCKTUNE_RULES");
    if (named != NULL && *named)
        return named;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], F_OK) == 0)
            return places[i];
    return NULL;
}

char *absolute_path(const char *path)
{
    char *directory = NULL;
    char *result = NULL;
    size_t length;
    while (path[0] == '.' && path[1] == '/')
        for (path += 2; *path == '/';)
            path++;
    if (path[0] == '/') {
        result = strdup(path);
    } else {
        directory = getcwd(NULL, 0);
        if (directory == NULL ||
            asprintf(&result, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, path) < 0)
            result = NULL;
        free(directory);
    }
    if (result == NULL)
        return NULL;
    length = strlen(result);
    while (length > 1 &&
           (result[length - 1] == '/' || (result[length - 1] == '.' && result[length - 2] == '/')))
        result[--length] = '\0';
    return result;
}

void *read_file(const char *path, size_t limit, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    char *bytes = NULL;
    size_t have = 0;
    ssize_t got = 1;
    if (fd < 0)
        return NULL;
    if (fstat(fd, &status) != 0)
        goto out;
    errno = S_ISDIR(status.st_mode) ? EISDIR : S_ISREG(status.st_mode) ? 0 : EINVAL;
    if (errno)
        goto out;
    errno = EFBIG;
    if ((uintmax_t)status.st_size > limit)
        goto out;
    bytes = malloc((size_t)status.st_size + 1);
    while (bytes != NULL && have < (size_t)status.st_size && got > 0) {
        got = read(fd, bytes + have, (size_t)status.st_size - have);
        have += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        free(bytes);
        bytes = NULL;
    }
    *size = have;
out:
    close(fd);
    return bytes;
}

bool is_policy_file(const char *path)
{
    char magic[sizeof POLICY_MAGIC - 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_policy;
    if (fd < 0)
        return false;
    is_policy = read(fd, magic, sizeof magic) == (ssize_t)sizeof magic &&
                memcmp(magic, POLICY_MAGIC, sizeof magic) == 0;
    close(fd);
    return is_policy;
}

static int load_policy(const char *path, struct diagnostics *diagnostics, struct loaded *loaded)
{
    struct location at = {path, 0};
    const char *wrong;
    loaded->blob = read_file(path, POLICY_SIZE_MAX, &loaded->size);
    if (loaded->blob == NULL) {
        diagnose(diagnostics, SEVERITY_ERROR, at, "%s", strerror(errno));
        return -1;
    }
    wrong = policy_open(&loaded->policy, loaded->blob, loaded->size);
    if (wrong != NULL)
        diagnose(diagnostics, SEVERITY_ERROR, at, "%s; compile the rules again", wrong);
    return wrong != NULL ? -1 : 0;
}

/* All of standard input, as a string that the caller frees; NULL with errno. */
static char *read_standard_input(void)
{
    enum { MOST = 1 << 20 };
    char *text = malloc(MOST + 2);
    size_t have = 0;
    ssize_t got = 1;

    while (text != NULL && have <= MOST && got > 0) {
        got = read(STDIN_FILENO, text + have, MOST + 1 - have);
        if (got < 0 && errno == EINTR)
            got = 1;
        else
            have += got > 0 ? (size_t)got : 0;
    }
    if (text != NULL && got >= 0 && have <= MOST && memchr(text, '\0', have) == NULL) {
        text[have] = '\0';
        return text;
    }
    free(text);
    errno = got < 0 ? errno : have > MOST ? EFBIG : EILSEQ;
    return NULL;
}

static struct ruleset *read_rules(const char *path, struct diagnostics *diagnostics)
{
    struct ruleset *ruleset;
    char *text;
    if (!rules_are_standard_input(path))
        return ruleset_read(path, diagnostics);
    text = read_standard_input();
    ruleset = text != NULL ? ruleset_read_text(text, "<stdin>", diagnostics) : NULL;
    free(text);
    return ruleset;
}

bool rules_are_standard_input(const char *path)
{
    return strcmp(path, "-") == 0;
}

static int compile_rules(const char *path, const struct check_context *context,
                         struct diagnostics *diagnostics, struct loaded *loaded)
{
    struct location at = {path, 0};
    const char *wrong;
    loaded->ruleset = read_rules(path, diagnostics);
    if (loaded->ruleset == NULL) {
        diagnose(diagnostics, SEVERITY_ERROR, at, "%s",
                 errno == EILSEQ ? "not a text: it has a NUL byte" : strerror(errno));
        return -1;
    }
    if (diagnostics->errors)
        return -1;
    if (context != NULL)
        ruleset_check(loaded->ruleset, context, diagnostics);
    if (policy_compile(loaded->ruleset, diagnostics, &loaded->blob, &loaded->size) != 0)
        return -1;
    wrong = policy_open(&loaded->policy, loaded->blob, loaded->size);
    if (wrong != NULL)
        diagnose(diagnostics, SEVERITY_ERROR, at, "compiled to a bad policy: %s", wrong);
    return wrong != NULL ? -1 : 0;
}

int load_rules_partly(const char *path, const struct check_context *context,
                      struct diagnostics *diagnostics, struct loaded *loaded)
{
    memset(loaded, 0, sizeof *loaded);
    return !rules_are_standard_input(path) && is_policy_file(path)
               ? load_policy(path, diagnostics, loaded)
               : compile_rules(path, context, diagnostics, loaded);
}

int load_rules(const char *path, const struct check_context *context,
               struct diagnostics *diagnostics, struct loaded *loaded)
{
    int failed = load_rules_partly(path, context, diagnostics, loaded);
    if (failed)
        loaded_free(loaded);
    return failed;
}

void loaded_free(struct loaded *loaded)
{
    free(loaded->blob);
    ruleset_free(loaded->ruleset);
    memset(loaded, 0, sizeof *loaded);
}

int write_all(int fd, const void *blob, size_t size)
{
    const char *from = blob;
    while (size) {
        ssize_t written = write(fd, from, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        from += written;
        size -= (size_t)written;
    }
    return 0;
}

/* Write to a new file beside `path`, then put it in the place of `path`. */
static int replace_file(const char *path, const void *bytes, size_t size)
{
    char *temporary;
    int fd, failed, error;
    if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
        return -1;
    fd = mkostemp(temporary, O_CLOEXEC);
    failed = fd < 0 || write_all(fd, bytes, size) != 0 || fchmod(fd, 0644) != 0;
    error = errno;
    if (fd >= 0 && close(fd) != 0 && !failed) {
        failed = 1;
        error = errno;
    }
    if (!failed && rename(temporary, path) != 0) {
        failed = 1;
        error = errno;
    }
    if (failed && fd >= 0)
        unlink(temporary);
    free(temporary);
    errno = error;
    return failed ? -1 : 0;
}

/* Write to a device, a FIFO or a socket's file: to replace it would destroy it. */
static int write_special(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    int failed = fd < 0 || write_all(fd, bytes, size) != 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return failed ? -1 : 0;
}

/* Names of open files: another file must not take the place of such a name. */
static bool names_descriptor(const char *path)
{
    return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

int write_file(const char *path, const void *bytes, size_t size)
{
    char target[PATH_MAX];
    struct stat status;
    if (stat(path, &status) != 0)
        return errno == ENOENT && lstat(path, &status) != 0 ? replace_file(path, bytes, size) : -1;
    if (S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    if (!S_ISREG(status.st_mode) || names_descriptor(path))
        return write_special(path, bytes, size);
    return realpath(path, target) != NULL ? replace_file(target, bytes, size) : -1;
}
