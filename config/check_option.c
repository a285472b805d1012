/* SPDX-License-Identifier: MIT */
/* Warnings peculiar to single options: one function each, found by the option's number. Those that
 * follow from the value alone are rows of hazards.def. */
#include "check.h"

#include "compat.h"
#include "host_addresses.h"
#include "relate.h"

#include <asm/socket.h>
#include <ctype.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* The value of a setting as a number in the option's own unit. */
static bool number_of(const struct setting *setting, int64_t *number)
{
    return setting != NULL && setting->option != NULL &&
           value_number(setting->option, setting->value.bytes, setting->value.length, number);
}

static int64_t sysctl_number(const struct checker *checker, const char *name, int64_t otherwise)
{
    char text[64], *end;
    int64_t number;
    read_sysctl(checker, name, text, sizeof text);
    number = strtoll(text, &end, 10);
    return end != text ? number : otherwise;
}

/* Buffers */

static void check_cap(const struct checker *checker, const struct setting *setting,
                      const char *sysctl, const char *name, const char *otherwise)
{
    int64_t most = sysctl_number(checker, sysctl, INT64_MAX), number;
    if (number_of(setting, &number) && number > most)
        warn(checker, setting->at,
             "%s = %s is above %s, %" PRId64 ", to which the kernel cuts it down: raise that%s",
             setting->option->name, setting->text, name, most, otherwise);
}

static bool speaks_tcp(const struct rule *rule)
{
    return (rule->protocols & (PROTOCOL_TCP | PROTOCOL_MPTCP)) != 0 &&
           (rule_roles(rule) & ROLE_STREAM) != 0;
}

/* The last one of the numbers in a file of sysctls; `otherwise` if there is none. */
static int64_t last_sysctl_number(const struct checker *checker, const char *name,
                                  int64_t otherwise)
{
    char text[64], *end, *rest = text;
    int64_t number = otherwise;
    read_sysctl(checker, name, text, sizeof text);
    for (int64_t next = strtoll(rest, &end, 10); end != rest; next = strtoll(rest, &end, 10)) {
        number = next;
        rest = end;
    }
    return number;
}

/* Content with a buffer as large as autotuning would make it, where SO_BUF_LOCK lets it go on, and
 * where worse has been said of the value. The kernel doubles what is set. */
static void check_autotuning(const struct checker *checker, const struct rule *rule,
                             const struct setting *setting, const char *sysctl, int64_t lock)
{
    int64_t locked, number;
    if (!speaks_tcp(rule) || is_harmful(rule, setting) ||
        (number_of(find_setting(rule, SOL_SOCKET, SO_BUF_LOCK), &locked) && (locked & lock) == 0) ||
        (number_of(setting, &number) &&
         2 * number >= last_sysctl_number(checker, sysctl, INT64_MAX)))
        return;
    warn_risk(
        checker, rule, setting->option->name, setting->at,
        "%s: it ends TCP's autotuning of this buffer, so that a fast and long path may get less "
        "than without it; SO_BUF_LOCK = \"none\" beside it lets autotuning go on from there",
        setting->option->name);
}

static void check_receive_autotuning(const struct checker *checker, const struct rule *rule,
                                     const struct setting *setting)
{
    check_autotuning(checker, rule, setting, "net/ipv4/tcp_rmem", SOCK_RCVBUF_LOCK);
}

static void check_send_autotuning(const struct checker *checker, const struct rule *rule,
                                  const struct setting *setting)
{
    check_autotuning(checker, rule, setting, "net/ipv4/tcp_wmem", SOCK_SNDBUF_LOCK);
}

static void check_receive_buffer(const struct checker *checker, const struct rule *rule,
                                 const struct setting *setting)
{
    check_cap(checker, setting, "net/core/rmem_max", "net.core.rmem_max",
              ", or use SO_RCVBUFFORCE");
    check_receive_autotuning(checker, rule, setting);
}

