/* SPDX-License-Identifier: MIT */
#include "prefix.h"

#include "word_list.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { V4_OFFSET = 96 }; /* bits before an IPv4 address that is mapped into IPv6 */

/* What could be meant by a word that is no address. */
static const char *address_hint(const char *word)
{
    size_t digits = strspn(word, "0123456789");
    const char *colon = strchr(word, ':');
    if (word_list_is_any(word))
        return "leave it out to match any address";
    if (word_list_separator(word, " ") != '\0')
        return "write an array of them, [ ..., ... ]";
    if (strcasecmp(word, "localhost") == 0)
        return "names are not looked up: write [ \"127.0.0.0/8\", \"::1\" ]";
    if (strchr(word, '*') != NULL && colon != NULL)
        return "leave it out to match any address; a port belongs in local_port or remote_port";
    if (word[0] == '[')
        return "write it without brackets";
    if (strchr(word, '%') != NULL)
        return "write it without an interface";
    if (strchr(word, '*') != NULL)
        return "for a range of addresses write a prefix, \"10.1.0.0/16\"";
    if ((digits != 0 && word[digits] == '.' && colon != NULL && strchr(colon + 1, ':') == NULL) ||
        (word[0] == ':' && word[1] != ':'))
        return "a port belongs in local_port or remote_port";
    if (word[digits] == '\0')
        return "a port belongs in local_port or remote_port";
    return "write \"10.1.2.3\", \"10.0.0.0/8\", \"fd00::1\" or \"fd00::/8\"; names are not looked "
           "up";
}

/* The address part of `word`, which is `length` long, as v4-mapped or v6. */
static bool read_address(const char *word, size_t length, struct policy_prefix *prefix)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in6_addr mapped;
    if (length >= sizeof text)
        return false;
    memcpy(text, word, length);
    text[length] = '\0';
    memset(prefix->address, 0, sizeof prefix->address);
    prefix->v4 = inet_pton(AF_INET, text, prefix->address + 12) == 1;
    if (prefix->v4) {
        memset(prefix->address + 10, 0xff, 2);
        return true;
    }
    if (inet_pton(AF_INET6, text, &mapped) != 1)
        return false;
    memcpy(prefix->address, &mapped, sizeof mapped);
    return true;
}

static void print_prefix(const struct policy_prefix *prefix, char *text, size_t size)
{
    char address[INET6_ADDRSTRLEN] = "";
    inet_ntop(prefix->v4 ? AF_INET : AF_INET6, prefix->address + (prefix->v4 ? 12 : 0), address,
              sizeof address);
    snprintf(text, size, "%s/%d", address, prefix->length - (prefix->v4 ? V4_OFFSET : 0));
}

/* Clear the bits behind the prefix's length; true if there were any. */
static bool clear_host_bits(struct policy_prefix *prefix)
{
    bool any = false;
    for (unsigned bit = prefix->length; bit < 128; bit++) {
        uint8_t mask = (uint8_t)(0x80u >> bit % 8);
        any = any || (prefix->address[bit / 8] & mask) != 0;
        prefix->address[bit / 8] &= (uint8_t)~mask;
    }
    return any;
}

/* "/8", or nothing: the one address. */
static bool read_length(const char *slash, struct policy_prefix *prefix)
{
    unsigned long most = prefix->v4 ? 32 : 128, length = most;
    char *end = NULL;
    if (slash != NULL) {
        length = strtoul(slash + 1, &end, 10);
        if (!isdigit((unsigned char)slash[1]) || *end != '\0' || length > most)
            return false;
    }
    prefix->length = (uint8_t)(length + (prefix->v4 ? V4_OFFSET : 0));
    return true;
}

/* "255.0.0.0" in place of a length of 8. */
static bool read_mask(const char *text, struct policy_prefix *prefix)
{
    struct in_addr mask;
    uint32_t bits;
    if (inet_pton(AF_INET, text, &mask) != 1)
        return false;
    bits = ~ntohl(mask.s_addr);
    prefix->length = (uint8_t)(V4_OFFSET + 32 - (bits == 0 ? 0 : 32 - __builtin_clz(bits)));
    return (bits & (bits + 1)) == 0;
}

/* An IPv4 address in IPv6 clothes: sockets are matched by what they really speak. */
static bool is_mapped(const struct policy_prefix *prefix)
{
    struct in6_addr address;
    memcpy(&address, prefix->address, sizeof address);
    return !prefix->v4 && prefix->length >= V4_OFFSET && IN6_IS_ADDR_V4MAPPED(&address);
}

