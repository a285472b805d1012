/* SPDX-License-Identifier: MIT */
/*
 * The settings and criteria of the rule for each verdict, and the check of that rule.
 */
#include "proposals.h"
#include "names.h"
#include "rules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG_LEAST 1024u
#define SETTINGS_SIZE 512u
#define PLAIN_LEAST   2u /* minimum number of plain characters left of a name */

/* Settings: each function writes them, or the reason why there are none */

struct proposal_text {
    char *settings, *reason;
};

#define SETTINGS(...) snprintf(text->settings, SETTINGS_SIZE, __VA_ARGS__)
#define REASON(...)   snprintf(text->reason, PROPOSAL_SIZE, __VA_ARGS__)
#define PROPOSAL(id)                                                                               \
    static void proposal_##id(const struct advise_finding *finding,                                \
                              const struct advise_sysctls *sysctls, struct proposal_text *text)
#define UNUSED (void)finding, (void)sysctls

PROPOSAL(nagle)
{
    UNUSED;
    SETTINGS("set   = { TCP_NODELAY = true; };");
}

/* A buffer that the program has sized is best left to the kernel's autotuning. */
static void ignore_buffer(const struct advise_cell *cell, const char *option, const char *sysctl,
                          struct proposal_text *text)
{
    if (cell->locked > 0)
        SETTINGS("ignore = [ \"%s\" ];", option);
    else if (cell->unlocked > 0)
        REASON("the program leaves this buffer to the kernel: raise the last number of sysctl %s",
               sysctl);
    else
        REASON("it could not be seen who sized this buffer: advise needs the permission to inspect "
               "the process");
}

PROPOSAL(receive_window)
{
    UNUSED;
    ignore_buffer(&finding->cell, "SO_RCVBUF", "net.ipv4.tcp_rmem", text);
}

PROPOSAL(slow_reader)
{
    UNUSED;
    REASON("the program itself is the limit");
}

PROPOSAL(peer_window)
{
    UNUSED;
    REASON("the limit is at the other end");
}

PROPOSAL(send_buffer)
{
    UNUSED;
    ignore_buffer(&finding->cell, "SO_SNDBUF", "net.ipv4.tcp_wmem", text);
}

PROPOSAL(loss_without_queue)
{
    UNUSED;
    REASON("which congestion control is better depends on the path: compare them");
}

PROPOSAL(loss_with_queue)
{
    UNUSED;
    REASON("the right rate depends on the path and on who shares it");
}

PROPOSAL(dead_man)
{
    UNUSED;
    SETTINGS("set   = { SO_KEEPALIVE  = true;\n"
             "              TCP_KEEPIDLE  = \"2min\";\n"
             "              TCP_KEEPINTVL = \"20s\";\n"
             "              TCP_KEEPCNT   = 6; };");
}

PROPOSAL(stuck)
{
    UNUSED;
    SETTINGS("set   = { TCP_USER_TIMEOUT = \"30s\"; };");
}

PROPOSAL(accept_overflow)
{
    uint32_t backlog = 4 * finding->cell.queue_limit;
    if (finding->cell.queue_limit >= sysctls->somaxconn) {
        REASON("the backlog is as large as sysctl net.core.somaxconn, %u, allows: raise that first",
               sysctls->somaxconn);
        return;
    }
    if (backlog < BACKLOG_LEAST)
        backlog = BACKLOG_LEAST;
    SETTINGS("at_least = { backlog = %u; };",
             backlog < sysctls->somaxconn ? backlog : sysctls->somaxconn);
}

/* The kernel doubles the value that is set. */
PROPOSAL(udp_drops)
{
    uint32_t now = finding->cell.receive_buffer;
    uint32_t wanted = now < sysctls->rmem_max / 2 ? 2 * now : sysctls->rmem_max;
    if (now / 2 >= sysctls->rmem_max) {
        REASON("the buffer is as large as sysctl net.core.rmem_max, %u, allows: raise that first",
               sysctls->rmem_max);
        return;
    }
    SETTINGS("%s = { SO_RCVBUF = %u; };", finding->cell.unlocked > 0 ? "set  " : "force", wanted);
}

typedef void proposal_write(const struct advise_finding *finding,
                            const struct advise_sysctls *sysctls, struct proposal_text *text);

static proposal_write *const writers[VERDICT_COUNT] = {
#define VERDICT(id, ...) [VERDICT_##id] = proposal_##id,
#include "verdicts.def"
};

/* Criteria */

bool proposals_glob(const char *name, bool cut, char *glob, size_t size)
{
    size_t used = 0, plain = 0;
    const char *at = name;
    for (; *at != '\0' && used + 2 < size; at++) {
        bool is_word = isascii((unsigned char)*at) && isalnum((unsigned char)*at);
        bool is_plain = is_word || strchr("._+-", *at) != NULL;
        plain += is_word;
        if (is_plain)
            glob[used++] = *at;
        else
            glob[used++] = '?';
    }
    if (cut || *at != '\0')
        glob[used++] = '*';
    glob[used] = '\0';
    return plain >= PLAIN_LEAST || (plain > 0 && plain == strlen(name));
}