static void check_send_buffer(const struct checker *checker, const struct rule *rule,
                              const struct setting *setting)
{
    check_cap(checker, setting, "net/core/wmem_max", "net.core.wmem_max",
              ", or use SO_SNDBUFFORCE");
    check_send_autotuning(checker, rule, setting);
}

/* A lock on a buffer that the rule leaves at its small beginning. */
static void check_buffer_lock(const struct checker *checker, const struct rule *rule,
                              const struct setting *setting)
{
    int64_t locked;
    bool receive = find_setting(rule, SOL_SOCKET, SO_RCVBUF) != NULL ||
                   find_setting(rule, SOL_SOCKET, SO_RCVBUFFORCE) != NULL;
    bool send = find_setting(rule, SOL_SOCKET, SO_SNDBUF) != NULL ||
                find_setting(rule, SOL_SOCKET, SO_SNDBUFFORCE) != NULL;
    if (speaks_tcp(rule) && number_of(setting, &locked) &&
        (((locked & SOCK_RCVBUF_LOCK) != 0 && !receive) ||
         ((locked & SOCK_SNDBUF_LOCK) != 0 && !send)))
        warn_risk(checker, rule, setting->option->name, setting->at,
                  "SO_BUF_LOCK = %s: it ends TCP's autotuning of a buffer whose size the rule does "
                  "not set, and which stays as small as it begins",
                  setting->text);
}

static void check_accept_queue(const struct checker *checker, const struct rule *rule,
                               const struct setting *setting)
{
    (void)rule;
    check_cap(checker, setting, "net/core/somaxconn", "net.core.somaxconn", "");
}

/* Timeouts */

/* What a keepalive setting of the rule is, or the system's own. */
static int64_t keepalive_value(const struct checker *checker, const struct rule *rule, int optname,
                               const char *sysctl, int64_t usual)
{
    int64_t number;
    if (number_of(find_setting(rule, IPPROTO_TCP, optname), &number))
        return number;
    return sysctl_number(checker, sysctl, usual);
}

static bool turns_keepalive_on(const struct rule *rule)
{
    int64_t on;
    return number_of(find_setting(rule, SOL_SOCKET, SO_KEEPALIVE), &on) && on != 0;
}

/* tcp_keepalive_timer() of the kernel: with a user timeout, the count of probes does not matter. */
static void check_user_timeout(const struct checker *checker, const struct rule *rule,
                               const struct setting *setting)
{
    int64_t timeout, idle, interval, count, end;
    if (!number_of(setting, &timeout) || timeout == 0 ||
        (!turns_keepalive_on(rule) && find_setting(rule, IPPROTO_TCP, TCP_KEEPCNT) == NULL))
        return;
    idle = keepalive_value(checker, rule, TCP_KEEPIDLE, "net/ipv4/tcp_keepalive_time", 7200);
    interval = keepalive_value(checker, rule, TCP_KEEPINTVL, "net/ipv4/tcp_keepalive_intvl", 75);
    count = keepalive_value(checker, rule, TCP_KEEPCNT, "net/ipv4/tcp_keepalive_probes", 9);
    end = idle + interval * count;
    if (timeout < end * 1000)
        warn_risk(
            checker, rule, setting->option->name, setting->at,
            "TCP_USER_TIMEOUT = %s overrides TCP_KEEPCNT: keepalive alone would give up after "
            "%" PRId64 "s (%" PRId64 "s idle and %" PRId64 " probes, %" PRId64 "s apart)",
            setting->text, end, idle, count, interval);
}

static bool is_keepalive_timer(const struct option *option)
{
    return option != NULL && option->level == IPPROTO_TCP &&
           (option->optname == TCP_KEEPIDLE || option->optname == TCP_KEEPINTVL ||
            option->optname == TCP_KEEPCNT);
}

/* Keepalive's timers need keepalive. Told once a rule; content if some rule that may match the same
 * sockets turns it on. */
