/* SPDX-License-Identifier: MIT */
/* Socket options of Linux that no rule can name, and why (left_out.def). Pure. */
#ifndef SOCKTUNE_LEFT_OUT_H
#define SOCKTUNE_LEFT_OUT_H

struct left_out {
    const char *name; /* "UDP_CORK" */
    int level;
    int optname;
    const char *why; /* a clause without a full stop */
};

/* The row of that name in any case, or of that number; NULL if there is none. */
const struct left_out *left_out_find(const char *name);
const struct left_out *left_out_find_number(int level, int optname);

#endif
