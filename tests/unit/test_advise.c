/* SPDX-License-Identifier: MIT */
/*
 * The verdicts of advise: each condition and each control that was measured, over an emulated link
 * with a round-trip time of 50 ms or over loopback, rebuilt from the measured shares of samples.
 */
#include "groups.h"
#include "policy.h"
#include "proposals.h"
#include "sock_diag.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LOOKS 100u

/* The measurements of one condition, in per cent of the samples, or in ms. */
struct condition {
    const char *what;
    double busy, window_limited, nagle, filled, full, unread, crammed;
    double rtt, least_rtt, resent;
    unsigned segment;              /* mean bytes per segment */
    const char *sender, *receiver; /* the verdicts, separated by a space; "": none */
};

/* clang-format off */
static const struct condition conditions[] = {
    {"one write a request",           56,  0,   0,  0,  0,  6,  0, 0.03, 0.01,  0,    100, "", ""},
    {"write-write-read, loopback",   100,  0, 100,  0,  0,  0,  0, 20.5, 0.01,  0,    100, "nagle", ""},
    {"the same with TCP_NODELAY",     51,  0,   0,  0,  0,  5,  0, 0.03, 0.01,  0,    100, "", ""},
    {"server thinks for 40 ms",        0,  0,   0,  0,  0,  0,  0, 0,    0,     0,    100, "", ""},
    {"RTT 50, one write",            100,  0,   0,  0,  0,  0,  0, 50,   50,    0,    100, "", ""},
    {"RTT 50, write-write-read",     100,  0,  64,  0,  0,  0,  0, 70,   50,    0,    100, "nagle", ""},
    {"bulk, autotuned",              100,  0,   0,  2,  0, 41, 10, 87,   50,    0,   1448, "", ""},
    {"SO_RCVBUF 64K",                100, 95,   0,  0,  0,  7,  0, 50,   50,    0,   1448, "", "receive-window"},
    {"reader too slow",              100, 95,   0,  0,  0, 98, 90, 60,   50,    0,   1448, "", "slow-reader"},
    {"SO_SNDBUF 64K",                100,  1,   0, 39, 37, 32,  5, 54,   50,    0,   1448, "send-buffer", ""},
    {"SO_SNDBUF 16K",                100,  1,   0, 89, 85, 32,  5, 54,   50,    0,   1448, "send-buffer", ""},
    {"32 KiB each 20 ms",            100,  0,   0, 70,  0,  1,  0, 50,   50,    0,   1448, "", ""},
    {"1 % loss, reno",               100,  0,   0,  0,  0,  1,  0, 52,   50,    1,   1448, "loss-without-queue", ""},
    {"1 % loss, bbr",                100,  3,   0,  0,  0,  1,  0, 57,   50,    1,   1448, "loss-without-queue", ""},
    {"20 Mbit/s and a deep queue",   100,  0,   0,  0,  0,  4,  0, 650,  51, 12.8,   1448, "loss-with-queue", ""},
};
/* clang-format on */

/* True for `share` per cent of the samples, evenly spread. */
static bool falls(double share, unsigned look)
{
    return (unsigned)((look + 1) * share / 100 + 1e-9) > (unsigned)(look * share / 100 + 1e-9);
}

