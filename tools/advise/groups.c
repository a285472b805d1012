/* SPDX-License-Identifier: MIT */
/*
 * Groups, and their findings.
 */
#include "groups.h"
#include "policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORTS_MOST      4u /* groups that differ in more ports than this become one finding */
#define EPHEMERAL_FIRST 32768u

/* Groups */

/* The port of a datagram socket that was not bound is different next time. */
static uint16_t port_of(const struct advise_subject *subject)
{
    if ((subject->role & ROLE_CONNECT) != 0)
        return subject->flow->remote_port;
    if ((subject->role & ROLE_DATAGRAM) != 0 && subject->flow->local_port >= EPHEMERAL_FIRST)
        return 0;
    return subject->flow->local_port;
}

static char *make_key(const struct advise_subject *subject, uint16_t port)
{
    const char *script = subject->process->script;
    char *key;
    if (asprintf(&key, "%s/%s/%u/%u", subject->process->program, script != NULL ? script : "",
                 subject->role, port) < 0)
        return NULL;
    return key;
}

static struct advise_group *find_group(struct advise_groups *groups,
                                       const struct advise_subject *subject)
{
    uint16_t port = port_of(subject);
    char *key = make_key(subject, port);
    struct advise_group *group = NULL;
    if (key == NULL)
        return NULL;
    HASH_FIND(handle, groups->by_key, key, strlen(key), group);
    if (group != NULL) {
        free(key);
        return group;
    }
    group = calloc(1, sizeof *group);
    if (group == NULL) {
        free(key);
        return NULL;
    }
    group->key = key;
    group->process = subject->process;
    group->role = subject->role;
    group->port = port;
    memcpy(group->remote, subject->flow->remote, sizeof group->remote);
    group->remote_bits = 128;
    HASH_ADD_KEYPTR(handle, groups->by_key, group->key, strlen(group->key), group);
    return group;
}

static unsigned common_bits(const uint8_t *a, const uint8_t *b, unsigned most)
{
    unsigned bits = 0;
    while (bits < most && ((a[bits / 8] ^ b[bits / 8]) >> (7 - bits % 8) & 1) == 0)
        bits++;
    return bits;
}

static void note_name(struct advise_cell *cell, enum advise_verdict_id verdict,
                      const struct advise_evidence *own, double figure)
{
    bool sending = verdict == VERDICT_send_buffer;
    double seconds = own->last - own->first;
    cell->sockets++;
    if (figure > cell->figure)
        cell->figure = figure;
    if (own->samples > cell->samples)
        cell->samples = own->samples;
    if (seconds > cell->seconds)
        cell->seconds = seconds;
    if (own->options.known && (sending ? own->options.send_locked : own->options.receive_locked))
        cell->locked++;
    else if (own->options.known)
        cell->unlocked++;
    if (own->now.receive_buffer > cell->receive_buffer)
        cell->receive_buffer = own->now.receive_buffer;
    if (own->now.send_buffer > cell->send_buffer)
        cell->send_buffer = own->now.send_buffer;
    if (own->kind == ADVISE_LISTENER && own->now.send_queue > cell->queue_limit)
        cell->queue_limit = own->now.send_queue;
}

/* Returns true if any verdict holds. */
static bool ask_all(struct advise_groups *groups, struct advise_group *group,
                    const struct advise_view *view, uint32_t sockets)
{
    bool any = false;
    for (unsigned id = 0; id < VERDICT_COUNT; id++) {
        double figure = 0, lacking = 0;
        enum verdict_answer answer = (groups->skipped >> id & 1) != 0
                                         ? VERDICT_NO
                                         : verdict_ask(id, view, &figure, &lacking);
        if (answer == VERDICT_YES) {
            note_name(&group->cells[id], id, view->own, figure);
            group->cells[id].sockets += sockets - 1;
            any = true;
        } else if (answer == VERDICT_NOT_YET &&
                   (groups->lacking == 0 || lacking < groups->lacking)) {
            groups->lacking = lacking;
        }
    }
    return any;
}

int groups_add(struct advise_groups *groups, const struct advise_subject *subject)
{
    struct advise_group *group = find_group(groups, subject);
    double lacking = groups->lacking;
    if (group == NULL)
        return -1;
    group->sockets++;
    group->remote_bits = common_bits(group->remote, subject->flow->remote, group->remote_bits);
    if (ask_all(groups, group, &subject->view, 1) || !subject->ended)
        return 0;
    groups->lacking = lacking; /* it has ended: no more samples will come */
    if (subject->view.own->kind == ADVISE_CONNECTION) {
        evidence_merge(&group->short_lived, subject->view.own);
        group->ended++;
    }
    return 0;
}

