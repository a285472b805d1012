/* SPDX-License-Identifier: MIT */
/*
 * Checks a whole policy, once. The rest of socktune follows every offset and index in a policy
 * without a check, so everything invalid must be refused here.
 */
#include "policy.h"

#include "bytes.h"
#include "policy_index.h"

const uint32_t policy_record_size[SECTION_COUNT] = {
    [SECTION_SOURCES] = sizeof(struct policy_source),
    [SECTION_MATCHERS] = sizeof(struct policy_matcher),
    [SECTION_RULES] = sizeof(struct policy_rule),
    [SECTION_OPTIONS] = sizeof(struct policy_option),
    [SECTION_ACTIONS] = sizeof(struct policy_action),
    [SECTION_PREFIXES] = sizeof(struct policy_prefix),
    [SECTION_PORTS] = sizeof(struct policy_port),
    [SECTION_SIBLINGS] = sizeof(struct policy_sibling),
    [SECTION_TRIALS] = sizeof(struct policy_trial),
    [SECTION_DATA] = 1,
};

#define STRING(section, type, field)                                                               \
    {                                                                                              \
        section, REFERS_STRING, 0, offsetof(type, field)                                           \
    }
#define RANGE(section, type, field, target)                                                        \
    {                                                                                              \
        section, REFERS_RANGE, target, offsetof(type, field)                                       \
    }
#define OPTION(section, type, field)                                                               \
    {                                                                                              \
        section, REFERS_OPTION, 0, offsetof(type, field)                                           \
    }

const struct policy_reference policy_references[POLICY_REFERENCES] = {
    STRING(SECTION_SOURCES, struct policy_source, path),
    STRING(SECTION_MATCHERS, struct policy_matcher, pattern),
    STRING(SECTION_RULES, struct policy_rule, name),
    STRING(SECTION_RULES, struct policy_rule, file),
    RANGE(SECTION_RULES, struct policy_rule, matchers, SECTION_MATCHERS),
    RANGE(SECTION_RULES, struct policy_rule, local, SECTION_PREFIXES),
    RANGE(SECTION_RULES, struct policy_rule, remote, SECTION_PREFIXES),
    RANGE(SECTION_RULES, struct policy_rule, local_port, SECTION_PORTS),
    RANGE(SECTION_RULES, struct policy_rule, remote_port, SECTION_PORTS),
    RANGE(SECTION_RULES, struct policy_rule, actions, SECTION_ACTIONS),
    RANGE(SECTION_RULES, struct policy_rule, trial, SECTION_TRIALS),
    STRING(SECTION_TRIALS, struct policy_trial, text),
    STRING(SECTION_OPTIONS, struct policy_option, name),
    OPTION(SECTION_ACTIONS, struct policy_action, option),
    RANGE(SECTION_ACTIONS, struct policy_action, value, SECTION_DATA), /* and `length` */
    STRING(SECTION_ACTIONS, struct policy_action, text),
    STRING(SECTION_ACTIONS, struct policy_action, file),
    OPTION(SECTION_SIBLINGS, struct policy_sibling, option),
};
_Static_assert(offsetof(struct policy_action, length) == offsetof(struct policy_action, value) + 4,
               "a range");

/* The format is equal for every word size and compiler. */
_Static_assert(sizeof(struct policy_header) == 56 + 8 * SECTION_COUNT, "header");
_Static_assert(sizeof(struct policy_source) == 56, "source");
_Static_assert(sizeof(struct policy_matcher) == 16, "matcher");
_Static_assert(sizeof(struct policy_rule) == 80, "rule");
_Static_assert(sizeof(struct policy_trial) == 32, "trial");
_Static_assert(sizeof(struct policy_option) == 16, "option");
_Static_assert(sizeof(struct policy_action) == 36, "action");
_Static_assert(sizeof(struct policy_prefix) == 20, "prefix");
_Static_assert(sizeof(struct policy_port) == 8, "port");
_Static_assert(sizeof(struct policy_sibling) == 12, "sibling");

static uint64_t mix_word(uint64_t lane, uint64_t word)
{
    uint64_t h = (lane ^ word) * 0x9e3779b97f4a7c15u;
    return h << 29 | h >> 35;
}

/* Four independent lanes of 8 bytes: a policy is checked at each start of a program, so this must
 * be faster than reading the file. */
