/* SPDX-License-Identifier: MIT */
/*
 * Verdicts: what evidence about a socket means. The thresholds come from experiments with programs
 * whose problem was known (see README.md). Pure.
 */
#ifndef SOCKTUNE_ADVISE_VERDICTS_H
#define SOCKTUNE_ADVISE_VERDICTS_H

#include "evidence.h"

#include <stddef.h>

enum advise_verdict_id {
#define VERDICT(id, ...) VERDICT_##id,
#include "verdicts.def"
    VERDICT_COUNT
};

enum advise_side { ADVISE_SENDER, ADVISE_RECEIVER, ADVISE_OWNER };
enum advise_unit { ADVISE_SHARE, ADVISE_SECONDS, ADVISE_COUNT, ADVISE_TIMES };

/* The input of a verdict. */
struct advise_view {
    const struct advise_evidence *own;
    const struct advise_evidence *peer; /* the other end, if it is on this machine; else NULL */
    bool peer_is_watched;               /* the other end is watched, and gets its own advice */
    uint32_t send_most;                 /* maximum bytes of an autotuned send buffer; 0: unknown */
    double idle_least; /* seconds without traffic after which a connection counts as idle */
};

struct advise_verdict {
    const char *name;
    enum advise_kind kind;
    uint32_t least; /* samples */
    enum advise_side side;
    enum advise_unit unit;
    const char *figure; /* format with one %s */
    const char *advice;
    bool (*holds)(const struct advise_view *view);
    double (*measure)(const struct advise_view *view);
};

/* Indexed by enum advise_verdict_id. */
extern const struct advise_verdict advise_verdicts[VERDICT_COUNT];

/* "sender", "receiver", "owner". */
const char *verdict_side_name(enum advise_side side);

enum verdict_answer { VERDICT_NO, VERDICT_YES, VERDICT_NOT_YET };

/* Judge the evidence. VERDICT_NOT_YET: the verdict is likely, but there is too little evidence;
 * `lacking` becomes the seconds for which to continue. `figure` is set for VERDICT_YES. */
enum verdict_answer verdict_ask(enum advise_verdict_id id, const struct advise_view *view,
                                double *figure, double *lacking);

/* Format the figure: "idle for 2m03s without keepalive". */
void verdict_figure_text(enum advise_verdict_id id, double figure, char *text, size_t size);

#endif
