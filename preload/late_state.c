/* SPDX-License-Identifier: MIT */
#include "late_state.h"

#include "kernel.h"

struct late_state *late_state;

struct late_state *late_state_start(void)
{
    if (late_state == NULL)
        late_state = kernel_map(sizeof *late_state);
    return late_state;
}