static void check_keepalive_timer(const struct checker *checker, const struct rule *rule,
                                  const struct setting *setting)
{
    for (const struct setting *other = rule->settings; other < setting; other++)
        if (other->mode != MODE_IGNORE && is_keepalive_timer(other->option))
            return;
    for (size_t i = 0; i < checker->ruleset->rule_count; i++)
        if (turns_keepalive_on(&checker->ruleset->rules[i]) &&
            !rules_are_disjoint(rule, &checker->ruleset->rules[i]))
            return;
    warn(checker, setting->at,
         "%s: it has an effect only where the program turns keepalive on: add SO_KEEPALIVE = true",
         setting->option->name);
}

/* So many seconds without an answer are no sign of a dead peer. */
enum { PAUSE_SECONDS = 3 };

/* All probes in a short time; one probe is a row of hazards.def. */
static void check_keepalive_pause(const struct checker *checker, const struct rule *rule,
                                  const struct setting *setting)
{
    int64_t interval,
        count = keepalive_value(checker, rule, TCP_KEEPCNT, "net/ipv4/tcp_keepalive_probes", 9);
    if (number_of(setting, &interval) && count > 1 && interval * count < PAUSE_SECONDS)
        warn_risk(checker, rule, setting->option->name, setting->at,
                  "TCP_KEEPINTVL = %s with TCP_KEEPCNT = %" PRId64 ": a pause of %" PRId64
                  "s on the path ends a healthy connection",
                  setting->text, count, interval * count);
}

/* The rest */

static void check_tos(const struct checker *checker, const struct rule *rule,
                      const struct setting *setting)
{
    if (setting->option->kind == KIND_TOS && (rule->families & FAMILY_INET6) != 0 &&
        find_setting(rule, IPPROTO_IPV6, IPV6_TCLASS) == NULL)
        warn(checker, setting->at,
             "IP_TOS: packets over IPv6 do not have it: add IPV6_TCLASS, or use dscp for both");
}

bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = words; (at = strstr(at, word)) != NULL; at += length)
        if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    return false;
}

static void lower_case(const char *text, char *lower, size_t size)
{
    size_t length = 0;
    for (; text[length] != '\0' && length + 1 < size; length++)
        lower[length] = (char)tolower((unsigned char)text[length]);
    lower[length] = '\0';
}

static void check_congestion(const struct checker *checker, const struct rule *rule,
                             const struct setting *setting)
{
    char available[512], allowed[512], lower[16];
    (void)rule;
    lower_case(setting->text, lower, sizeof lower);
    read_sysctl(checker, "net/ipv4/tcp_available_congestion_control", available, sizeof available);
    read_sysctl(checker, "net/ipv4/tcp_allowed_congestion_control", allowed, sizeof allowed);
    if (strcmp(setting->text, lower) != 0 && !has_word(available, setting->text))
        warn(checker, setting->at,
             "TCP_CONGESTION: the kernel's names are in lower case: write \"%s\"", lower);
    else if (available[0] != '\0' && !has_word(available, setting->text))
        warn(checker, setting->at,
             "TCP_CONGESTION: the kernel has not loaded \"%s\": it has %s; try modprobe tcp_%s",
             setting->text, available, setting->text);
    else if (allowed[0] != '\0' && !has_word(allowed, setting->text) &&
             !checker->context->privileged)
        warn(checker, setting->at,
             "TCP_CONGESTION: \"%s\" needs CAP_NET_ADMIN, or must be added to "
             "net.ipv4.tcp_allowed_congestion_control, which has %s",
             setting->text, allowed);
}

/* What this host lacks */

/* True if the rule is for peers on this host alone. */
static bool only_loopback(const struct prefix_list *list)
{
    bool includes = false;
    for (size_t i = 0; i < list->count; i++) {
        includes = includes || !list->items[i].negate;
        if (!list->items[i].negate && !is_loopback(list->items[i].address))
            return false;
    }
    return includes;
}