uint64_t policy_checksum_bytes(const void *bytes, size_t size)
{
    const uint64_t *words = bytes;
    size_t count = size / sizeof *words, i = 0;
    uint64_t a = size, b = 1, c = 2, d = 3;
    for (; i + 4 <= count; i += 4) {
        a = mix_word(a, words[i]);
        b = mix_word(b, words[i + 1]);
        c = mix_word(c, words[i + 2]);
        d = mix_word(d, words[i + 3]);
    }
    for (; i < count; i++)
        a = mix_word(a, words[i]);
    return mix_word(mix_word(a, b), mix_word(c, d));
}

uint64_t policy_checksum(const void *blob, size_t size)
{
    const size_t from = offsetof(struct policy_header, failure);
    return policy_checksum_bytes((const uint8_t *)blob + from, size - from);
}

static const void *section_of(const struct policy_header *header, enum policy_section_id id)
{
    return (const uint8_t *)header + header->sections[id].offset;
}

static bool sections_fit(const struct policy_header *header)
{
    for (unsigned i = 0; i < SECTION_COUNT; i++) {
        const struct policy_section *s = &header->sections[i];
        if (s->offset % 8 != 0 || s->offset < sizeof *header || s->offset > header->size)
            return false;
        if (s->count > (header->size - s->offset) / policy_record_size[i])
            return false;
    }
    return true;
}

static bool in_section(const struct policy_header *header, enum policy_section_id id,
                       struct policy_range range)
{
    uint32_t count = header->sections[id].count;
    return range.first <= count && range.count <= count - range.first;
}

/* The data section begins and ends with a NUL, so any offset inside it is a terminated string. */
static bool is_string(const struct policy_header *header, uint32_t offset)
{
    return offset < header->sections[SECTION_DATA].count;
}

static bool reference_ok(const struct policy_header *header,
                         const struct policy_reference *reference, const void *field)
{
    const uint32_t *words = field;
    switch ((enum policy_reference_kind)reference->kind) {
    case REFERS_STRING:
        return is_string(header, words[0]);
    case REFERS_RANGE:
        return in_section(header, reference->target, (struct policy_range){words[0], words[1]});
    case REFERS_OPTION:
        return *(const uint16_t *)field < header->sections[SECTION_OPTIONS].count;
    }
    return false;
}

static bool references_ok(const struct policy_header *header)
{
    for (size_t i = 0; i < POLICY_REFERENCES; i++) {
        const struct policy_reference *reference = &policy_references[i];
        const uint8_t *field = section_of(header, reference->section);
        field += reference->offset;
        for (uint32_t left = header->sections[reference->section].count; left > 0; left--) {
            if (!reference_ok(header, reference, field))
                return false;
            field += policy_record_size[reference->section];
        }
    }
    return true;
}

/* Checks of fields that refer to nothing. references_ok() has already passed. */
static bool source_ok(const struct policy_header *h, const struct policy_source *source)
{
    (void)h;
    return source->kind < SOURCE_KINDS;
}

static bool matcher_ok(const struct policy_header *h, const struct policy_matcher *matcher)
{
    (void)h;
    return matcher->kind < MATCHER_COUNT && matcher->negate <= 1;
}

static bool rule_ok(const struct policy_header *h, const struct policy_rule *rule)
{
    static const uint32_t flags =
        RULE_FINAL | RULE_REPORT | RULE_HANDOFF | RULE_INHERITED | RULE_REQUIRE;
    (void)h;
    return (rule->flags & ~flags) == 0 && (rule->flags & RULE_HANDOFF) != RULE_HANDOFF &&
           rule->protocols != 0 && (rule->protocols & ~(unsigned)PROTOCOL_ALL) == 0 &&
           rule->roles != 0 && (rule->roles & ~(unsigned)ROLE_ALL) == 0 && rule->families != 0 &&
           (rule->families & ~(unsigned)FAMILY_ALL) == 0 && (rule->phases & ~PHASE_ALL) == 0 &&
           rule->trial.count <= 1;
}

static bool trial_ok(const struct policy_header *h, const struct policy_trial *trial)
{
    (void)h;
    return trial->arm < trial->arms && trial->arms <= POLICY_TRIAL_ARMS_MAX &&
           trial->number < POLICY_TRIALS_MAX;
}

static bool option_ok(const struct policy_header *h, const struct policy_option *option)
{
    (void)h;
    return option->level >= LEVEL_SOCKTUNE;
}

