/* SPDX-License-Identifier: MIT */
/*
 * Each option is tried with the value of a new socket, and with the smallest and the largest value
 * that rules may give.
 */
#include "attach_support.h"
#include "option.h"
#include "sockinfo.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VALUES_TRIED = 3 }; /* the socket's own, the smallest and the largest */

static void trials_of(const struct option *option, struct attach_trial trials[VALUES_TRIED])
{
    int fd = socket(option->families & FAMILY_INET ? AF_INET : AF_INET6, SOCK_STREAM, 0);
    const int32_t bounds[] = {(int32_t)option->min,
                              option->max < INT32_MAX ? (int32_t)option->max : INT32_MAX};
    for (unsigned i = 0; i < VALUES_TRIED; i++)
        trials[i] = (struct attach_trial){.level = option->level, .optname = option->optname};
    socklen_t length = option->kind == KIND_RATE ? sizeof(int) : sizeof trials->value;
    if (fd >= 0 && getsockopt(fd, option->level, option->optname, trials[0].value, &length) == 0)
        trials[0].length = length > 0 ? length : 1;
    if (fd >= 0)
        close(fd);
    for (unsigned i = 1; i < VALUES_TRIED && option->kind != KIND_STRING; i++) {
        memcpy(trials[i].value, &bounds[i - 1], sizeof bounds[0]);
        trials[i].length = sizeof bounds[0];
    }
}

static bool was_taken(const struct attach_trial *trials, unsigned family)
{
    for (unsigned i = 0; i < VALUES_TRIED; i++)
        if (trials[i].length > 0 && trials[i].result[family] == 0)
            return true;
    return false;
}

static bool can_be_probed(const struct option *option)
{
    return option->level != LEVEL_SOCKTUNE && (option->families & FAMILY_IP) != 0;
}

/* Options that BPF applies by other means than setting them. It cannot apply socktune's own options
 * for socket() and listen(), or options of AF_UNIX sockets. */
static struct attach_support support_unprobed(const struct option *option,
                                              const struct attach_support *supports)
{
    size_t count;
    const struct option *table = option_table(&count);
    const struct option *tos = option_find_number(IPPROTO_IP, IP_TOS);
    const struct option *class = option_find_number(IPPROTO_IPV6, IPV6_TCLASS);
    bool source = option->level == LEVEL_SOCKTUNE && option->optname == SOCKTUNE_SOURCE;
    bool dscp = option->level == LEVEL_SOCKTUNE && option->optname == SOCKTUNE_DSCP;
    return (struct attach_support){.known = true,
                                   .v4 = source || (dscp && supports[tos - table].v4),
                                   .v6 = source || (dscp && supports[class - table].v6)};
}

struct attach_support *attach_support_probe(struct attach_error *error)
{
    size_t count;
    const struct option *table = option_table(&count);
    struct attach_trial *trials = calloc(count * VALUES_TRIED, sizeof *trials);
    struct attach_support *supports = calloc(count, sizeof *supports);
    bool tried = false;
    if (trials == NULL || supports == NULL)
        attach_fail(error, "%s", strerror(errno));
    for (size_t i = 0; trials != NULL && i < count; i++)
        if (can_be_probed(&table[i]))
            trials_of(&table[i], &trials[i * VALUES_TRIED]);
    if (trials != NULL && supports != NULL)
        tried = attach_try(trials, (uint32_t)count * VALUES_TRIED, error) == 0;
    for (size_t i = 0; tried && i < count; i++) {
        const struct attach_trial *own = &trials[i * VALUES_TRIED];
        supports[i] = (struct attach_support){
            .known = can_be_probed(&table[i]),
            .v4 = (table[i].families & FAMILY_INET) != 0 && was_taken(own, 0),
            .v6 = (table[i].families & FAMILY_INET6) != 0 && was_taken(own, 1)};
    }
    for (size_t i = 0; tried && i < count; i++)
        if (!supports[i].known)
            supports[i] = support_unprobed(&table[i], supports);
    free(trials);
    if (tried)
        return supports;
    free(supports);
    return NULL;
}

const char *attach_support_text(const struct attach_support *support)
{
    if (!support->known)
        return "-";
    if (support->v4 && support->v6)
        return "yes";
    return support->v4 ? "IPv4 only" : support->v6 ? "IPv6 only" : "no";
}
