/* SPDX-License-Identifier: MIT */
/*
 * The criteria of `match` (criteria.def). Every criterion takes one value, an array or a list; a
 * value that starts with `!` excludes.
 */
#include "parse.h"
#include "prefix.h"
#include "unit_name.h"
#include "word_list.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* One value of a criterion: a string (without its `!`) or an integer. */
struct operand {
    const char *word; /* NULL: the integer */
    int64_t integer;
    bool negate;
    const char *name; /* of the criterion, for messages */
    const config_setting_t *setting;
};

/* Words that stand for bits; and what the value of a rule is when none is given. */
struct word_bit {
    const char *word;
    unsigned bit;
};

static const struct word_bit role_words[] = {{"connect", ROLE_CONNECT},
                                             {"listen", ROLE_LISTEN},
                                             {"accept", ROLE_ACCEPT},
                                             {"datagram", ROLE_DATAGRAM},
                                             {NULL, 0}};

static const struct word_bit protocol_words[] = {{"tcp", PROTOCOL_TCP},
                                                 {"mptcp", PROTOCOL_MPTCP},
                                                 {"sctp", PROTOCOL_SCTP},
                                                 {"dccp", PROTOCOL_DCCP},
                                                 {"udp", PROTOCOL_UDP},
                                                 {"udplite", PROTOCOL_UDPLITE},
                                                 {"icmp", PROTOCOL_ICMP},
                                                 {"raw", PROTOCOL_RAW},
                                                 {"unix-stream", PROTOCOL_UNIX_STREAM},
                                                 {"unix-dgram", PROTOCOL_UNIX_DGRAM},
                                                 {NULL, 0}};

static const struct word_bit family_words[] = {
    {"inet", FAMILY_INET}, {"inet6", FAMILY_INET6}, {"unix", FAMILY_UNIX}, {NULL, 0}};

enum { WORDS_MAX = 16 };

/* Read one value of a criterion. False after an error. */
static bool read_operand(struct reader *reader, const char *name, const config_setting_t *setting,
                         struct operand *operand)
{
    struct scalar scalar;
    const char *text;
    if (config_setting_is_aggregate(setting)) {
        parse_error(reader, setting, "%s: expected a value, an array or a list of values, not %s",
                    name, type_name(setting));
        return false;
    }
    if (!parse_scalar(reader, setting, &scalar, &text))
        return false;
    *operand = (struct operand){.name = name, .setting = setting};
    if (scalar.type == SCALAR_INT) {
        operand->integer = scalar.integer;
        return true;
    }
    if (scalar.type != SCALAR_STRING) {
        parse_error(reader, setting, "%s: expected %s, not %s", name,
                    scalar.type == SCALAR_FLOAT ? "a string or a whole number" : "a string",
                    scalar.type == SCALAR_FLOAT ? "one with a fraction" : type_name(setting));
        return false;
    }
    operand->negate = scalar.string[0] == '!';
    operand->word = scalar.string + operand->negate;
    if (operand->word[0] != '\0')
        return true;
    parse_error(reader, setting, "%s: expected a value%s", name,
                operand->negate ? " behind the \"!\"" : ", not an empty string");
    return false;
}

/* For criteria that are words. */
static bool want_word(struct reader *reader, const struct operand *operand)
{
    if (operand->word == NULL)
        parse_error(reader, operand->setting, "%s: expected a string, not a number", operand->name);
    return operand->word != NULL;
}

/* Programs */

/* What is wrong with a program's pattern so that it can match none, or NULL. */
static const char *impossible_program(const char *glob)
{
    const char *slash = strrchr(glob, '/');
    if (slash == NULL)
        return strlen(glob) > NAME_MAX && strpbrk(glob, "*[\\") == NULL
                   ? "no program has a name that long"
                   : NULL;
    if (glob[0] == '~')
        return "\"~\" is not expanded: write the whole path";
    if (slash[1] == '\0')
        return "a program is a file, so its path does not end in \"/\"";
    if (strstr(glob, "//") != NULL)
        return "no path has \"//\"";
    return NULL;
}

