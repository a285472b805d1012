/* SPDX-License-Identifier: MIT */
/*
 * From a path named by a user to a policy in memory: rule files, directories of them, and compiled
 * policies; and where rules are when nobody names them.
 */
#ifndef SOCKTUNE_POLICY_FILE_H
#define SOCKTUNE_POLICY_FILE_H

#include "compile.h"
#include "policy.h"
#include "rules.h"

/* A policy, and what it was made from. Release with loaded_free(). */
struct loaded {
    struct policy policy;
    void *blob;
    size_t size;
    struct ruleset *ruleset; /* NULL when `path` was a compiled policy */
};

/*
 * The rules that the preloaded library takes for itself: SOCKTUNE_RULES, /etc/socktune.d,
 * /etc/socktune.conf. NULL when there are none. The answer is a static string or the environment's.
 */
const char *default_rules(void);

/* `path` made absolute, without "/" and "/." at its end; not resolved further, since X.policy
 * stands beside X, not beside what X points to. malloc()ed; NULL with errno. */
char *absolute_path(const char *path);

/* The bytes of a regular file of at most `limit` bytes, malloc()ed; NULL with errno. */
void *read_file(const char *path, size_t limit, size_t *size);

/* True if the file begins as a compiled policy does. */
bool is_policy_file(const char *path);

/* "-" stands for standard input. */
bool rules_are_standard_input(const char *path);

/*
 * Read and compile the rules at `path`, or those on standard input, into `loaded`. Findings go to
 * `diagnostics`, also that a compiled policy cannot be read. Returns 0; or -1 after an error, and
 * then there is nothing to free. `context` adds the warnings of ruleset_check(); NULL: none.
 */
int load_rules(const char *path, const struct check_context *context,
               struct diagnostics *diagnostics, struct loaded *loaded);

/* The same, but after an error in the rules `loaded->ruleset` is what could be read of them (NULL
 * without memory); loaded_free() is called in any case. */
int load_rules_partly(const char *path, const struct check_context *context,
                      struct diagnostics *diagnostics, struct loaded *loaded);

void loaded_free(struct loaded *loaded);

/* Write all of a blob to a descriptor. Returns 0, or -1 with errno. */
int write_all(int fd, const void *blob, size_t size);

/*
 * Write a file as a command's user expects. A regular file, or a path where there is nothing, is
 * replaced by way of a temporary file beside it and rename(), mode 0644, so that readers see the
 * old content or the new one; a symbolic link is followed to the file that it names. A device, FIFO
 * or the like is opened and written to. Returns 0, or -1 with errno.
 */
int write_file(const char *path, const void *bytes, size_t size);

#endif
