/* SPDX-License-Identifier: MIT */
#include "receiver_page.h"

#include <errno.h>
#include <signal.h>

void receiver_page_strike(struct receiver_page *page, uid_t uid, pid_t receiver, uint64_t now)
{
    page->strikes[page->next++ % STRIKES_ROOM] =
        (struct receiver_strike){.when = now, .uid = uid, .receiver = receiver};
}

static bool is_running(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

unsigned receiver_page_strikes(const struct receiver_page *page, uid_t uid, uint64_t now)
{
    unsigned count = 0;
    for (unsigned i = 0; i < STRIKES_ROOM; i++) {
        const struct receiver_strike *strike = &page->strikes[i];
        if (strike->when != 0 && strike->uid == uid &&
            (now - strike->when < STRIKE_AGE_NS || is_running(strike->receiver)))
            count++;
    }
    return count;
}
