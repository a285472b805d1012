/* SPDX-License-Identifier: MIT */
/*
 * From a finding to a rule: which settings, for which sockets, and if there is no rule, why.
 */
#ifndef SOCKTUNE_ADVISE_PROPOSALS_H
#define SOCKTUNE_ADVISE_PROPOSALS_H

#include "groups.h"
#include "sysctls.h"

#define PROPOSAL_SIZE 2048u

struct advise_proposal {
    char rule[PROPOSAL_SIZE]; /* the rule, as it stands in a file; "": none */
    char
        reason[PROPOSAL_SIZE]; /* why there is none, one line without full stop; "": there is one */
};

/* Write the rule. One that the checker would complain of is not proposed. */
void proposals_make(const struct advise_finding *finding, const struct advise_sysctls *sysctls,
                    struct advise_proposal *proposal);

/* A glob that matches the name and can stand in a rule whatever the name is: what is no plain
 * character becomes `?`. False where too little of it would be left. Pure. */
bool proposals_glob(const char *name, bool cut, char *glob, size_t size);

#endif