static bool read_PROGRAM(struct reader *reader, const struct operand *operand,
                         struct pattern *pattern)
{
    const char *wrong;
    if (!want_word(reader, operand))
        return false;
    wrong = impossible_program(operand->word);
    if (wrong != NULL)
        parse_error(reader, operand->setting, "program: \"%s\" can never match: %s", operand->word,
                    wrong);
    pattern->text = operand->word;
    return wrong == NULL;
}

static bool read_COMMAND(struct reader *reader, const struct operand *operand,
                         struct pattern *pattern)
{
    pattern->text = operand->word;
    return want_word(reader, operand);
}

/* A glob over a name that has no directory. */
static bool read_name(struct reader *reader, const struct operand *operand, struct pattern *pattern)
{
    if (!want_word(reader, operand))
        return false;
    if (strchr(operand->word, '/') != NULL)
        parse_error(reader, operand->setting,
                    "%s: \"%s\" can never match: the name is compared without its directory",
                    operand->name, operand->word);
    pattern->text = operand->word;
    return strchr(operand->word, '/') == NULL;
}

static bool read_SCRIPT(struct reader *reader, const struct operand *operand,
                        struct pattern *pattern)
{
    return read_name(reader, operand, pattern);
}

/* The engine takes a pattern without a dot for that of a service, and another one as it is. */
static bool read_UNIT(struct reader *reader, const struct operand *operand, struct pattern *pattern)
{
    if (!read_name(reader, operand, pattern))
        return false;
    if (strchr(operand->word, '.') != NULL && *unit_name_rest(operand->word) != '\0')
        pattern->text =
            arena_print(reader->arena, "%s%s", operand->word, unit_name_rest(operand->word));
    return true;
}

static bool read_CGROUP(struct reader *reader, const struct operand *operand,
                        struct pattern *pattern)
{
    if (!want_word(reader, operand))
        return false;
    pattern->text = operand->word;
    if (operand->word[0] == '/' || operand->word[0] == '*')
        return true;
    parse_error(
        reader, operand->setting,
        "cgroup: \"%s\" can never match: a path in the cgroup hierarchy begins with \"/\", as "
        "/proc/PID/cgroup shows it",
        operand->word);
    return false;
}

/* The number that digits alone stand for, or -1. */
static int64_t number_of_digits(const char *word)
{
    char *end;
    long long number;
    errno = 0;
    number = strtoll(word, &end, 10);
    return isdigit((unsigned char)word[0]) && *end == '\0' && errno == 0 ? number : -1;
}

static int64_t user_id(const char *name)
{
    const struct passwd *user = getpwnam(name);
    return user != NULL ? user->pw_uid : number_of_digits(name);
}

static int64_t group_id(const char *name)
{
    const struct group *group = getgrnam(name);
    return group != NULL ? group->gr_gid : number_of_digits(name);
}

/* What could be meant by a name that nobody has: a clause behind the message, or nothing. */
static const char *id_hint(const char *word, char *hint, size_t size)
{
    char separator = word_list_separator(word, " "), array[96];
    hint[0] = '\0';
    if (strchr("@%", word[0]) != NULL && word[0] != '\0')
        snprintf(hint, size, ": write group = \"%.64s\" for a group", word + 1);
    else if (word[0] == '#')
        snprintf(hint, size, ": write the number without \"#\"");
    else if (strchr(word, ':') != NULL)
        snprintf(hint, size, ": user and group are two criteria");
    else if (separator != '\0')
        snprintf(hint, size, ": write an array, %s",
                 word_list_array(word, separator, array, sizeof array));
    return hint;
}

