/* SPDX-License-Identifier: MIT */
/*
 * The advice as a rule file: each rule with its reasons as comments above it.
 */
#ifndef SOCKTUNE_ADVISE_RULE_FILE_H
#define SOCKTUNE_ADVISE_RULE_FILE_H

#include "proposals.h"
#include "sampler.h"

/* A piece of advice, ready to be shown. */
struct advise_advice {
    struct advise_finding finding;
    struct advise_proposal proposal;
    char figure[160];
    char *who; /* owned; program and script, without control characters */
};

/* Fill in a piece of advice. Returns 0, or -1 if there is no memory. */
int advice_prepare(const struct advise_finding *finding, const struct advise_sysctls *sysctls,
                   struct advise_advice *advice);

/* Write the scope: "connections to port 6379", "connections accepted at port 80", "listener at port
 * 80", "datagram socket at port 53". */
void advice_scope(const struct advise_finding *finding, char *text, size_t size);

/* Returns the text of the file, malloc()ed; NULL if there is no memory. */
char *rule_file_text(const struct advise_advice *advice, size_t count,
                     const struct advise_watch *watch);

#endif
