/* SPDX-License-Identifier: MIT */
/*
 * Reading files of /proc/PID.
 */
#include "process_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (8u << 20) /* bytes of a /proc file held in memory */

char *process_no_words[] = {NULL};

const char *process_file_path(pid_t pid, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "/proc/%d/%s", pid, name);
    return path;
}

/* Files of /proc have no size to ask for. */
char *process_file_read(pid_t pid, const char *name, size_t *size)
{
    char path[PATH_MAX];
    int fd = open(process_file_path(pid, name, path), O_RDONLY | O_CLOEXEC);
    size_t room = 4096;
    char *text = fd < 0 ? NULL : malloc(room);
    ssize_t got = text != NULL ? 1 : -1;
    for (*size = 0; got > 0 && *size < FILE_MAX; *size += (size_t)(got > 0 ? got : 0)) {
        if (room - *size < 2) {
            char *larger = realloc(text, room *= 2);
            if (larger == NULL) {
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

char **process_words_read(pid_t pid, const char *name)
{
    size_t size, count = 0, kept = 0;
    char *text = process_file_read(pid, name, &size);
    char **words;
    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\0' || i + 1 == size;
    words = count ? malloc((count + 1) * sizeof *words) : process_no_words;
    if (words != NULL && count) {
        for (char *at = text; kept < count; at += strlen(at) + 1)
            words[kept++] = at;
        words[kept] = NULL;
        return words;
    }
    free(text);
    return words;
}

void process_words_free(char **words)
{
    if (words == NULL || words[0] == NULL)
        return;
    free(words[0]); /* the block */
    free(words);
}

unsigned long process_status_number(const char *status, const char *field, int column,
                                    unsigned long fallback)
{
    char line[64];
    const char *at;
    char *end;
    unsigned long number = fallback;
    snprintf(line, sizeof line, "\n%s:", field);
    at = strstr(status, line);
    if (at == NULL)
        return fallback;
    for (at += strlen(line); column >= 0; column--, at = end) {
        number = strtoul(at, &end, 10);
        if (end == at)
            return fallback;
    }
    return number;
}