/* A user or a group, by name or number. `find` returns -1 for an unknown name. */
static bool read_id(struct reader *reader, const struct operand *operand, struct pattern *pattern,
                    int64_t (*find)(const char *name))
{
    int64_t id = operand->word != NULL ? find(operand->word) : operand->integer;
    char hint[128];
    if (operand->word != NULL && id < 0) {
        parse_error(reader, operand->setting, "%s: there is no %s \"%s\" on this system%s",
                    operand->name, operand->name, operand->word,
                    id_hint(operand->word, hint, sizeof hint));
        return false;
    }
    if (id < 0 || id >= UINT32_MAX) { /* (uid_t)-1 stands for none */
        parse_error(reader, operand->setting, "%s: %" PRId64 " is no %s id: 0 to %u", operand->name,
                    id, operand->name, UINT32_MAX - 1);
        return false;
    }
    pattern->text =
        operand->word != NULL ? operand->word : arena_print(reader->arena, "%" PRId64, id);
    pattern->id = (uint32_t)id;
    return true;
}

static bool read_USER(struct reader *reader, const struct operand *operand, struct pattern *pattern)
{
    return read_id(reader, operand, pattern, user_id);
}

static bool read_GROUP(struct reader *reader, const struct operand *operand,
                       struct pattern *pattern)
{
    return read_id(reader, operand, pattern, group_id);
}

static const struct program_criterion {
    const char *name;
    bool (*read)(struct reader *reader, const struct operand *operand, struct pattern *pattern);
} program_criteria[PROGRAM_CRITERIA] = {
#define PROGRAM_CRITERION(name, NAME, needs, summary) [MATCHER_##NAME] = {#name, read_##NAME},
#include "criteria.def"
};

static bool want_values(struct reader *reader, const config_setting_t *setting)
{
    if (value_count(setting) == 0)
        parse_error(reader, setting, "%s: expected at least one value; leave it out to match any",
                    config_setting_name(setting));
    return value_count(setting) != 0;
}

static void read_patterns(struct reader *reader, const config_setting_t *setting,
                          const struct program_criterion *criterion, struct pattern_list *list)
{
    *list = (struct pattern_list){NULL, 0}; /* instead of the file's default */
    if (!want_values(reader, setting))
        return;
    for (unsigned i = 0; i < value_count(setting); i++) {
        const config_setting_t *value = value_at(setting, i);
        struct operand operand;
        struct pattern pattern = {.at = setting_at(reader, value)};
        if (!read_operand(reader, criterion->name, value, &operand))
            continue;
        pattern.negate = operand.negate;
        if (!criterion->read(reader, &operand, &pattern))
            continue;
        list->items = arena_grow(reader->arena, list->items, list->count, sizeof *list->items);
        list->items[list->count++] = pattern;
    }
}

bool parse_program_criterion(struct reader *reader, const config_setting_t *setting,
                             struct file_defaults *into)
{
    for (size_t i = 0; i < PROGRAM_CRITERIA; i++) {
        const struct program_criterion *criterion = &program_criteria[i];
        if (strcmp(config_setting_name(setting), criterion->name) != 0)
            continue;
        read_patterns(reader, setting, criterion, &into->programs[i]);
        return true;
    }
    return false;
}

/* Words */

static unsigned find_bit(const struct word_bit *words, const char *word)
{
    for (; words->word != NULL; words++)
        if (strcasecmp(words->word, word) == 0)
            return words->bit;
    return 0;
}

static void unknown_word(struct reader *reader, const struct operand *operand,
                         const struct word_bit *words)
{
    const char *names[WORDS_MAX + 1];
    char separator = word_list_separator(operand->word, " /+&"), array[128];
    size_t count = 0;
    for (; count < WORDS_MAX && words[count].word != NULL; count++)
        names[count] = words[count].word;
    names[count] = NULL;
    if (word_list_is_any(operand->word))
        parse_error(reader, operand->setting, "there is no %s \"%s\": leave %s out to match any",
                    operand->name, operand->word, operand->name);
    else if (separator == '/' && isdigit((unsigned char)strchr(operand->word, '/')[1]))
        parse_error(reader, operand->setting,
                    "there is no %s \"%s\": name the port in remote_port or local_port",
                    operand->name, operand->word);
    else if (separator != '\0')
        parse_error(reader, operand->setting, "there is no %s \"%s\": write an array, %s",
                    operand->name, operand->word,
                    word_list_array(operand->word, separator, array, sizeof array));
    else
        parse_unknown(reader, operand->setting, operand->name, operand->word, names);
}