static struct advise_sample sample_of(const struct condition *condition, unsigned look)
{
    bool busy = falls(condition->busy, look), held = falls(condition->nagle, look);
    bool filled = falls(condition->filled, look), full = falls(condition->full, look);
    struct advise_sample sample = {.kind = ADVISE_CONNECTION,
                                   .when = look / 10.0,
                                   .state = 1,
                                   .receive_buffer = 131072,
                                   .send_buffer = 65536,
                                   .has_info = true,
                                   .mss = 1448,
                                   .window = 100,
                                   .unacked = busy ? 10 : 0,
                                   .not_sent = held                       ? 100
                                               : busy && !filled && !full ? 20000
                                                                          : 0,
                                   .send_memory = full     ? 70000
                                                  : filled ? 60000
                                                           : 20000,
                                   .rtt = (uint32_t)(condition->rtt * 1000),
                                   .least_rtt = (uint32_t)(condition->least_rtt * 1000),
                                   .acked = look};
    uint64_t sent = 1000000ull * (look + 1);
    if (condition->segment < 1448 && !held)
        sample.not_sent = 0;
    sample.receive_queue = falls(condition->unread, look) ? 5000 : 0;
    sample.receive_memory = falls(condition->crammed, look) ? 120000 : sample.receive_queue;
    sample.counters = (struct advise_counters){
        .busy = (uint64_t)(look * 1e5 * condition->busy / 100),
        .limited = (uint64_t)(look * 1e5 * condition->busy / 100 * condition->window_limited / 100),
        .sent = sent,
        .resent = (uint64_t)((double)sent * condition->resent / 100),
        .received = sent,
        .segments = sent / condition->segment};
    return sample;
}

/* The other end: it sends nothing and has the receive queue. */
static struct advise_sample receiving(struct advise_sample sample)
{
    sample.unacked = sample.not_sent = 0;
    sample.counters = (struct advise_counters){.received = sample.counters.sent};
    sample.send_memory = 0;
    return sample;
}

static struct advise_sample sending(struct advise_sample sample)
{
    sample.receive_queue = sample.receive_memory = 0;
    return sample;
}

/* The names of the verdicts that hold, separated by spaces. */
static void verdicts_of(const struct advise_view *view, char *text, size_t size)
{
    text[0] = '\0';
    for (unsigned id = 0; id < VERDICT_COUNT; id++) {
        double figure, lacking;
        if (verdict_ask(id, view, &figure, &lacking) != VERDICT_YES)
            continue;
        snprintf(text + strlen(text), size - strlen(text), "%s%s", text[0] != '\0' ? " " : "",
                 advise_verdicts[id].name);
    }
}

static void watch(const struct condition *condition, unsigned looks, struct advise_evidence *sender,
                  struct advise_evidence *receiver)
{
    *sender = *receiver = (struct advise_evidence){0};
    for (unsigned look = 0; look < looks; look++) {
        struct advise_sample sample = sample_of(condition, look);
        struct advise_sample one = sending(sample), other = receiving(sample);
        evidence_add(sender, &one, false);
        evidence_add(receiver, &other, false);
    }
}

Test(advise, each_measured_condition_has_its_verdict_and_no_other)
{
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        const struct condition *condition = &conditions[i];
        struct advise_evidence sender, receiver;
        char told[128];
        watch(condition, LOOKS, &sender, &receiver);
        verdicts_of(&(struct advise_view){&sender, &receiver, true, 0, 60}, told, sizeof told);
        cr_expect_str_eq(told, condition->sender, "%s: the sender is told \"%s\"", condition->what,
                         told);
        verdicts_of(&(struct advise_view){&receiver, &sender, true, 0, 60}, told, sizeof told);
        cr_expect_str_eq(told, condition->receiver, "%s: the receiver is told \"%s\"",
                         condition->what, told);
    }
}

Test(advise, a_sender_alone_is_told_that_the_limit_is_elsewhere)
{
    struct advise_evidence sender, receiver;
    char told[128];
    watch(&conditions[7], LOOKS, &sender, &receiver);
    verdicts_of(&(struct advise_view){&sender, NULL, false, 0, 60}, told, sizeof told);
    cr_expect_str_eq(told, "peer-window");
}

Test(advise, too_few_samples_give_no_verdict_but_a_time_to_watch)
{
    struct advise_evidence sender, receiver;
    double figure, lacking = 0;
    watch(&conditions[1], 10, &sender, &receiver);
    cr_expect_eq(verdict_ask(VERDICT_nagle, &(struct advise_view){&sender, NULL, false, 0, 60},
                             &figure, &lacking),
                 VERDICT_NOT_YET);
    cr_expect(lacking > 0.4 && lacking < 0.6, "%f", lacking);
}