static bool action_ok(const struct policy_header *h, const struct policy_action *action)
{
    static const uint32_t fixed_length[OP_COUNT] = {
        [OP_MERGE] = 4, [OP_TRANSPORT] = 4, [OP_SOURCE] = 16, [OP_BACKLOG] = 4};
    if (action->mode >= MODE_COUNT || action->op >= OP_COUNT || action->length > POLICY_VALUE_MAX)
        return false;
    const struct policy_option *option =
        (const struct policy_option *)section_of(h, SECTION_OPTIONS) + action->option;
    bool pseudo = policy_is_argument(action) || action->op == OP_SOURCE;
    if (action->mode != MODE_IGNORE && fixed_length[action->op] != 0 &&
        action->length != fixed_length[action->op])
        return false;
    return (option->level == LEVEL_SOCKTUNE) == pseudo &&
           (action->mode != MODE_IGNORE || action->phases == 0) &&
           (action->phases & ~PHASE_ALL) == 0;
}

static bool prefix_ok(const struct policy_header *h, const struct policy_prefix *prefix)
{
    (void)h;
    return prefix->length <= 128 && prefix->v4 <= 1 && prefix->negate <= 1 &&
           (!prefix->v4 || prefix->length >= 96);
}

static bool port_ok(const struct policy_header *h, const struct policy_port *port)
{
    (void)h;
    return port->low <= port->high && port->negate <= 1;
}

static bool sibling_ok(const struct policy_header *h, const struct policy_sibling *sibling)
{
    (void)h;
    return sibling->effect <= SIBLING_DISTURBS;
}

#define EACH_OK(header, id, type, check)                                                           \
    ({                                                                                             \
        const type *record_ = section_of(header, id);                                              \
        uint32_t left_ = (header)->sections[id].count;                                             \
        while (left_ > 0 && check(header, record_)) {                                              \
            record_++;                                                                             \
            left_--;                                                                               \
        }                                                                                          \
        left_ == 0;                                                                                \
    })

static bool records_ok(const struct policy_header *h)
{
    const struct policy_section *data = &h->sections[SECTION_DATA];
    const char *bytes = section_of(h, SECTION_DATA);
    if (data->count == 0 || bytes[0] != 0 || bytes[data->count - 1] != 0)
        return false;
    if (!is_string(h, h->failure) || (h->flags & ~(uint32_t)POLICY_LIVE) != 0)
        return false;
    return references_ok(h) && EACH_OK(h, SECTION_SOURCES, struct policy_source, source_ok) &&
           EACH_OK(h, SECTION_MATCHERS, struct policy_matcher, matcher_ok) &&
           EACH_OK(h, SECTION_RULES, struct policy_rule, rule_ok) &&
           EACH_OK(h, SECTION_OPTIONS, struct policy_option, option_ok) &&
           EACH_OK(h, SECTION_ACTIONS, struct policy_action, action_ok) &&
           EACH_OK(h, SECTION_PREFIXES, struct policy_prefix, prefix_ok) &&
           EACH_OK(h, SECTION_PORTS, struct policy_port, port_ok) &&
           EACH_OK(h, SECTION_SIBLINGS, struct policy_sibling, sibling_ok) &&
           EACH_OK(h, SECTION_TRIALS, struct policy_trial, trial_ok);
}

/* A file has either both an index and a whole, or neither. The index is between front and whole. */
static bool layout_ok(const struct policy_header *h, uint64_t file_size)
{
    if (h->whole == 0)
        return h->index.count == 0;
    return h->whole % 8 == 0 && h->whole <= file_size && h->index.count != 0 &&
           h->index.offset % 8 == 0 && h->index.offset >= h->size && h->index.offset <= h->whole &&
           h->index.count <= (h->whole - h->index.offset) / sizeof(struct policy_index_block);
}

const char *policy_check_header(const void *begin, size_t size, uint64_t file_size)
{
    const struct policy_header *h = begin;
    if (size < sizeof h->magic || !bytes_equal(h->magic, POLICY_MAGIC, sizeof h->magic))
        return "not a socktune policy";
    if (size < sizeof *h)
        return "cut short";
    if (h->version == __builtin_bswap32(POLICY_VERSION))
        return "made on a machine of the other byte order; compile the rules here";
    if (h->version != POLICY_VERSION)
        return "made by another version of socktune";
    if (file_size % 8 != 0 || file_size > POLICY_SIZE_MAX || h->size % 8 != 0 ||
        h->size < sizeof *h || h->size > file_size || (h->whole == 0 && h->size != file_size))
        return "cut short, or longer than it says";
    return layout_ok(h, file_size) ? NULL : "malformed";
}