/* Numbers that people know for the words. */
static bool want_bit_word(struct reader *reader, const struct operand *operand)
{
    static const struct {
        const char *criterion;
        int64_t number;
        const char *word;
    } numbers[] = {{"protocol", 6, "tcp"},    {"protocol", 17, "udp"},  {"protocol", 1, "icmp"},
                   {"protocol", 132, "sctp"}, {"protocol", 33, "dccp"}, {"protocol", 262, "mptcp"},
                   {"family", 4, "inet"},     {"family", 6, "inet6"},   {"family", 2, "inet"},
                   {"family", 10, "inet6"},   {"family", 1, "unix"}};
    for (size_t i = 0; operand->word == NULL && i < sizeof numbers / sizeof numbers[0]; i++)
        if (strcmp(operand->name, numbers[i].criterion) == 0 &&
            operand->integer == numbers[i].number) {
            parse_error(reader, operand->setting, "%s: expected a string: write %s = \"%s\"",
                        operand->name, operand->name, numbers[i].word);
            return false;
        }
    return want_word(reader, operand);
}

/* The set that the words name; excluded ones are taken from what is named, or else from `usual`.
 * Returns 0 after an error. */
static unsigned read_words(struct reader *reader, const config_setting_t *setting,
                           const struct word_bit *words, unsigned usual)
{
    unsigned named = 0, excluded = 0, set;
    if (!want_values(reader, setting))
        return 0;
    for (unsigned i = 0; i < value_count(setting); i++) {
        struct operand operand;
        unsigned bit;
        if (!read_operand(reader, config_setting_name(setting), value_at(setting, i), &operand) ||
            !want_bit_word(reader, &operand))
            return 0;
        bit = find_bit(words, operand.word);
        if (bit == 0) {
            unknown_word(reader, &operand, words);
            return 0;
        }
        *(operand.negate ? &excluded : &named) |= bit;
    }
    set = (named != 0 ? named : usual) & ~excluded;
    if (set == 0)
        parse_error(reader, setting, "%s: nothing is left that could match",
                    config_setting_name(setting));
    return set;
}

/* Addresses */

/* An address, a prefix, or a range as the prefixes that make it up: how many; 0 after an error. */
static size_t want_prefixes(struct reader *reader, const struct operand *operand,
                            struct policy_prefix prefixes[PREFIX_RANGE_MAX])
{
    char problem[PREFIX_PROBLEM_SIZE];
    size_t count;
    if (!want_word(reader, operand))
        return 0;
    count = prefix_read_range(operand->word, prefixes, problem);
    if (count == 0)
        parse_error(reader, operand->setting, "%s: %s", operand->name, problem);
    for (size_t i = 0; i < count; i++)
        prefixes[i].negate = operand->negate;
    return count;
}

static void read_prefixes(struct reader *reader, const config_setting_t *setting,
                          struct prefix_list *list)
{
    list->at = setting_at(reader, setting);
    if (!want_values(reader, setting))
        return;
    for (unsigned i = 0; i < value_count(setting); i++) {
        struct operand operand;
        struct policy_prefix prefixes[PREFIX_RANGE_MAX];
        size_t count;
        if (!read_operand(reader, config_setting_name(setting), value_at(setting, i), &operand))
            continue;
        count = want_prefixes(reader, &operand, prefixes);
        for (size_t p = 0; p < count; p++) {
            list->items = arena_grow(reader->arena, list->items, list->count, sizeof *list->items);
            list->items[list->count++] = prefixes[p];
        }
    }
}