static void check_device(const struct checker *checker, const struct rule *rule,
                         const struct setting *setting)
{
    bool connects = (rule_roles(rule) & (ROLE_CONNECT | ROLE_DATAGRAM)) != 0;
    if (strcmp(setting->text, "lo") == 0 && connects && !only_loopback(&rule->remote))
        warn_risk(checker, rule, setting->option->name, setting->at,
                  "SO_BINDTODEVICE = lo: no other host can be reached");
    else if (has_sysctl(checker, "net/ipv4/conf", "all") &&
             !has_sysctl(checker, "net/ipv4/conf", setting->text))
        warn(checker, setting->at, "SO_BINDTODEVICE: this host has no interface \"%s\" now",
             setting->text);
}

static void check_source(const struct checker *checker, const struct rule *rule,
                         const struct setting *setting)
{
    const uint8_t *address = setting->value.bytes;
    if (is_loopback(address) && !only_loopback(&rule->remote))
        warn_risk(
            checker, rule, setting->option->name, setting->at,
            "source = %s: with a loopback address, other hosts cannot be reached: connect() fails",
            setting->text);
    else if (!checker->context->other_host && !host_has_address(address) &&
             find_setting(rule, IPPROTO_IP, IP_FREEBIND) == NULL)
        warn(checker, setting->at, "source = %s: this host has no such address now", setting->text);
}

/* So many ports are few. */
enum { FEW_PORTS = 100 };

/* Each connection to one port of one peer takes a port of its own. */
static void check_port_range(const struct checker *checker, const struct rule *rule,
                             const struct setting *setting)
{
    uint32_t range;
    unsigned low, high;
    memcpy(&range, setting->value.bytes, sizeof range);
    low = range & 0xffff;
    high = range >> 16;
    if (low != 0 && high >= low && high - low + 1 < FEW_PORTS)
        warn_risk(
            checker, rule, setting->option->name, setting->at,
            "IP_LOCAL_PORT_RANGE = %s: no more than %u connections to one peer at a time; further "
            "ones fail with EADDRNOTAVAIL",
            setting->text, high - low + 1);
}

static const struct {
    int level;
    int optname;
    void (*check)(const struct checker *checker, const struct rule *rule,
                  const struct setting *setting);
} option_checks[] = {
    {SOL_SOCKET, SO_RCVBUF, check_receive_buffer},
    {SOL_SOCKET, SO_SNDBUF, check_send_buffer},
    {SOL_SOCKET, SO_RCVBUFFORCE, check_receive_autotuning},
    {SOL_SOCKET, SO_SNDBUFFORCE, check_send_autotuning},
    {SOL_SOCKET, SO_BUF_LOCK, check_buffer_lock},
    {LEVEL_SOCKTUNE, SOCKTUNE_BACKLOG, check_accept_queue},
    {IPPROTO_TCP, TCP_FASTOPEN, check_accept_queue},
    {SOL_SOCKET, SO_BINDTODEVICE, check_device},
    {LEVEL_SOCKTUNE, SOCKTUNE_SOURCE, check_source},
    {IPPROTO_IP, IP_LOCAL_PORT_RANGE, check_port_range},
    {IPPROTO_TCP, TCP_USER_TIMEOUT, check_user_timeout},
    {IPPROTO_TCP, TCP_KEEPIDLE, check_keepalive_timer},
    {IPPROTO_TCP, TCP_KEEPINTVL, check_keepalive_timer},
    {IPPROTO_TCP, TCP_KEEPINTVL, check_keepalive_pause},
    {IPPROTO_TCP, TCP_KEEPCNT, check_keepalive_timer},
    {IPPROTO_TCP, TCP_CONGESTION, check_congestion},
    {IPPROTO_IP, IP_TOS, check_tos},
};

bool has_option_check(const struct option *option)
{
    for (size_t i = 0; i < sizeof option_checks / sizeof option_checks[0]; i++)
        if (option_checks[i].level == option->level && option_checks[i].optname == option->optname)
            return true;
    return false;
}

void check_option(const struct checker *checker, const struct rule *rule,
                  const struct setting *setting)
{
    for (size_t i = 0; i < sizeof option_checks / sizeof option_checks[0]; i++)
        if (option_checks[i].level == setting->option->level &&
            option_checks[i].optname == setting->option->optname)
            option_checks[i].check(checker, rule, setting);
}