Test(advise, options_that_the_program_has_set_silence_a_verdict)
{
    struct advise_evidence sender, receiver;
    const struct advise_view view = {&sender, NULL, false, 0, 60};
    char told[128];
    watch(&conditions[1], LOOKS, &sender, &receiver);
    sender.options = (struct advise_options){.known = true, .nodelay = true};
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "");
    sender.options = (struct advise_options){.known = true, .cork = true};
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "");
}

/* The kernel enlarges a send buffer whose size the program has not set, up to a limit. */
Test(advise, a_send_buffer_that_may_grow_is_no_limit)
{
    struct advise_evidence sender, receiver;
    struct advise_view view = {.own = &sender, .send_most = 4 << 20};
    char told[128];
    watch(&conditions[9], LOOKS, &sender, &receiver);
    sender.options = (struct advise_options){.known = true};
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "");
    sender.options.send_locked = true;
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "send-buffer");
    sender.options.send_locked = false;
    view.send_most = sender.now.send_buffer;
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "send-buffer");
}

Test(advise, a_stream_in_one_direction_may_be_coalesced)
{
    struct advise_evidence evidence = {0};
    char told[128];
    for (unsigned look = 0; look < LOOKS; look++) {
        struct advise_sample sample = sample_of(&conditions[1], look);
        sample.counters.received = 0;
        evidence_add(&evidence, &sample, false);
    }
    verdicts_of(&(struct advise_view){&evidence, NULL, false, 0, 60}, told, sizeof told);
    cr_expect_str_eq(told, "");
}

/* Idle and stuck connections */

/* Twenty samples of an idle connection. */
static struct advise_evidence unchanged(struct advise_sample sample)
{
    struct advise_evidence evidence = {0};
    sample.kind = ADVISE_CONNECTION;
    sample.state = 1;
    sample.has_info = true;
    sample.mss = 1448;
    for (unsigned look = 0; look < 20; look++) {
        sample.when = look / 10.0;
        evidence_add(&evidence, &sample, false);
        sample.since_sent += 100;
        sample.since_received += 100;
    }
    return evidence;
}

static struct advise_evidence idle(uint32_t milliseconds, unsigned timer)
{
    return unchanged((struct advise_sample){.timer = timer,
                                            .window = 10,
                                            .since_sent = milliseconds,
                                            .since_received = milliseconds + 5000});
}

Test(advise, an_idle_connection_needs_keepalive)
{
    struct advise_evidence evidence = idle(120000, SOCK_DIAG_TIMER_NONE);
    const struct advise_view view = {&evidence, NULL, false, 0, 60};
    double figure, lacking;
    char told[128];
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "dead-man");
    evidence.options = (struct advise_options){.known = true, .keepalive = true};
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "");
    evidence = idle(120000, SOCK_DIAG_TIMER_KEEPALIVE);
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "");
    evidence = idle(20000, SOCK_DIAG_TIMER_NONE);
    cr_expect_eq(verdict_ask(VERDICT_dead_man, &view, &figure, &lacking), VERDICT_NOT_YET);
    cr_expect(lacking > 35 && lacking < 41, "%f", lacking);
}

static struct advise_evidence unanswered(uint32_t backoff)
{
    return unchanged((struct advise_sample){.timer = SOCK_DIAG_TIMER_RETRANSMIT,
                                            .window = 1,
                                            .unacked = 1,
                                            .rto = 200000u << backoff,
                                            .backoff = backoff,
                                            .since_acked = 3600000});
}

