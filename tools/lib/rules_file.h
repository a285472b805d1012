/* SPDX-License-Identifier: MIT */
/*
 * From a path named by a user to a policy in memory: rule files, directories of them, and compiled
 * policies; and where rules are when nobody names them.
 */
#ifndef SOCKTUNE_RULES_FILE_H
#define SOCKTUNE_RULES_FILE_H

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

/*
 * Read and compile the rules at `path` into `loaded`. Findings go to `diagnostics`, also that a
 * compiled policy cannot be read. Returns 0; or -1 after an error, and then there is nothing to
 * free. `context` adds the warnings of ruleset_check(); NULL: none.
 */
int load_rules(const char *path, const struct check_context *context,
               struct diagnostics *diagnostics, struct loaded *loaded);

void loaded_free(struct loaded *loaded);

/* Whether this process may do what CAP_NET_ADMIN allows. */
struct check_context current_context(void);

/* Sink of diagnostics that prints "FILE:LINE: error: MESSAGE" on the stream `context` (FILE *). */
void print_diagnostic(void *context, enum severity severity, struct location at,
                      const char *message);

/* The same for errors alone. */
void print_error(void *context, enum severity severity, struct location at, const char *message);

/* Write all of a blob to a descriptor. Returns 0, or -1 with errno. */
int write_all(int fd, const void *blob, size_t size);

#endif