void groups_finish(struct advise_groups *groups, double idle_least)
{
    struct advise_group *group, *next;
    HASH_ITER(handle, groups->by_key, group, next)
    {
        const struct advise_view view = {.own = &group->short_lived, .idle_least = idle_least};
        /* Durations of single connections are no evidence for many. */
        group->short_lived.state = 0;
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        if (group->ended > 0)
            ask_all(groups, group, &view, group->ended);
    }
}

void groups_free(struct advise_groups *groups)
{
    struct advise_group *group, *next;
    HASH_ITER(handle, groups->by_key, group, next)
    {
        HASH_DELETE(handle, groups->by_key, group); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(group->key);
        free(group);
    }
}

/* Findings */

/* FNV-1a of everything that is equal in each run. */
static void make_id(struct advise_finding *finding)
{
    const struct advise_process *process = finding->group->process;
    char scope[32];
    const char *const parts[] = {process->program, process->script != NULL ? process->script : "",
                                 advise_verdicts[finding->verdict].name, scope};
    uint32_t hash = 2166136261u;
    snprintf(scope, sizeof scope, "%u:%u", finding->group->role, finding->port);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const char *at = parts[i];; at++) {
            hash = (hash ^ (unsigned char)*at) * 16777619u;
            if (*at == '\0')
                break;
        }
    snprintf(finding->id, sizeof finding->id, "%s-%08x", advise_verdicts[finding->verdict].name,
             hash);
}

/* True for the same program, script and role. */
static bool is_alike(const struct advise_group *a, const struct advise_group *b)
{
    const char *script = a->process->script, *other = b->process->script;
    return a->role == b->role && strcmp(a->process->program, b->process->program) == 0 &&
           strcmp(script != NULL ? script : "", other != NULL ? other : "") == 0;
}

static int by_program_and_verdict(const void *left, const void *right)
{
    const struct advise_finding *a = left, *b = right;
    const char *script = a->group->process->script, *other = b->group->process->script;
    int order = strcmp(a->group->process->program, b->group->process->program);
    if (order == 0)
        order = strcmp(script != NULL ? script : "", other != NULL ? other : "");
    if (order == 0 && a->verdict != b->verdict)
        order = a->verdict < b->verdict ? -1 : 1;
    if (order == 0 && a->group->role != b->group->role)
        order = a->group->role < b->group->role ? -1 : 1;
    if (order == 0)
        order = (a->port > b->port) - (a->port < b->port);
    return order;
}

static void add_cell(struct advise_cell *to, const struct advise_cell *from)
{
    to->sockets += from->sockets;
    to->locked += from->locked;
    to->unlocked += from->unlocked;
#define LARGER(member) to->member = from->member > to->member ? from->member : to->member
    LARGER(figure);
    LARGER(samples);
    LARGER(seconds);
    LARGER(receive_buffer);
    LARGER(send_buffer);
    LARGER(queue_limit);
#undef LARGER
}

/* Merges findings that differ only in the port, if there are many. Returns how many are left. */
static size_t gather_groups(struct advise_finding *findings, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0, run; i < count; i += run) {
        for (run = 1; i + run < count && findings[i].verdict == findings[i + run].verdict &&
                      is_alike(findings[i].group, findings[i + run].group);)
            run++;
        if (run <= PORTS_MOST) {
            memmove(&findings[kept], &findings[i], run * sizeof *findings);
            kept += run;
            continue;
        }
        findings[kept] = findings[i];
        findings[kept].port = 0;
        findings[kept].scattered = true;
        for (size_t k = 1; k < run; k++) {
            add_cell(&findings[kept].cell, &findings[i + k].cell);
            findings[kept].of += findings[i + k].of;
        }
        kept++;
    }
    return kept;
}

/* Returns the number of findings. */
static size_t list_cells(const struct advise_group *group, struct advise_finding *findings)
{
    size_t count = 0;
    for (unsigned id = 0; id < VERDICT_COUNT; id++)
        if (group->cells[id].sockets > 0)
            findings[count++] = (struct advise_finding){.verdict = id,
                                                        .group = group,
                                                        .cell = group->cells[id],
                                                        .of = group->sockets,
                                                        .port = group->port};
    return count;
}

struct advise_finding *groups_findings(const struct advise_groups *groups, size_t *count)
{
    size_t room = HASH_CNT(handle, groups->by_key) * VERDICT_COUNT;
    struct advise_finding *findings = room != 0 ? calloc(room, sizeof *findings) : NULL;
    struct advise_group *group, *next;
    *count = 0;
    errno = room != 0 ? ENOMEM : 0;
    if (findings == NULL)
        return NULL;
    HASH_ITER(handle, groups->by_key, group, next)
    {
        /* cppcheck-suppress uninitvar ; HASH_ITER sets it */
        *count += list_cells(group, findings + *count);
    }
    qsort(findings, *count, sizeof *findings, by_program_and_verdict);
    *count = gather_groups(findings, *count);
    for (size_t i = 0; i < *count; i++)
        make_id(&findings[i]);
    return findings;
}