Test(advise, a_peer_that_does_not_answer_needs_a_user_timeout)
{
    struct advise_evidence evidence = unanswered(6); /* 12.6 s, although idle for an hour before */
    const struct advise_view view = {&evidence, NULL, false, 0, 60};
    double figure = 0, lacking;
    char told[128];
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "stuck");
    cr_expect_eq(verdict_ask(VERDICT_stuck, &view, &figure, &lacking), VERDICT_YES);
    cr_expect(figure > 12.5 && figure < 12.7, "%f", figure);
    evidence.options = (struct advise_options){.known = true, .user_timeout = 30000};
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "");
    evidence = unanswered(1);
    verdicts_of(&view, told, sizeof told);
    cr_expect_str_eq(told, "");
}

/* Drops */

static struct advise_evidence dropping(enum advise_kind kind, uint32_t fill, uint32_t drops)
{
    struct advise_evidence evidence = {0};
    for (unsigned look = 0; look < 20; look++)
        evidence_add(&evidence,
                     &(struct advise_sample){.kind = kind,
                                             .when = look / 10.0,
                                             .receive_queue = fill,
                                             .send_queue = 5,
                                             .receive_memory = fill * 40000,
                                             .receive_buffer = 212992,
                                             .drops = 1000 + (look == 19 ? drops : 0)},
                     false);
    return evidence;
}

Test(advise, drops_count_while_we_watch)
{
    static const struct {
        enum advise_kind kind;
        uint32_t fill, drops;
        const char *told;
    } rows[] = {{ADVISE_LISTENER, 6, 3, "accept-overflow"},
                {ADVISE_LISTENER, 6, 0, ""},
                {ADVISE_LISTENER, 1, 3, ""},
                {ADVISE_DATAGRAM, 5, 3, "udp-drops"},
                {ADVISE_DATAGRAM, 5, 0, ""},
                {ADVISE_DATAGRAM, 1, 3, ""}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct advise_evidence evidence = dropping(rows[i].kind, rows[i].fill, rows[i].drops);
        char told[128];
        verdicts_of(&(struct advise_view){&evidence, NULL, false, 0, 60}, told, sizeof told);
        cr_expect_str_eq(told, rows[i].told, "row %zu: %s", i, told);
    }
}

/* Evidence */

Test(advise, evidence_of_several_sockets_adds_up)
{
    struct advise_evidence sender, receiver, sum = {0};
    watch(&conditions[1], 5, &sender, &receiver);
    for (unsigned i = 0; i < 4; i++)
        evidence_merge(&sum, &sender);
    cr_expect_eq(sum.samples, 20);
    cr_expect_eq(sum.held_back, 20);
    cr_expect_eq(sum.counters.received, 4 * sender.counters.received);
}

Test(advise, counters_lost_in_a_reset_are_passed_over)
{
    struct advise_evidence sender, receiver;
    uint64_t before;
    watch(&conditions[6], LOOKS, &sender, &receiver);
    before = sender.counters.sent;
    evidence_finish(&sender, &(struct advise_counters){0}, 0, 0);
    cr_expect_eq(sender.counters.sent, before);
}

Test(advise, the_syn_tells_who_connected)
{
    struct advise_sample sample = {
        .has_info = true, .state = 1, .acked = 101, .counters = {.sent = 150, .resent = 50}};
    cr_expect_eq(evidence_connected(&sample), 1);
    sample.acked = 100;
    cr_expect_eq(evidence_connected(&sample), 0);
    sample.unacked = 1;
    cr_expect_eq(evidence_connected(&sample), -1);
}

/* Groups and rules */

static struct flow flow_to(uint8_t last, uint16_t port)
{
    struct flow flow = {.family = AF_INET, .local_port = 40000, .remote_port = port};
    const uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [13] = 1, [15] = last};
    memcpy(flow.remote, address, sizeof flow.remote);
    return flow;
}

static void add_nagle(struct advise_groups *groups, struct advise_process *process, uint8_t last,
                      uint16_t port)
{
    struct advise_evidence sender, receiver;
    struct flow flow = flow_to(last, port);
    watch(&conditions[1], LOOKS, &sender, &receiver);
    cr_assert_eq(
        groups_add(groups, &(struct advise_subject){.process = process,
                                                    .flow = &flow,
                                                    .role = ROLE_CONNECT,
                                                    .view = {&sender, NULL, false, 0, 60}}),
        0);
}

