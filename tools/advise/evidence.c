/* SPDX-License-Identifier: MIT */
/*
 * Accumulates evidence.
 */
#include "evidence.h"
#include "sock_diag.h"

#define STATE_ESTABLISHED 1u

/* Nagle's algorithm: less than a full segment is not sent while anything is unacknowledged. Both
 * windows have room, so nothing else delays the data. */
static bool is_held_back(const struct advise_sample *sample)
{
    uint64_t wanted = (uint64_t)sample->unacked * sample->mss + sample->not_sent;
    return sample->not_sent > 0 && sample->not_sent < sample->mss && sample->unacked > 0 &&
           sample->unacked < sample->window &&
           (sample->peer_space == 0 || wanted <= sample->peer_space);
}

/* Everything that fits into the send buffer is in flight, and both windows have room for more.
 * tcpi_sndbuf_limited stays 0 in this case on Linux 6.18. */
static bool is_filled(const struct advise_sample *sample)
{
    uint64_t flying = (uint64_t)sample->unacked * sample->mss;
    return sample->send_memory >= sample->send_buffer / 3 * 2 && sample->unacked > 0 &&
           sample->unacked < sample->window && sample->not_sent == 0 &&
           (sample->peer_space == 0 || flying * 10 < (uint64_t)sample->peer_space * 9);
}

static void add_counters(struct advise_counters *to, const struct advise_counters *now,
                         const struct advise_counters *before)
{
    if (now->sent < before->sent || now->received < before->received || now->busy < before->busy)
        return;
    to->busy += now->busy - before->busy;
    to->limited += now->limited - before->limited;
    to->sent += now->sent - before->sent;
    to->resent += now->resent - before->resent;
    to->received += now->received - before->received;
    to->segments += now->segments - before->segments;
}

static void add_rtt(struct advise_evidence *evidence, uint32_t rtt, uint32_t least)
{
    if (rtt == 0)
        return;
    evidence->rtt_sum += rtt;
    evidence->rtt_count++;
    if (least != 0 && (evidence->least_rtt == 0 || least < evidence->least_rtt))
        evidence->least_rtt = least;
}

static void add_connection(struct advise_evidence *evidence, const struct advise_sample *sample,
                           bool first)
{
    bool active = sample->unacked > 0 || sample->not_sent > 0, filled = is_filled(sample);
    evidence->active += active;
    evidence->unread += sample->receive_queue > 0;
    evidence->crammed +=
        sample->receive_queue > 0 && sample->receive_memory >= sample->receive_buffer / 3;
    evidence->filled += filled;
    evidence->full += filled && sample->send_memory >= sample->send_buffer;
    evidence->kept_alive += sample->timer == SOCK_DIAG_TIMER_KEEPALIVE;
    if (is_held_back(sample)) {
        evidence->held_back++;
        evidence->stalls += evidence->held_back == 1 || evidence->last_stall != sample->acked;
        evidence->last_stall = sample->acked;
    }
    /* While nothing is in flight, the round-trip time is an old one. */
    if (active || first)
        add_rtt(evidence, sample->rtt, sample->least_rtt);
}

void evidence_add(struct advise_evidence *evidence, const struct advise_sample *sample, bool born)
{
    bool first = evidence->samples == 0;
    if (first && !born) {
        evidence->latest = sample->counters;
        evidence->latest_drops = sample->drops;
    }
    if (first)
        evidence->first = sample->when;
    evidence->kind = sample->kind;
    evidence->state = sample->state;
    evidence->last = sample->when;
    evidence->samples++;
    evidence->drops += sample->drops - evidence->latest_drops;
    evidence->latest_drops = sample->drops;
    if (sample->receive_memory > evidence->receive_most)
        evidence->receive_most = sample->receive_memory;
    if (sample->kind == ADVISE_LISTENER) {
        evidence->queue_filled += sample->receive_queue >= sample->send_queue;
        if (sample->receive_queue > evidence->queue_most)
            evidence->queue_most = sample->receive_queue;
    } else if (sample->kind == ADVISE_CONNECTION && sample->has_info) {
        add_connection(evidence, sample, first);
        add_counters(&evidence->counters, &sample->counters, &evidence->latest);
        evidence->latest = sample->counters;
    }
    evidence->now = *sample;
}

void evidence_finish(struct advise_evidence *evidence, const struct advise_counters *counters,
                     uint32_t rtt, uint32_t least_rtt)
{
    add_counters(&evidence->counters, counters, &evidence->latest);
    evidence->latest = *counters;
    add_rtt(evidence, rtt, least_rtt);
}

void evidence_merge(struct advise_evidence *into, const struct advise_evidence *other)
{
    static const struct advise_counters nothing;
    if (into->samples == 0 || other->first < into->first)
        into->first = other->first;
    if (other->last > into->last)
        into->last = other->last;
    into->kind = other->kind;
    into->state = other->state;
    into->samples += other->samples;
    into->active += other->active;
    into->held_back += other->held_back;
    into->stalls += other->stalls;
    into->unread += other->unread;
    into->crammed += other->crammed;
    into->filled += other->filled;
    into->full += other->full;
    into->kept_alive += other->kept_alive;
    into->queue_filled += other->queue_filled;
    add_counters(&into->counters, &other->counters, &nothing);
    into->rtt_sum += other->rtt_sum;
    into->rtt_count += other->rtt_count;
    if (other->least_rtt != 0 && (into->least_rtt == 0 || other->least_rtt < into->least_rtt))
        into->least_rtt = other->least_rtt;
    into->drops += other->drops;
    if (other->receive_most > into->receive_most)
        into->receive_most = other->receive_most;
    if (other->queue_most > into->queue_most)
        into->queue_most = other->queue_most;
    into->now = other->now;
    into->options = other->options;
}

int evidence_connected(const struct advise_sample *sample)
{
    uint64_t data = sample->counters.sent - sample->counters.resent;
    if (!sample->has_info || sample->state != STATE_ESTABLISHED || sample->unacked != 0 ||
        sample->not_sent != 0 || sample->send_queue != 0)
        return -1;
    return sample->acked == data + 1 ? 1 : sample->acked == data ? 0 : -1;
}

double evidence_rtt(const struct advise_evidence *evidence)
{
    return evidence->rtt_count != 0 ? (double)evidence->rtt_sum / evidence->rtt_count : 0;
}
