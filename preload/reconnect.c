/* SPDX-License-Identifier: MIT */
/*
 * One word per descriptor, in a mapping of its own, because the object's data is read-only after
 * the constructor (protect.h). Pages of unused descriptors take no memory. Descriptors beyond the
 * end of the table have no word, and are always asked.
 */
#include "reconnect.h"

#include "kernel.h"

enum { DESCRIPTORS = 65536, OWN_SHIFT = 29 };

#define CONNECTED  ((uint64_t)1 << 63)
#define REPORTED   ((uint64_t)1 << 62)
#define AT_HOME    ((uint64_t)1 << 61)
#define ACCEPTS    ((uint64_t)1 << 60)
#define TRANSPORT  ((uint64_t)1 << 59)
#define GIVEN_MASK (((uint64_t)1 << OWN_SHIFT) - 1)

/* NULL: there are no notes. Only the constructor writes it. */
static uint64_t *notes;

void reconnect_start(void)
{
    notes = kernel_map(DESCRIPTORS * sizeof *notes);
}

static bool has_note(int fd)
{
    return notes != NULL && (unsigned)fd < DESCRIPTORS;
}

static uint64_t add_note_bits(int fd, uint64_t bits)
{
    return __atomic_fetch_or(&notes[fd], bits, __ATOMIC_RELAXED);
}

static bool is_noted(int fd, uint64_t bit)
{
    return has_note(fd) && (__atomic_load_n(&notes[fd], __ATOMIC_RELAXED) & bit) != 0;
}

void reconnect_note_at_home(int fd)
{
    if (has_note(fd) && !is_noted(fd, AT_HOME))
        add_note_bits(fd, AT_HOME);
}

bool reconnect_is_at_home(int fd)
{
    return is_noted(fd, AT_HOME);
}

void reconnect_note_accepts_tcp(int fd)
{
    if (has_note(fd))
        add_note_bits(fd, ACCEPTS);
}

bool reconnect_accepts_tcp(int fd)
{
    return is_noted(fd, ACCEPTS);
}

void reconnect_note_transport(int fd)
{
    if (has_note(fd))
        add_note_bits(fd, TRANSPORT);
}

bool reconnect_has_transport(int fd)
{
    return is_noted(fd, TRANSPORT);
}

bool reconnect_note(int fd)
{
    return !has_note(fd) || (add_note_bits(fd, CONNECTED) & CONNECTED) != 0;
}

bool reconnect_note_reported(int fd)
{
    if (!has_note(fd) || (__atomic_load_n(&notes[fd], __ATOMIC_RELAXED) & REPORTED) != 0)
        return true;
    return (add_note_bits(fd, REPORTED) & REPORTED) != 0;
}

void reconnect_note_given(int fd, uint32_t given)
{
    if (has_note(fd))
        add_note_bits(fd, given);
}

void reconnect_note_own(int fd, const struct policy *policy, uint32_t option)
{
    if (has_note(fd))
        add_note_bits(fd, (uint64_t)undo_bit_of_option(policy, option) << OWN_SHIFT);
}

struct undo_notes reconnect_notes(int fd)
{
    uint64_t word = has_note(fd) ? __atomic_load_n(&notes[fd], __ATOMIC_RELAXED) : 0;
    return (struct undo_notes){.given = (uint32_t)(word & GIVEN_MASK),
                               .own = (uint32_t)(word >> OWN_SHIFT & GIVEN_MASK)};
}

void reconnect_forget(int fd)
{
    if (has_note(fd) && __atomic_load_n(&notes[fd], __ATOMIC_RELAXED) != 0)
        __atomic_store_n(&notes[fd], 0, __ATOMIC_RELAXED);
}
