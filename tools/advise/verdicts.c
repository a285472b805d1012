/* SPDX-License-Identifier: MIT */
/*
 * The predicates, their figures, and the table.
 */
#include "verdicts.h"
#include "human.h"

#include <stdio.h>
#include <string.h>

#define STATE_ESTABLISHED 1u
#define STATE_CLOSE_WAIT  8u

/* Thresholds. */
#define NAGLE_SHARE   0.30 /* of the busy samples: 0.64 to 1 with the problem, 0 without */
#define NAGLE_STALLS  3u
#define WINDOW_SHARE  0.50 /* of the busy time: 0.95 with the problem, 0 to 0.03 without */
#define WINDOW_BUSY   0.5  /* seconds */
#define UNREAD_SHARE  0.50 /* of the samples: 0.07 with a small buffer, 0.98 of a slow reader */
#define SLOW_SHARE    0.80
#define CRAMMED_SHARE 0.50
#define FILLED_SHARE  0.20  /* of the busy samples: 0.39 and 0.89 with the problem, 0.02 without */
#define FULL_SHARE    0.25  /* of those: 0.93 to 1 with the problem */
#define LOSS_SHARE    0.005 /* of the bytes */
#define LOSS_SEGMENTS 5u
#define RTT_FLAT      1.5 /* times the minimum RTT */
#define RTT_GROWN     2.0
#define PATH_RTT      500.0 /* microseconds: below it, the peer is on this machine */
#define STUCK_SECONDS 10.0
#define STUCK_BACKOFF 3u
#define UNEXPLAINED   10u /* drops that count even if no full queue was sampled */

