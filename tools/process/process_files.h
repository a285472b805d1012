/* SPDX-License-Identifier: MIT */
/*
 * Files of /proc/PID: proc(5).
 */
#ifndef SOCKTUNE_PROCESS_FILES_H
#define SOCKTUNE_PROCESS_FILES_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

/* "/proc/PID/NAME" in `path`, which is returned. */
const char *process_file_path(pid_t pid, const char *name, char path[PATH_MAX]);

/* The whole file, malloc()ed, with a NUL behind its `*size` bytes; NULL with errno. */
char *process_file_read(pid_t pid, const char *name, size_t *size);

/* A list of words that is empty. Not to be written. */
extern char *process_no_words[];

/* The strings of a file that are ended by NUL each (cmdline, environ): a list ended by NULL, its
 * words in one block. NULL with errno. Release with process_words_free(). */
char **process_words_read(pid_t pid, const char *name);
void process_words_free(char **words);

/* The number behind "FIELD:" in the text of a status file; `fallback` where the kernel has no such
 * line. `column` counts the numbers of that line from 0. */
unsigned long process_status_number(const char *status, const char *field, int column,
                                    unsigned long fallback);

#endif
