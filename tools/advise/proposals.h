/* SPDX-License-Identifier: MIT */
/*
 * From a finding to a rule: the settings and the criteria, or why there is no rule.
 */
#ifndef SOCKTUNE_ADVISE_PROPOSALS_H
#define SOCKTUNE_ADVISE_PROPOSALS_H

#include "groups.h"
#include "sysctls.h"

#define PROPOSAL_SIZE 2048u

struct advise_proposal {
    char rule[PROPOSAL_SIZE];   /* the text of the rule; "": none */
    char reason[PROPOSAL_SIZE]; /* why there is no rule, one line without full stop; "": there is
                                   one */
};

/* Write the rule. A rule for which the checker reports a problem is not proposed. */
void proposals_make(const struct advise_finding *finding, const struct advise_sysctls *sysctls,
                    struct advise_proposal *proposal);

/* Make a glob that matches the name and is valid in a rule: each special character becomes `?`.
 * Returns false if too few plain characters would remain. Pure. */
bool proposals_glob(const char *name, bool cut, char *glob, size_t size);

#endif