/* Ports */

/* One port number at `*text`, which is moved behind it; -1 if there is none. */
static long read_number(const char **text)
{
    char *end;
    long number;
    if (!isdigit((unsigned char)**text))
        return -1;
    errno = 0;
    number = strtol(*text, &end, 10);
    *text = end;
    return errno == 0 ? number : LONG_MAX;
}

static bool is_port(int64_t number)
{
    return number >= 1 && number <= UINT16_MAX;
}

/* What is meant by a text that is no port: "write ...", or NULL. */
static const char *port_hint(const char *text, char *hint, size_t size)
{
    int first = (int)strspn(text, "0123456789"), begin = (int)strspn(text, "<>= ");
    const char *rest = text + first;
    int marks = (int)strspn(rest, ".:- "), last = (int)strspn(rest + marks, "0123456789");
    char separator = word_list_separator(text, " "), array[64];
    if (word_list_is_any(text))
        return "leave it out to match any";
    if (first > 0 && marks > 0 && last > 0 && rest[marks + last] == '\0' &&
        strspn(rest, " ") != (size_t)marks)
        snprintf(hint, size, "write \"%.*s-%.*s\"", first, text, last, rest + marks);
    else if (first > 0 && strcmp(rest, "-") == 0)
        snprintf(hint, size, "write \"%.*s-65535\"", first, text);
    else if (text[0] == '-' && text[1 + strspn(text + 1, "0123456789")] == '\0')
        snprintf(hint, size, "write \"1-%.8s\"", text + 1);
    else if (begin > 0)
        snprintf(hint, size, "write a range, %s", text[0] == '<' ? "\"1-1023\"" : "\"1024-65535\"");
    else if (first > 0 && *rest == '/')
        snprintf(hint, size, "write %.*s, and name the protocol in protocol", first, text);
    else if (strchr(text, ':') != NULL)
        return "an address belongs in local or remote";
    else if (separator != '\0')
        snprintf(hint, size, "write an array, %s",
                 word_list_array(text, separator, array, sizeof array));
    else
        return NULL;
    return hint;
}

static bool port_error(struct reader *reader, const struct operand *operand, const char *text)
{
    char room[96];
    const char *hint = operand->word != NULL ? port_hint(text, room, sizeof room) : NULL;
    parse_error(reader, operand->setting, "%s: \"%s\" is not a port: %s", operand->name, text,
                hint != NULL ? hint
                             : "write a number from 1 to 65535, a range \"8000-8999\", or "
                               "the name of a service in /etc/services");
    return false;
}

/* The port of a service, services(5); -1 if there is none of that name. */
static int64_t service_port(const char *name)
{
    const struct servent *service =
        isalpha((unsigned char)name[0]) ? getservbyname(name, NULL) : NULL;
    return service != NULL ? ntohs((uint16_t)service->s_port) : -1;
}

static bool read_port(struct reader *reader, const struct operand *operand,
                      struct policy_port *port)
{
    const char *p = operand->word;
    int64_t low = operand->integer, high;
    if (p == NULL) {
        p = "";
    } else {
        int64_t named = service_port(p);
        low = named > 0 ? named : read_number(&p);
        p = named > 0 ? "" : p;
    }
    high = low;
    if (*p == '-') {
        p++;
        high = read_number(&p);
    }
    if (!is_port(low) || !is_port(high) || *p != '\0')
        return port_error(reader, operand,
                          operand->word != NULL
                              ? operand->word
                              : arena_print(reader->arena, "%" PRId64, operand->integer));
    if (low > high) {
        parse_error(reader, operand->setting,
                    "%s: \"%s\" is empty: write \"%" PRId64 "-%" PRId64 "\"", operand->name,
                    operand->word, high, low);
        return false;
    }
    *port = (struct policy_port){
        .low = (uint16_t)low, .high = (uint16_t)high, .negate = operand->negate};
    return true;
}

