/* SPDX-License-Identifier: MIT */
/*
 * What the last figures prove, and what they do not. tests/platform/test_ending.c checks each
 * statement against the kernel (net/ipv4/tcp.c, tcp_input.c, tcp_timer.c, tcp_output.c).
 *
 * - bytes_acked counts the data, the SYN of the side that connected, and the FIN. Data sent for the
 *   first time is bytes_sent - bytes_retrans. So bytes_acked minus that, minus the SYN, is 1 if the
 *   FIN was acknowledged; otherwise it is below 1: minus the number of unacknowledged bytes.
 * - A side that closes first is destroyed when its FIN is acknowledged: whether the peer closes
 *   later is unknown.
 * - segs_in counts every segment, also a RST; bytes_acked is 0 until the SYN is acknowledged.
 * - retransmits counts the timeouts since the last acknowledgement, probes the unanswered probes of
 *   keepalive and of a closed window. A RST clears neither. If a RST is the only answer to repeated
 *   segments, for example from a machine that has restarted, this is known only if segs_in was
 *   sampled during the silence.
 * - Packets that this host's own queueing discipline dropped count twice in bytes_sent, and not as
 *   retransmitted. Then the first statement does not hold: the result is below 0 although nothing
 *   is unacknowledged.
 */
#include "close_reason.h"

#include <stddef.h>

enum figure { ACKED, SENT, RESENT, SEGMENTS, RETRANSMITS, PROBES, FIGURES };

/* False if the kernel did not report all of them. */
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