static void propose(const struct advise_groups *groups, size_t expected,
                    struct advise_finding *finding, struct advise_proposal *proposal)
{
    const struct advise_sysctls limits = {4096, 212992, 4 << 20};
    size_t count;
    struct advise_finding *findings = groups_findings(groups, &count);
    cr_assert_eq(count, expected, "%zu findings", count);
    *finding = findings[0];
    proposals_make(finding, &limits, proposal);
    free(findings);
}

Test(advise, alike_connections_give_one_rule)
{
    struct advise_groups groups = {0};
    struct advise_process process = {.program = (char *)"client"};
    struct advise_finding finding;
    struct advise_proposal proposal;
    char id[32];
    add_nagle(&groups, &process, 1, 6379);
    propose(&groups, 1, &finding, &proposal);
    cr_expect_not_null(strstr(proposal.rule, "remote_port = 6379; remote = \"10.1.0.1\";"), "%s",
                       proposal.rule);
    memcpy(id, finding.id, sizeof id);
    add_nagle(&groups, &process, 7, 6379);
    propose(&groups, 1, &finding, &proposal);
    cr_expect_eq(finding.cell.sockets, 2);
    cr_expect_not_null(strstr(proposal.rule, "remote = \"10.1.0.0/24\";"), "%s", proposal.rule);
    cr_expect_str_eq(finding.id, id);
    for (uint16_t port = 7000; port < 7010; port++)
        add_nagle(&groups, &process, 1, port);
    propose(&groups, 1, &finding, &proposal);
    cr_expect_null(strstr(proposal.rule, "remote_port"), "%s", proposal.rule);
    cr_expect_eq(finding.cell.sockets, 12);
    groups_free(&groups);
}

Test(advise, no_name_can_break_out_of_a_rule)
{
    static const struct {
        const char *name, *glob;
    } rows[] = {{"nginx", "nginx"},       {"my app", "my?app"},        {"a\"; x = \"", "NONE"},
                {"x\ny\"z", "x?y?z"},     {"!bang", "?bang"},          {"a*b[c]\\d", "a?b?c??d"},
                {"\xff\xfe\xfd", "NONE"}, {"python3.11", "python3.11"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct advise_process process = {.program = (char *)rows[i].name};
        struct advise_groups groups = {0};
        struct advise_finding finding;
        struct advise_proposal proposal;
        char glob[64];
        bool some = proposals_glob(rows[i].name, false, glob, sizeof glob);
        add_nagle(&groups, &process, 1, 80);
        propose(&groups, 1, &finding, &proposal);
        cr_expect_eq(proposal.rule[0] != '\0', some, "%s: %s", rows[i].name, proposal.reason);
        if (strcmp(rows[i].glob, "NONE") != 0)
            cr_expect_str_eq(glob, rows[i].glob);
        cr_expect_null(strpbrk(glob, "\"\n\\*[{};"), "%s", glob);
        groups_free(&groups);
    }
}

Test(advise, scripts_are_found_in_command_lines)
{
    static const char *const rows[][5] = {{"python3", "-u", "/srv/app.py", NULL},
                                          {"python3", "-c", "import x", NULL},
                                          {"java", "-jar", "lib/x.jar", NULL},
                                          {"perl", "-w", "a/b.pl", NULL}};
    static const char *const scripts[] = {"app.py", NULL, "x.jar", "b.pl"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *script = watched_script(rows[i][0], (char *const *)rows[i]);
        cr_expect_eq(script == NULL, scripts[i] == NULL);
        if (script != NULL && scripts[i] != NULL)
            cr_expect_str_eq(script, scripts[i]);
    }
    cr_expect_null(watched_script("nginx", (char *const *)rows[0]));
}
