/* SPDX-License-Identifier: MIT */
/* Warnings about files without a rule, and about rules that no socket matches. */
#include "check.h"

#include "host_addresses.h"
#include "prefix.h"

#include <dirent.h>
#include <netinet/in.h>
#include <string.h>

/* Files without a rule */

/* The first file of a directory that is no rule file, for it may have been meant as one. */
static const char *other_file(DIR *directory)
{
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.' && !policy_is_rule_file(entry->d_name))
            return entry->d_name;
    return NULL;
}

static void check_directory(const struct checker *checker)
{
    const char *path = checker->ruleset->name;
    DIR *directory = opendir(path);
    const char *other = directory != NULL ? other_file(directory) : NULL;
    if (other != NULL)
        warn(
            checker, ((struct location){path, 0}),
            "there are no rules: no name of a file in it ends in \".conf\", and others, as \"%s\", "
            "are not read",
            other);
    else
        warn(checker, ((struct location){path, 0}),
             "there are no rules: the directory has no *.conf file");
    if (directory != NULL)
        closedir(directory);
}

void check_files(const struct checker *checker)
{
    const struct ruleset *ruleset = checker->ruleset;
    for (size_t i = 0; i < ruleset->joined_count; i++)
        warn(checker, ruleset->joined[i].at,
             "%s %s: strings side by side are one string: is a comma missing between them?",
             ruleset->joined[i].first, ruleset->joined[i].second);
    if (ruleset->rule_count != 0)
        return;
    if (ruleset->source_count == 1 && ruleset->sources[0].stamp.kind == SOURCE_DIRECTORY)
        check_directory(checker);
    else
        warn(checker, ((struct location){ruleset->name, 0}), "there are no rules in it");
}

/* What no socket has */

static bool has_port(const struct rule *rule)
{
    return rule->local_port.count != 0 || rule->remote_port.count != 0;
}

static bool has_local(const struct rule *rule)
{
    return rule->local.count != 0 || rule->local_port.count != 0;
}

static void check_protocols(const struct checker *checker, const struct rule *rule)
{
    enum {
        WITH_PORTS = PROTOCOL_TCP | PROTOCOL_MPTCP | PROTOCOL_SCTP | PROTOCOL_DCCP | PROTOCOL_UDP |
                     PROTOCOL_UDPLITE
    };
    const unsigned on_unix = PROTOCOL_UNIX_STREAM | PROTOCOL_UNIX_DGRAM;
    unsigned families = 0;

    if (rule_roles(rule) == 0)
        warn(checker, rule->at,
             "rule \"%s\" never matches: no socket of its protocols has its role", rule->name);
    if (has_port(rule) && ((rule->protocols & WITH_PORTS) == 0 || rule->families == FAMILY_UNIX))
        warn(checker, rule->local_port.count != 0 ? rule->local_port.at : rule->remote_port.at,
             "rule \"%s\" never matches: no socket of its protocols has a port", rule->name);
    families |= (rule->protocols & on_unix) != 0 ? FAMILY_UNIX : 0u;
    families |= (rule->protocols & ~on_unix) != 0 ? FAMILY_IP : 0u;
    if ((families & rule->families) == 0)
        warn(checker, rule->at,
             "rule \"%s\" never matches: no socket of its protocols is of its family", rule->name);
}

static bool includes_prefix(const struct prefix_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].negate)
            return true;
    return false;
}

/* How many prefixes of a list are compared before the answer is left open. */
enum { COMPARISONS_MAX = 4 << 20 };

/* True if the excluded prefixes together hold every address of `prefix`. */
static bool is_covered(const struct prefix_list *list, const struct policy_prefix *prefix,
                       size_t *comparisons)
{
    struct policy_prefix half = *prefix;
    bool inside = false;
    *comparisons += list->count;
    if (*comparisons > COMPARISONS_MAX)
        return false;
    for (size_t i = 0; i < list->count; i++) {
        const struct policy_prefix *item = &list->items[i];
        if (!item->negate)
            continue;
        if (item->length <= prefix->length && prefix_holds(item, prefix->address))
            return true;
        inside = inside || prefix_holds(prefix, item->address);
    }
    if (!inside || prefix->length == 128)
        return false;
    half.length++;
    if (!is_covered(list, &half, comparisons))
        return false;
    half.address[prefix->length / 8] |= (uint8_t)(0x80 >> prefix->length % 8);
    return is_covered(list, &half, comparisons);
}