static void read_ports(struct reader *reader, const config_setting_t *setting,
                       struct port_list *list)
{
    list->at = setting_at(reader, setting);
    if (!want_values(reader, setting))
        return;
    for (unsigned i = 0; i < value_count(setting); i++) {
        struct operand operand;
        struct policy_port port;
        if (!read_operand(reader, config_setting_name(setting), value_at(setting, i), &operand) ||
            !read_port(reader, &operand, &port))
            continue;
        list->items = arena_grow(reader->arena, list->items, list->count, sizeof *list->items);
        list->items[list->count++] = port;
    }
}

/* Match */

/* One reader for each row, by the kind of its values. */
#define READ_WORDS(name, member, usual)                                                            \
    rule->member = (__typeof__(rule->member))read_words(reader, setting, name##_words, (usual))
#define READ_PREFIXES(name, member, usual) read_prefixes(reader, setting, &rule->member)
#define READ_PORTS(name, member, usual)    read_ports(reader, setting, &rule->member)
#define SOCKET_CRITERION(name, KIND, member, usual, summary)                                       \
    static void read_##name(struct reader *reader, const config_setting_t *setting,                \
                            struct rule *rule)                                                     \
    {                                                                                              \
        READ_##KIND(name, member, usual);                                                          \
    }
#include "criteria.def"

static const struct {
    const char *name;
    void (*read)(struct reader *reader, const config_setting_t *setting, struct rule *rule);
} socket_criteria[] = {
#define SOCKET_CRITERION(name, KIND, member, usual, summary) {#name, read_##name},
#include "criteria.def"
};
enum { SOCKET_CRITERIA = sizeof socket_criteria / sizeof socket_criteria[0] };

static bool read_socket_criterion(struct reader *reader, const config_setting_t *setting,
                                  struct rule *rule)
{
    for (size_t i = 0; i < SOCKET_CRITERIA; i++) {
        if (strcmp(config_setting_name(setting), socket_criteria[i].name) == 0) {
            socket_criteria[i].read(reader, setting, rule);
            return true;
        }
    }
    return false;
}

/* The names of all criteria, ended by NULL. */
static void criterion_names(const char **names)
{
    for (size_t i = 0; i < PROGRAM_CRITERIA; i++)
        *names++ = program_criteria[i].name;
    for (size_t i = 0; i < SOCKET_CRITERIA; i++)
        *names++ = socket_criteria[i].name;
    *names = NULL;
}

bool is_criterion(const char *name)
{
    const char *names[PROGRAM_CRITERIA + SOCKET_CRITERIA + 1];
    criterion_names(names);
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A rule on unix protocols is on unix sockets, though rules leave these alone otherwise. */
static void default_family(const config_setting_t *group, struct rule *rule)
{
    const unsigned on_unix = PROTOCOL_UNIX_STREAM | PROTOCOL_UNIX_DGRAM;
    if (rule->protocols != PROTOCOL_ALL && (rule->protocols & on_unix) != 0 &&
        config_setting_get_member(group, "protocol") != NULL &&
        config_setting_get_member(group, "family") == NULL)
        rule->families = (rule->protocols & ~on_unix) != 0 ? FAMILY_ALL : FAMILY_UNIX;
}

void parse_match(struct reader *reader, const config_setting_t *group, struct rule *rule)
{
    const char *names[PROGRAM_CRITERIA + SOCKET_CRITERIA + 1];
    struct file_defaults programs;
    memcpy(programs.programs, rule->programs, sizeof programs.programs);
    if (!config_setting_is_group(group)) {
        parse_error(reader, group, "match: expected a group { ... }, not %s", type_name(group));
        return;
    }
    criterion_names(names);
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        if (!parse_program_criterion(reader, setting, &programs) &&
            !read_socket_criterion(reader, setting, rule))
            parse_unknown(reader, setting, "criterion", config_setting_name(setting), names);
    }
    memcpy(rule->programs, programs.programs, sizeof programs.programs);
    default_family(group, rule);
}