static bool write_program(const struct advise_process *process, char *text, size_t size)
{
    char program[80], script[80];
    if (!proposals_glob(process->program, process->cut, program, sizeof program))
        return false;
    if (process->script == NULL) {
        snprintf(text, size, "program = \"%s\";", program);
        return true;
    }
    if (!proposals_glob(process->script, false, script, sizeof script))
        return false;
    snprintf(text, size, "program = \"%s\"; script = \"%s\";", program, script);
    return true;
}

/* Writes " remote = ..." for the addresses that all connections have in common; "" if they differ
 * too much. */
static void write_remote(const struct advise_group *group, char *text, size_t size)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool v4 = memcmp(group->remote, mapped, sizeof mapped) == 0;
    unsigned bits = v4 && group->remote_bits >= 96 ? group->remote_bits - 96 : group->remote_bits;
    unsigned whole = v4 ? 32 : 128, network = v4 ? 24 : 64;
    char address[FLOW_ADDRESS_SIZE];
    uint8_t prefix[16];
    text[0] = '\0';
    if (bits < network || (v4 && group->remote_bits < 96))
        return;
    memcpy(prefix, group->remote, sizeof prefix);
    for (unsigned i = 0; bits < whole && i < whole - network; i++)
        prefix[15 - i / 8] &= (uint8_t) ~(1u << i % 8);
    flow_format_address(prefix, v4 ? AF_INET : AF_INET6, address);
    if (bits == whole)
        snprintf(text, size, "remote = \"%s\"; ", address);
    else
        snprintf(text, size, "remote = \"%s/%u\"; ", address, network);
}

/* Writes the criteria of a rule. An `ignore` must be decided before the socket is connected, and a
 * datagram socket may never be connected. */
static void write_criteria(const struct advise_finding *finding, bool ignoring, char *text,
                           size_t size)
{
    const struct advise_group *group = finding->group;
    bool connects = group->role == ROLE_CONNECT;
    char remote[FLOW_ADDRESS_SIZE + 32] = "", port[48] = "";
    if (connects && !ignoring && !finding->scattered)
        write_remote(group, remote, sizeof remote);
    if (finding->port != 0 && !(connects && ignoring))
        snprintf(port, sizeof port, "%s = %u; ", connects ? "remote_port" : "local_port",
                 finding->port);
    snprintf(text, size, "role = \"%s\"; %s%s%s", name_of_bits(group->role, role_names),
             group->role == ROLE_DATAGRAM ? "protocol = \"udp\"; " : "", port, remote);
}

/* The whole rule */

static void note_complaint(void *context, enum severity severity, struct location at,
                           const char *message)
{
    struct advise_proposal *proposal = context;
    (void)at;
    if (severity == SEVERITY_ERROR)
        snprintf(proposal->reason, sizeof proposal->reason,
                 "rules cannot set this; change it in the program's own settings");
    else
        snprintf(proposal->reason, sizeof proposal->reason, "a rule would not do: %s", message);
}

/* Checks the rule as for a program without privileges. */
static bool is_clean(struct advise_proposal *proposal)
{
    struct diagnostics diagnostics = {.report = note_complaint, .context = proposal};
    const struct check_context context = {.privileged = false};
    char text[PROPOSAL_SIZE + 32];
    struct ruleset *ruleset;
    snprintf(text, sizeof text, "rules = (\n%s\n);\n", proposal->rule);
    ruleset = ruleset_read_text(text, "advice", &diagnostics);
    if (ruleset != NULL && diagnostics.errors == 0)
        ruleset_check(ruleset, &context, &diagnostics);
    if (ruleset == NULL)
        return false;
    ruleset_free(ruleset);
    return diagnostics.errors == 0 && diagnostics.warnings == 0;
}

void proposals_make(const struct advise_finding *finding, const struct advise_sysctls *sysctls,
                    struct advise_proposal *proposal)
{
    char settings[SETTINGS_SIZE] = "", program[256], criteria[256];
    struct proposal_text text = {.settings = settings};
    *proposal = (struct advise_proposal){{0}, {0}};
    text.reason = proposal->reason;
    writers[finding->verdict](finding, sysctls, &text);
    if (settings[0] == '\0')
        return;
    if (!write_program(finding->group->process, program, sizeof program)) {
        snprintf(proposal->reason, sizeof proposal->reason,
                 "the name of the program cannot be written in a rule");
        return;
    }
    write_criteria(finding, strncmp(settings, "ignore", 6) == 0, criteria, sizeof criteria);
    snprintf(proposal->rule, sizeof proposal->rule,
             "  { name  = \"%s\";\n    match = { %s\n              %s};\n    %s }", finding->id,
             program, criteria, settings);
    if (!is_clean(proposal))
        proposal->rule[0] = '\0';
}