static bool is_excluded(const struct prefix_list *list, const struct policy_prefix *prefix)
{
    size_t comparisons = 0;
    return is_covered(list, prefix, &comparisons);
}

/* The IP versions of the addresses that a list leaves, as FAMILY_INET and FAMILY_INET6. */
static unsigned versions_left(const struct prefix_list *list)
{
    static const struct policy_prefix all[] = {
        {.address = {[10] = 0xff, [11] = 0xff}, .length = 96, .v4 = 1}, {.length = 0}};
    unsigned versions = 0;
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].negate && !is_excluded(list, &list->items[i]))
            versions |= list->items[i].v4 ? FAMILY_INET : FAMILY_INET6;
    if (includes_prefix(list))
        return versions;
    versions |= is_excluded(list, &all[0]) ? 0u : FAMILY_INET;
    return versions | (is_excluded(list, &all[1]) ? 0u : FAMILY_INET6);
}

/* 0.0.0.0 or ::, which no socket has once it is bound to one address, or connected. */
static bool is_unspecified(const struct policy_prefix *prefix)
{
    static const uint8_t none[16];
    unsigned first = prefix->v4 ? 12 : 0;
    return !prefix->negate && prefix->length == 128 &&
           memcmp(prefix->address + first, none, sizeof none - first) == 0;
}

static bool is_multicast(const struct policy_prefix *prefix)
{
    return prefix->v4 ? prefix->address[12] >> 4 == 0xe : prefix->address[0] == 0xff;
}

static void check_unspecified(const struct checker *checker, const char *name,
                              const struct prefix_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (is_unspecified(&list->items[i])) {
            warn(checker, list->at,
                 "%s: %s is the address of no socket: leave %s out to match any address", name,
                 list->items[i].v4 ? "0.0.0.0" : "::", name);
            return;
        }
}

/* Addresses that this host lacks, unless a program may use such. */
static void check_local(const struct checker *checker, const struct rule *rule)
{
    bool includes = false;
    for (size_t i = 0; i < rule->local.count; i++) {
        if (is_multicast(&rule->local.items[i]) || is_unspecified(&rule->local.items[i]))
            return;
        includes = includes || !rule->local.items[i].negate;
    }
    if (includes && !checker->context->other_host &&
        find_setting(rule, IPPROTO_IP, IP_FREEBIND) == NULL &&
        find_setting(rule, IPPROTO_IP, IP_TRANSPARENT) == NULL &&
        !host_has_some(rule->local.items, rule->local.count))
        warn(checker, rule->local.at, "local: this host has no such address now");
}

/* The IP versions that the rule's family leaves; both where it is not about IP alone. */
static unsigned versions_of_families(unsigned families)
{
    return families == FAMILY_INET ? FAMILY_INET : FAMILY_IP;
}

static bool prefixes_left(const struct rule *rule, const struct prefix_list *list)
{
    return (versions_left(list) &
            (includes_prefix(list) ? FAMILY_IP : versions_of_families(rule->families))) != 0;
}

/* The families of sockets that have such addresses: IPv4 peers come on inet6 sockets, too. */
static unsigned families_of_versions(unsigned versions)
{
    return (versions & FAMILY_INET) != 0 ? FAMILY_IP : versions;
}

/* No connection has a multicast group as its peer, and no connection has 255.255.255.255. */
static void check_multicast_peer(const struct checker *checker, const struct rule *rule)
{
    static const uint8_t everyone[] = {255, 255, 255, 255};
    const struct prefix_list *list = &rule->remote;
    for (size_t i = 0; i < list->count; i++)
        if (!is_multicast(&list->items[i]) &&
            memcmp(list->items[i].address + 12, everyone, sizeof everyone) != 0)
            return;
    if (includes_prefix(list) && (rule_roles(rule) & ROLE_DATAGRAM) == 0)
        warn(checker, list->at,
             "rule \"%s\" never matches: only datagrams go to multicast and broadcast addresses",
             rule->name);
}