static double share_of(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static bool is_open(const struct advise_evidence *evidence)
{
    return evidence->state == STATE_ESTABLISHED || evidence->state == STATE_CLOSE_WAIT;
}

/* True if segments are at least half full on average. */
static bool sends_bulk(const struct advise_evidence *evidence)
{
    const struct advise_counters *counters = &evidence->counters;
    return counters->segments > 0 &&
           share_of((double)counters->sent, (double)counters->segments) >= evidence->now.mss / 2.0;
}

static bool has_path(const struct advise_evidence *evidence)
{
    return evidence->least_rtt >= PATH_RTT;
}

/* Nagle */

static double verdict_figure_nagle(const struct advise_view *view)
{
    return share_of(view->own->held_back, view->own->active);
}

static bool verdict_holds_nagle(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return !own->options.nodelay && !own->options.cork && own->stalls >= NAGLE_STALLS &&
           verdict_figure_nagle(view) >= NAGLE_SHARE && own->counters.received > 0 &&
           !sends_bulk(own);
}

/* Windows */

/* The sender's view. */
static bool is_window_limited(const struct advise_evidence *sender)
{
    double busy = (double)sender->counters.busy;
    return busy >= WINDOW_BUSY * 1e6 && sends_bulk(sender) &&
           share_of((double)sender->counters.limited, busy) >= WINDOW_SHARE;
}

static double window_share(const struct advise_evidence *sender)
{
    return share_of((double)sender->counters.limited, (double)sender->counters.busy);
}

static double verdict_figure_receive_window(const struct advise_view *view)
{
    return window_share(view->peer);
}

static bool verdict_holds_receive_window(const struct advise_view *view)
{
    return view->peer != NULL && is_window_limited(view->peer) && has_path(view->peer) &&
           share_of(view->own->unread, view->own->samples) < UNREAD_SHARE;
}

static double verdict_figure_slow_reader(const struct advise_view *view)
{
    return share_of(view->own->unread, view->own->samples);
}

static bool verdict_holds_slow_reader(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return is_open(own) && verdict_figure_slow_reader(view) >= SLOW_SHARE &&
           share_of(own->crammed, own->samples) >= CRAMMED_SHARE &&
           (view->peer == NULL || window_share(view->peer) >= WINDOW_SHARE);
}

static double verdict_figure_peer_window(const struct advise_view *view)
{
    return window_share(view->own);
}

/* If the receiver is watched, too, its own verdict is reported instead. */
static bool verdict_holds_peer_window(const struct advise_view *view)
{
    return is_window_limited(view->own) && !view->peer_is_watched;
}

/* The send buffer */

/* A send buffer that the program has not sized grows with the congestion window. It is no limit
 * until it is as large as the kernel allows. */
static bool may_grow(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return own->options.known && !own->options.send_locked &&
           own->now.send_buffer < view->send_most;
}

static double verdict_figure_send_buffer(const struct advise_view *view)
{
    return share_of(view->own->filled, view->own->active);
}

static bool verdict_holds_send_buffer(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return has_path(own) && sends_bulk(own) && !may_grow(view) && own->active >= own->samples / 2 &&
           verdict_figure_send_buffer(view) >= FILLED_SHARE &&
           share_of(own->full, own->filled) >= FULL_SHARE && window_share(own) < WINDOW_SHARE;
}

/* Loss */

static double resent_share(const struct advise_view *view)
{
    return share_of((double)view->own->counters.resent, (double)view->own->counters.sent);
}

static bool loses_packets(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return has_path(own) && resent_share(view) >= LOSS_SHARE &&
           own->counters.resent >= (uint64_t)LOSS_SEGMENTS * own->now.mss;
}

/* True if there are too few segments for a verdict. */
static bool loses_little(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return has_path(own) && resent_share(view) >= LOSS_SHARE &&
           own->counters.resent < (uint64_t)LOSS_SEGMENTS * own->now.mss;
}

static double verdict_figure_loss_without_queue(const struct advise_view *view)
{
    return resent_share(view);
}

static bool verdict_holds_loss_without_queue(const struct advise_view *view)
{
    return loses_packets(view) && evidence_rtt(view->own) < RTT_FLAT * view->own->least_rtt;
}

static double verdict_figure_loss_with_queue(const struct advise_view *view)
{
    return resent_share(view);
}

static bool verdict_holds_loss_with_queue(const struct advise_view *view)
{
    return loses_packets(view) && evidence_rtt(view->own) > RTT_GROWN * view->own->least_rtt;
}

/* Peers that are gone */

static double verdict_figure_dead_man(const struct advise_view *view)
{
    const struct advise_sample *now = &view->own->now;
    return (now->since_sent < now->since_received ? now->since_sent : now->since_received) / 1e3;
}

static bool is_unguarded(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return own->state == STATE_ESTABLISHED && own->kept_alive == 0 && own->active == 0 &&
           !own->options.keepalive && own->now.has_info;
}

static bool verdict_holds_dead_man(const struct advise_view *view)
{
    return is_unguarded(view) && verdict_figure_dead_man(view) >= view->idle_least;
}

/* The timeout doubles while nothing is acknowledged. So the time waited before the current timeout
 * is the current timeout minus the first one. */
static double verdict_figure_stuck(const struct advise_view *view)
{
    const struct advise_sample *now = &view->own->now;
    double waited = now->rto / 1e6 * (1 - 1.0 / (double)(1ull << (now->backoff & 31)));
    return waited < now->since_acked / 1e3 ? waited : now->since_acked / 1e3;
}

static bool is_unanswered(const struct advise_view *view)
{
    const struct advise_sample *now = &view->own->now;
    return is_open(view->own) && now->unacked > 0 && now->backoff >= STUCK_BACKOFF &&
           view->own->options.user_timeout == 0;
}

static bool verdict_holds_stuck(const struct advise_view *view)
{
    return is_unanswered(view) && verdict_figure_stuck(view) >= STUCK_SECONDS;
}

/* Drops */

static double verdict_figure_accept_overflow(const struct advise_view *view)
{
    return view->own->drops;
}

static bool verdict_holds_accept_overflow(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return own->drops >= UNEXPLAINED || (own->drops > 0 && own->queue_filled > 0);
}

static double verdict_figure_udp_drops(const struct advise_view *view)
{
    return view->own->drops;
}

static bool verdict_holds_udp_drops(const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    return own->drops >= UNEXPLAINED ||
           (own->drops > 0 && own->receive_most >= own->now.receive_buffer / 2);
}

/* The table */

const struct advise_verdict advise_verdicts[VERDICT_COUNT] = {
#define VERDICT(id, name, kind, least, side, unit, figure, advice)                                 \
    [VERDICT_##id] = {name,          ADVISE_##kind,      least,                                    \
                      ADVISE_##side, ADVISE_##unit,      figure,                                   \
                      advice,        verdict_holds_##id, verdict_figure_##id},
#include "verdicts.def"
};

const char *verdict_side_name(enum advise_side side)
{
    static const char *const names[] = {
        [ADVISE_SENDER] = "sender", [ADVISE_RECEIVER] = "receiver", [ADVISE_OWNER] = "owner"};
    return names[side];
}

/* Returns the seconds after which a condition that has lasted all the time would be long enough; 0:
 * none. */
static double time_lacking(enum advise_verdict_id id, const struct advise_view *view)
{
    const struct advise_evidence *own = view->own;
    if (id == VERDICT_dead_man && is_unguarded(view) &&
        verdict_figure_dead_man(view) >= own->last - own->first)
        return view->idle_least - verdict_figure_dead_man(view);
    if (id == VERDICT_stuck && is_unanswered(view))
        return STUCK_SECONDS - verdict_figure_stuck(view);
    if (id == VERDICT_loss_without_queue && loses_little(view))
        return (own->last - own->first) *
               ((double)LOSS_SEGMENTS * own->now.mss / (double)own->counters.resent - 1);
    return 0;
}

enum verdict_answer verdict_ask(enum advise_verdict_id id, const struct advise_view *view,
                                double *figure, double *lacking)
{
    const struct advise_verdict *verdict = &advise_verdicts[id];
    const struct advise_evidence *own = view->own;
    if (own->samples == 0 || own->kind != verdict->kind)
        return VERDICT_NO;
    *lacking = time_lacking(id, view);
    if (*lacking > 0)
        return VERDICT_NOT_YET;
    if (!verdict->holds(view))
        return VERDICT_NO;
    *figure = verdict->measure(view);
    if (own->samples >= verdict->least)
        return VERDICT_YES;
    *lacking = (verdict->least - own->samples) *
               (own->samples > 1 ? (own->last - own->first) / (own->samples - 1) : 0.1);
    return VERDICT_NOT_YET;
}

void verdict_figure_text(enum advise_verdict_id id, double figure, char *text, size_t size)
{
    static const char mark[] = "%s";
    const struct advise_verdict *verdict = &advise_verdicts[id];
    const char *at = strstr(verdict->figure, mark);
    char number[HUMAN_SIZE];
    if (verdict->unit == ADVISE_SHARE)
        human_percent(figure, number);
    else if (verdict->unit == ADVISE_SECONDS)
        human_age(figure, number);
    else
        snprintf(number, sizeof number, "%.0f", figure);
    snprintf(text, size, "%.*s%s%s%s", (int)(at - verdict->figure), verdict->figure, number,
             verdict->unit == ADVISE_SHARE ? " %" : "", at + strlen(mark));
}