bool prefix_read(const char *word, struct policy_prefix *prefix, char problem[PREFIX_PROBLEM_SIZE])
{
    const char *slash = strchr(word, '/');
    char right[INET6_ADDRSTRLEN + 8];
    *prefix = (struct policy_prefix){.length = 0};
    if (!read_address(word, slash != NULL ? (size_t)(slash - word) : strlen(word), prefix)) {
        snprintf(problem, PREFIX_PROBLEM_SIZE, "\"%.200s\" is not an address or prefix: %s", word,
                 address_hint(word));
        return false;
    }
    if (slash != NULL && prefix->v4 && read_mask(slash + 1, prefix)) {
        clear_host_bits(prefix);
        print_prefix(prefix, right, sizeof right);
        snprintf(problem, PREFIX_PROBLEM_SIZE, "\"%.200s\" has a mask: write \"%s\"", word, right);
        return false;
    }
    if (!read_length(slash, prefix)) {
        snprintf(problem, PREFIX_PROBLEM_SIZE,
                 "the prefix length of \"%.200s\" must be a number from 0 to %d", word,
                 prefix->v4 ? 32 : 128);
        return false;
    }
    if (clear_host_bits(prefix)) {
        print_prefix(prefix, right, sizeof right);
        snprintf(problem, PREFIX_PROBLEM_SIZE,
                 "\"%.200s\" has bits set behind its prefix length: write \"%s\"", word, right);
        return false;
    }
    if (is_mapped(prefix))
        prefix->v4 = 1;
    return true;
}

/* The last address of a prefix. */
static void last_address(const struct policy_prefix *prefix, uint8_t last[16])
{
    memcpy(last, prefix->address, 16);
    for (unsigned bit = prefix->length; bit < 128; bit++)
        last[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
}

/* False if it was the last of all. */
static bool next_address(uint8_t address[16])
{
    for (int i = 15; i >= 0; i--)
        if (++address[i] != 0)
            return true;
    return false;
}

/* The largest prefix that begins at `from` and does not go beyond `to`. */
static struct policy_prefix largest_prefix(const uint8_t from[16], const uint8_t to[16], bool v4)
{
    struct policy_prefix prefix = {.length = 128, .v4 = v4};
    memcpy(prefix.address, from, 16);
    while (prefix.length > (v4 ? V4_OFFSET : 0)) {
        struct policy_prefix wider = prefix;
        uint8_t last[16];
        wider.length--;
        last_address(&wider, last);
        if (clear_host_bits(&wider) || memcmp(last, to, 16) > 0)
            break;
        prefix = wider;
    }
    return prefix;
}

size_t prefix_read_range(const char *word, struct policy_prefix prefixes[PREFIX_RANGE_MAX],
                         char problem[PREFIX_PROBLEM_SIZE])
{
    const char *dash = strchr(word, '-');
    struct policy_prefix low = {.length = 0}, high = {.length = 0};
    uint8_t from[16], last[16];
    size_t count = 0;
    if (dash == NULL)
        return prefix_read(word, prefixes, problem);
    if (!read_address(word, (size_t)(dash - word), &low) ||
        !read_address(dash + 1, strlen(dash + 1), &high) || low.v4 != high.v4) {
        snprintf(problem, PREFIX_PROBLEM_SIZE,
                 "\"%.200s\" is not a range of addresses: write \"10.1.0.5-10.1.0.20\" or "
                 "\"fd00::5-fd00::20\"",
                 word);
        return 0;
    }
    if (memcmp(low.address, high.address, 16) > 0) {
        snprintf(problem, PREFIX_PROBLEM_SIZE, "\"%.200s\" is empty: write \"%.200s-%.*s\"", word,
                 dash + 1, (int)(dash - word), word);
        return 0;
    }
    memcpy(from, low.address, 16);
    do {
        prefixes[count] = largest_prefix(from, high.address, low.v4);
        last_address(&prefixes[count++], last);
        memcpy(from, last, 16);
    } while (memcmp(last, high.address, 16) < 0 && next_address(from));
    return count;
}

bool prefix_holds(const struct policy_prefix *prefix, const uint8_t address[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool v4 = memcmp(address, mapped, sizeof mapped) == 0;
    unsigned whole = prefix->length / 8, rest = prefix->length % 8;
    if (v4 != (prefix->v4 != 0) || memcmp(prefix->address, address, whole) != 0)
        return false;
    return rest == 0 || (prefix->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}