static void check_addresses(const struct checker *checker, const struct rule *rule)
{
    unsigned local = versions_left(&rule->local), remote = versions_left(&rule->remote);
    bool no_local = rule->local.count != 0 && (families_of_versions(local) & rule->families) == 0;
    bool no_remote =
        rule->remote.count != 0 && (families_of_versions(remote) & rule->families) == 0;
    if (!prefixes_left(rule, &rule->local) || !prefixes_left(rule, &rule->remote))
        return; /* check_left() */
    if (no_local)
        warn(checker, rule->local.at,
             "rule \"%s\" never matches: local has no address of its family", rule->name);
    if (no_remote)
        warn(checker, rule->remote.at,
             "rule \"%s\" never matches: remote has no address of its family", rule->name);
    if (no_local || no_remote)
        return;
    if ((local & remote) == 0)
        warn(checker, rule->remote.at,
             "rule \"%s\" never matches: local and remote are of different IP versions",
             rule->name);
    check_multicast_peer(checker, rule);
}

/* Lists of which nothing is left */

static bool includes_port(const struct port_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].negate)
            return true;
    return false;
}

static bool matches_port(const struct port_list *list, unsigned port)
{
    bool in = !includes_port(list);
    for (size_t i = 0; i < list->count; i++) {
        bool here = list->items[i].low <= port && port <= list->items[i].high;
        if (here && list->items[i].negate)
            return false;
        in = in || here;
    }
    return in && port <= UINT16_MAX;
}

/* True if a port matches: the lowest that does is 1, begins an included range, or follows an
 * excluded one. */
static bool ports_left(const struct port_list *list)
{
    bool left = matches_port(list, 1);
    for (size_t i = 0; i < list->count && !left; i++)
        left = matches_port(list,
                            list->items[i].negate ? list->items[i].high + 1u : list->items[i].low);
    return left;
}

static void check_left(const struct checker *checker, const struct rule *rule)
{
    const struct {
        const char *name;
        struct location at;
        bool left;
        bool includes;
    } lists[] = {
        {"local", rule->local.at, prefixes_left(rule, &rule->local), includes_prefix(&rule->local)},
        {"remote", rule->remote.at, prefixes_left(rule, &rule->remote),
         includes_prefix(&rule->remote)},
        {"local_port", rule->local_port.at, ports_left(&rule->local_port),
         includes_port(&rule->local_port)},
        {"remote_port", rule->remote_port.at, ports_left(&rule->remote_port),
         includes_port(&rule->remote_port)},
    };

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        if (!lists[i].left)
            warn(checker, lists[i].at,
                 lists[i].includes
                     ? "rule \"%s\" never matches: all that %s includes is excluded, too"
                     : "rule \"%s\" never matches: %s excludes all that its sockets can have",
                 rule->name, lists[i].name);
}

/* Criteria that are known late or never */

static struct location remote_at(const struct rule *rule)
{
    return rule->remote.count != 0 ? rule->remote.at : rule->remote_port.at;
}

static void check_criteria(const struct checker *checker, const struct rule *rule)
{
    unsigned roles = meant_roles(rule);
    if (has_remote(rule) && roles == ROLE_LISTEN)
        warn(checker, remote_at(rule),
             "rule \"%s\" never matches: a listener has no remote address", rule->name);
    if (has_remote(rule) && (roles & ROLE_DATAGRAM) != 0)
        warn(checker, remote_at(rule),
             "only connected datagram sockets have a remote address: what a program sends by "
             "sendto() is not reached");
    if (has_local(rule) && (roles & ROLE_CONNECT) != 0)
        warn(checker, rule->local.count != 0 ? rule->local.at : rule->local_port.at,
             "a connecting socket has a local address only if the program binds it first: others "
             "do not match");
}

/* Ports of servers, where those of clients are meant: the kernel gives clients ports from
 * net.ipv4.ip_local_port_range on. */
static bool only_server_ports(const struct port_list *list)
{
    bool includes = false;
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].negate)
            continue;
        includes = true;
        if (list->items[i].high >= 1024)
            return false;
    }
    return includes;
}

static void check_sides(const struct checker *checker, const struct rule *rule)
{
    if (meant_roles(rule) == ROLE_ACCEPT && only_server_ports(&rule->remote_port))
        warn(checker, rule->remote_port.at,
             "remote_port: of an accepted socket, it is the client's port, which is seldom below "
             "1024; the server's own is local_port");
}

void check_never(const struct checker *checker, const struct rule *rule)
{
    check_protocols(checker, rule);
    check_addresses(checker, rule);
    check_unspecified(checker, "local", &rule->local);
    check_unspecified(checker, "remote", &rule->remote);
    check_local(checker, rule);
    check_left(checker, rule);
    check_criteria(checker, rule);
    check_sides(checker, rule);
    check_programs(checker, rule);
}
