/* SPDX-License-Identifier: MIT */
/*
 * What the last figures prove, and what they do not. tests/platform/test_ending.c holds the kernel
 * to each sentence (net/ipv4/tcp.c, tcp_input.c, tcp_timer.c, tcp_output.c).
 *
 * - bytes_acked counts the data, the SYN of the side that connected, and the FIN. What was sent for
 *   the first time is bytes_sent - bytes_retrans. So bytes_acked less that, less the SYN, is 1
 * where the FIN is acknowledged, and else the bytes that are not, below 0.
 * - A side that closes first is destroyed when its FIN is acknowledged: whether the peer ever
 * closes too is not known here any more, and not asked.
 * - segs_in counts every segment, a RST too; bytes_acked is 0 until the SYN is acknowledged.
 * - retransmits counts the timeouts since the last acknowledgement, probes the unanswered probes of
 *   keepalive and of a closed window. A RST clears neither. So where one came as the only answer to
 *   what was repeated, as from a machine that restarted, that is known only where segs_in had been
 *   looked at during the silence.
 * - What this host's own queueing discipline dropped counts in bytes_sent twice, and not as
 *   retransmitted. Then the first sentence does not hold, and is below 0 though nothing waits.
 */
#include "close_reason.h"

#include <stddef.h>

enum figure { ACKED, SENT, RESENT, SEGMENTS, RETRANSMITS, PROBES, FIGURES };

/* False where the kernel did not tell all of them. */
static bool read_figures(const struct tcp_info_bytes *info, uint64_t figures[FIGURES])
{
    static const char *const fields[FIGURES] = {
        [ACKED] = "bytes_acked", [SENT] = "bytes_sent",         [RESENT] = "bytes_retrans",
        [SEGMENTS] = "segs_in",  [RETRANSMITS] = "retransmits", [PROBES] = "probes",
    };
    static const struct tcp_info_field *found[FIGURES];
    for (size_t i = 0; i < FIGURES; i++) {
        if (found[i] == NULL)
            found[i] = tcp_info_find(fields[i]);
        if (tcp_info_get(found[i], info, &figures[i]) != TCP_INFO_VALUE)
            return false;
    }
    return true;
}

static bool is_silent(const uint64_t figures[FIGURES])
{
    return figures[RETRANSMITS] > 0 || figures[PROBES] > 0;
}

enum close_reason close_reason_of(bool connected, const struct tcp_info_bytes *last,
                                  uint32_t unacknowledged, const struct tcp_info_bytes *sample)
{
    uint64_t now[FIGURES], before[FIGURES];
    int64_t beyond_data;
    if (!read_figures(last, now))
        return CLOSE_UNKNOWN;
    if (connected && now[ACKED] == 0)
        return now[SEGMENTS] > 0 ? CLOSE_REFUSED : CLOSE_UNANSWERED;
    beyond_data = (int64_t)(now[ACKED] - connected - (now[SENT] - now[RESENT]));
    if (beyond_data == 1)
        return CLOSE_FIN;
    if (is_silent(now))
        return read_figures(sample, before) && is_silent(before) &&
                       now[SEGMENTS] != before[SEGMENTS]
                   ? CLOSE_RESET
                   : CLOSE_TIMEOUT;
    return beyond_data == 0 || unacknowledged > 0 ? CLOSE_RESET : CLOSE_UNKNOWN;
}