const char *policy_open(struct policy *policy, const void *file, size_t size)
{
    const struct policy_header *front = file;
    struct policy opened;
    const char *wrong = policy_check_header(file, size, size);
    if (wrong == NULL)
        wrong = policy_open_blob(&opened, file, front->size);
    if (wrong == NULL && front->whole != 0) {
        const uint8_t *bytes = file;
        if (front->rest_checksum !=
            policy_checksum_bytes(bytes + front->size, front->whole - front->size))
            return "damaged: the checksum differs";
        wrong = policy_open_blob(&opened, bytes + front->whole, size - front->whole);
    }
    if (wrong == NULL)
        *policy = opened;
    return wrong;
}

const char *policy_open_blob(struct policy *policy, const void *blob, size_t size)
{
    const struct policy_header *h = blob;
    if (size < sizeof *h || h->size != size || size % 8 != 0)
        return "cut short, or longer than it says";
    if (!bytes_equal(h->magic, POLICY_MAGIC, sizeof h->magic) || h->version != POLICY_VERSION)
        return "malformed";
    if (h->checksum != policy_checksum(blob, size))
        return "damaged: the checksum differs";
    if (!sections_fit(h) || h->sections[SECTION_OPTIONS].count > POLICY_OPTIONS_MAX ||
        !records_ok(h))
        return "malformed";
    *policy = (struct policy){
        .blob = blob,
        .sources = section_of(h, SECTION_SOURCES),
        .matchers = section_of(h, SECTION_MATCHERS),
        .rules = section_of(h, SECTION_RULES),
        .options = section_of(h, SECTION_OPTIONS),
        .actions = section_of(h, SECTION_ACTIONS),
        .prefixes = section_of(h, SECTION_PREFIXES),
        .ports = section_of(h, SECTION_PORTS),
        .siblings = section_of(h, SECTION_SIBLINGS),
        .trials = section_of(h, SECTION_TRIALS),
        .data = section_of(h, SECTION_DATA),
        .failure = (const char *)section_of(h, SECTION_DATA) + h->failure,
        .checksum = h->checksum,
        .flags = h->flags,
        .size = h->size,
        .source_count = h->sections[SECTION_SOURCES].count,
        .matcher_count = h->sections[SECTION_MATCHERS].count,
        .rule_count = h->sections[SECTION_RULES].count,
        .rule_total = h->rule_total,
        .option_count = h->sections[SECTION_OPTIONS].count,
        .action_count = h->sections[SECTION_ACTIONS].count,
        .sibling_count = h->sections[SECTION_SIBLINGS].count,
    };
    return NULL;
}

bool policy_is_rule_file(const char *name)
{
    static const char suffix[] = ".conf";
    size_t length = 0;
    while (name[length] != 0)
        length++;
    return name[0] != '.' && length >= sizeof suffix &&
           bytes_equal(name + length - (sizeof suffix - 1), suffix, sizeof suffix);
}

uint64_t policy_name_hash(const char *name)
{
    size_t length = 0;
    while (name[length] != 0)
        length++;
    return policy_is_rule_file(name) ? bytes_hash(BYTES_HASH_BEGIN, name, length) : 0;
}

bool policy_option_is_set_by(const struct policy *policy, uint32_t option, int level, int optname,
                             enum sibling_effect effect)
{
    if (effect == SIBLING_SAME && policy->options[option].level == level &&
        policy->options[option].optname == optname)
        return true;
    for (uint32_t i = 0; i < policy->sibling_count; i++) {
        const struct policy_sibling *sibling = &policy->siblings[i];
        if (sibling->option == option && sibling->level == level && sibling->optname == optname &&
            sibling->effect == effect)
            return true;
    }
    return false;
}

unsigned policy_needs(const struct policy *policy)
{
    static const uint8_t needs_of[MATCHER_COUNT] = {
#define PROGRAM_CRITERION(name, NAME, needs, summary) [MATCHER_##NAME] = (needs),
#include "criteria.def"
    };
    unsigned needs = 0;
    for (uint32_t i = 0; i < policy->matcher_count; i++)
        needs |= needs_of[policy->matchers[i].kind];
    return needs;
}

const struct policy_rule *policy_rule_of_action(const struct policy *policy, uint32_t index)
{
    const struct policy_rule *rule = policy->rules;
    while (index - rule->actions.first >= rule->actions.count)
        rule++;
    return rule;
}
