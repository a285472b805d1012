/* SPDX-License-Identifier: MIT */
/* Laying out a policy: each section is gathered in the arena, then all are put one behind the
 * other. What occurs twice is kept once. */
#include "compile.h"

#include "arena.h"

#include <stdlib.h>
#include <string.h>

/* The tables live in the arena of the builder at hand. */
#define uthash_malloc(size)    arena_alloc(&builder->arena, size)
#define uthash_free(ptr, size) ((void)(ptr))
#include <uthash.h>

/* Records of a section that were added together. */
struct run {
    const void *bytes;
    uint32_t first;
    UT_hash_handle hh;
};

struct section {
    unsigned char *bytes;
    size_t length;
    size_t room;
    struct run *runs;
};

/* A distinct option, to be ranked. */
struct entry {
    struct setting_target target;
    size_t rank;
};

struct builder {
    struct arena arena;
    const struct ruleset *ruleset;
    struct diagnostics *diagnostics;
    struct section sections[SECTION_COUNT];
    struct entry *options;
    size_t option_count;
    unsigned *criteria;               /* of each rule */
    const struct policy_header *good; /* build_failure(): the last good policy, or NULL */
    const char *failure_text;         /* and why the ruleset could not be compiled */
    uint32_t failure;                 /* string */
    void *blob;
    size_t size;
};

/* --- sections ------------------------------------------------------------------------------- */

/* Append records; returns the index of the first. */
static uint32_t append(struct builder *builder, enum policy_section_id id, const void *bytes,
                       size_t length)
{
    struct section *section = &builder->sections[id];
    size_t first = section->length / policy_record_size[id];

    if (section->length + length > section->room) {
        size_t room = 2 * (section->length + length) + 64;
        unsigned char *grown = arena_alloc(&builder->arena, room);

        if (section->length != 0)
            memcpy(grown, section->bytes, section->length);
        section->bytes = grown;
        section->room = room;
    }
    memcpy(section->bytes + section->length, bytes, length);
    section->length += length;
    return (uint32_t)first;
}

/* The same, unless these very records are there already. */
static uint32_t intern(struct builder *builder, enum policy_section_id id, const void *bytes,
                       size_t length)
{
    struct section *section = &builder->sections[id];
    struct run *run;

    HASH_FIND(hh, section->runs, bytes, length, run);
    if (run == NULL) {
        run = arena_alloc(&builder->arena, sizeof *run);
        run->bytes = arena_copy(&builder->arena, bytes, length);
        run->first = append(builder, id, bytes, length);
        HASH_ADD_KEYPTR(hh, section->runs, run->bytes, length, run);
    }
    return run->first;
}

static uint32_t string(struct builder *builder, const char *text)
{
    return intern(builder, SECTION_DATA, text, strlen(text) + 1);
}

static struct policy_range range(struct builder *builder, enum policy_section_id id,
                                 const void *records, size_t count)
{
    if (count == 0)
        return (struct policy_range){0, 0};
    return (struct policy_range){intern(builder, id, records, count * policy_record_size[id]),
                                 (uint32_t)count};
}

/* --- options -------------------------------------------------------------------------------- */

/* Rows in the order of the table, then what has no row. Where two numbers stand for one option
 * (SO_RCVTIMEO_OLD), only the row's own is the row. */
static size_t rank_of(const struct setting_target *target)
{
    size_t rows;
    const struct option *table = option_table(&rows);
    const struct option *option = target->option;

    return option != NULL && option->optname == target->optname ? (size_t)(option - table) : rows;
}

static int by_rank(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;

    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->target.level != b->target.level)
        return a->target.level < b->target.level ? -1 : 1;
    return (a->target.optname > b->target.optname) - (a->target.optname < b->target.optname);
}

static size_t option_index(const struct builder *builder, const struct setting_target *target)
{
    size_t i = 0;

    while (i < builder->option_count && (builder->options[i].target.level != target->level ||
                                         builder->options[i].target.optname != target->optname))
        i++;
    return i;
}

/* False when there are too many. */
static bool add_option(struct builder *builder, const struct setting *setting,
                       const struct setting_target *target)
{
    if (option_index(builder, target) < builder->option_count)
        return true;
    if (builder->option_count == POLICY_OPTIONS_MAX) {
        diagnose(builder->diagnostics, SEVERITY_ERROR, setting->at,
                 "too many different options: at most %u in one policy", POLICY_OPTIONS_MAX);
        return false;
    }
    builder->options = arena_grow(&builder->arena, builder->options, builder->option_count,
                                  sizeof *builder->options);
    builder->options[builder->option_count++] =
        (struct entry){.target = *target, .rank = rank_of(target)};
    return true;
}

static bool gather_options(struct builder *builder)
{
    struct setting_target targets[SETTING_TARGETS_MAX];

    for (size_t r = 0; r < builder->ruleset->rule_count; r++) {
        const struct rule *rule = &builder->ruleset->rules[r];

        for (size_t s = 0; s < rule->setting_count; s++) {
            size_t count = setting_targets(&rule->settings[s], targets);

            for (size_t t = 0; t < count; t++)
                if (!add_option(builder, &rule->settings[s], &targets[t]))
                    return false;
        }
    }
    if (builder->option_count > 1)
        qsort(builder->options, builder->option_count, sizeof *builder->options, by_rank);
    return true;
}

static uint16_t flags_of(const struct option *option)
{
    uint16_t flags = 0;

    if (option == NULL)
        return 0;
    if (option->inherit == INHERIT_YES || option->inherit == INHERIT_UNWANTED)
        flags |= OPTION_INHERITED;
    if (option->when == WHEN_BIND || option->when == WHEN_HANDSHAKE)
        flags |= OPTION_EARLY;
    return flags;
}

/* Of an option without a row nothing is known. */
static uint16_t least_of(const struct setting_target *target)
{
    return target->option != NULL ? (uint16_t)option_least_length(target->option) : 0;
}

static void write_siblings(struct builder *builder)
{
    struct option_sibling found[OPTION_SIBLINGS_MAX];

    for (size_t i = 0; i < builder->option_count; i++) {
        const struct setting_target *target = &builder->options[i].target;
        size_t count = option_siblings(target->level, target->optname, found);

        for (size_t s = 0; s < count; s++) {
            struct policy_sibling sibling = {.level = found[s].level,
                                             .optname = found[s].optname,
                                             .option = (uint16_t)i,
                                             .effect = (uint16_t)found[s].effect};

            append(builder, SECTION_SIBLINGS, &sibling, sizeof sibling);
        }
    }
}

static void write_options(struct builder *builder)
{
    size_t rows;

    option_table(&rows);
    for (size_t i = 0; i < builder->option_count; i++) {
        const struct entry *entry = &builder->options[i];
        const char *name =
            entry->rank < rows
                ? entry->target.option->name
                : arena_print(&builder->arena, "%d:%d", entry->target.level, entry->target.optname);
        struct policy_option option = {.level = entry->target.level,
                                       .optname = entry->target.optname,
                                       .name = string(builder, name),
                                       .flags = flags_of(entry->target.option),
                                       .least = least_of(&entry->target)};

        append(builder, SECTION_OPTIONS, &option, sizeof option);
    }
}

/* --- actions -------------------------------------------------------------------------------- */

/* Another rule may give the option to listeners but not to what they accept: then the accepted
 * sockets inherit the wrong value. */
static bool is_contested(const struct builder *builder, const struct rule *rule,
                         const struct setting_target *target)
{
    struct setting_target others[SETTING_TARGETS_MAX];

    for (size_t r = 0; r < builder->ruleset->rule_count; r++) {
        const struct rule *other = &builder->ruleset->rules[r];

        if (other == rule || (rule_roles(other) & (ROLE_LISTEN | ROLE_ACCEPT)) != ROLE_LISTEN)
            continue;
        for (size_t s = 0; s < other->setting_count; s++) {
            size_t count = setting_targets(&other->settings[s], others);

            for (size_t t = 0; t < count && other->settings[s].mode != MODE_IGNORE; t++)
                if (others[t].level == target->level && others[t].optname == target->optname)
                    return true;
        }
    }
    return false;
}

/* The phases of a part, with accept() where inheritance alone would give a wrong value. */
static unsigned phases_of(const struct builder *builder, const struct rule *rule,
                          const struct setting_target *target, const struct target_part *part)
{
    const struct option *option = target->option;
    bool by_inheritance = option != NULL && option->inherit == INHERIT_YES &&
                          (option->when == WHEN_ANY || option->when == WHEN_AFTER) &&
                          (option->roles & rule_roles(rule) & ROLE_ACCEPT) != 0 &&
                          (part->protocols & PROTOCOL_CONNECTED) != 0;

    if (by_inheritance && part->phases != 0 && is_contested(builder, rule, target))
        return part->phases | PHASE_BIT(PHASE_ACCEPT);
    return part->phases;
}

static enum action_op op_of(const struct setting *setting)
{
    if (setting->option == NULL)
        return OP_SET;
    switch (setting->option->kind) {
    case KIND_DSCP:
        return OP_MERGE;
    case KIND_TRANSPORT:
        return OP_TRANSPORT;
    case KIND_ADDRESS:
        return OP_SOURCE;
    default:
        return OP_SET;
    }
}

enum { ECN_BITS = 2 }; /* below the code point in the byte of IP_TOS and IPV6_TCLASS */

/* The bytes to be set: as parsed, but for a code point, which goes into its place in the byte. */
static struct value value_of(const struct setting *setting)
{
    struct value value = setting->value;
    int32_t number;

    if (setting->option != NULL && setting->option->kind == KIND_DSCP &&
        value.length == sizeof number) {
        memcpy(&number, value.bytes, sizeof number);
        number <<= ECN_BITS;
        memcpy(value.bytes, &number, sizeof number);
    }
    return value;
}

static void write_action(struct builder *builder, const struct rule *rule,
                         const struct setting *setting, const struct setting_target *target,
                         const struct target_part *part)
{
    struct value value = value_of(setting);
    bool ignore = setting->mode == MODE_IGNORE;
    struct policy_action action = {
        .option = (uint16_t)option_index(builder, target),
        .mode = (uint8_t)setting->mode,
        .op = ignore ? OP_SET : (uint8_t)op_of(setting),
        .phases = (uint16_t)phases_of(builder, rule, target, part),
        .protocols = part->protocols,
        .families = part->families,
        .text = string(builder, setting->text),
        .line = setting->at.line,
        .file = string(builder, setting->at.file),
    };

    if (action.op == OP_MERGE)
        action.mask = 0xffu & ~((1u << ECN_BITS) - 1);
    if (!ignore && value.length != 0) {
        action.value = intern(builder, SECTION_DATA, value.bytes, value.length);
        action.length = value.length;
    }
    append(builder, SECTION_ACTIONS, &action, sizeof action);
}

static void write_actions(struct builder *builder, const struct rule *rule,
                          const struct setting *setting, const struct setting_target *target)
{
    unsigned criteria = builder->criteria[rule - builder->ruleset->rules];
    struct target_part parts[TARGET_PARTS_MAX];
    size_t count = target_parts(rule, criteria, setting, target, parts);

    for (size_t i = 0; i < count; i++)
        write_action(builder, rule, setting, target, &parts[i]);
}

/* --- rules ---------------------------------------------------------------------------------- */

static uint32_t kind_of_program(const char *glob)
{
    return strchr(glob, '/') != NULL ? MATCHER_PATH : MATCHER_NAME;
}

static struct policy_range write_matchers(struct builder *builder, const struct rule *rule)
{
    const struct pattern_list *lists[] = {&rule->program, &rule->command, &rule->user};
    struct policy_matcher *matchers = NULL;
    size_t count = 0;

    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++) {
        for (size_t i = 0; i < lists[l]->count; i++) {
            const struct pattern *pattern = &lists[l]->items[i];
            bool user = lists[l] == &rule->user;

            matchers = arena_grow(&builder->arena, matchers, count, sizeof *matchers);
            matchers[count++] = (struct policy_matcher){
                .kind = user                         ? MATCHER_USER
                        : lists[l] == &rule->command ? MATCHER_COMMAND
                                                     : kind_of_program(pattern->text),
                .negate = pattern->negate,
                .pattern = user ? 0 : string(builder, pattern->text),
                .uid = pattern->uid};
        }
    }
    return range(builder, SECTION_MATCHERS, matchers, count);
}

static void write_rule(struct builder *builder, const struct rule *rule)
{
    size_t first = builder->sections[SECTION_ACTIONS].length / sizeof(struct policy_action);
    struct policy_rule out = {
        .name = string(builder, rule->name),
        .file = string(builder, rule->at.file),
        .line = rule->at.line,
        .flags = (rule->final ? RULE_FINAL : 0u) | (rule->report ? RULE_REPORT : 0u) |
                 (rule->inherited ? RULE_INHERITED : 0u) | rule->handoff,
        .matchers = write_matchers(builder, rule),
        .local = range(builder, SECTION_PREFIXES, rule->local.items, rule->local.count),
        .remote = range(builder, SECTION_PREFIXES, rule->remote.items, rule->remote.count),
        .local_port = range(builder, SECTION_PORTS, rule->local_port.items, rule->local_port.count),
        .remote_port =
            range(builder, SECTION_PORTS, rule->remote_port.items, rule->remote_port.count),
        .protocols = rule->protocols,
        .roles = rule->roles,
        .families = rule->families,
    };
    struct setting_target targets[SETTING_TARGETS_MAX];

    for (size_t s = 0; s < rule->setting_count; s++) {
        size_t count = setting_targets(&rule->settings[s], targets);

        for (size_t t = 0; t < count; t++)
            write_actions(builder, rule, &rule->settings[s], &targets[t]);
    }
    out.actions.count =
        (uint32_t)(builder->sections[SECTION_ACTIONS].length / sizeof(struct policy_action) -
                   first);
    out.actions.first = out.actions.count != 0 ? (uint32_t)first : 0;
    for (uint32_t a = 0; a < out.actions.count; a++) {
        const struct policy_action *actions =
            (const struct policy_action *)(const void *)builder->sections[SECTION_ACTIONS].bytes;

        out.phases |= actions[first + a].phases;
    }
    append(builder, SECTION_RULES, &out, sizeof out);
}

static void write_sources(struct builder *builder)
{
    for (size_t i = 0; i < builder->ruleset->source_count; i++) {
        struct policy_source source = builder->ruleset->sources[i].stamp;

        source.path = string(builder, builder->ruleset->sources[i].path);
        append(builder, SECTION_SOURCES, &source, sizeof source);
    }
}

/* --- the whole ------------------------------------------------------------------------------ */

static size_t aligned(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static bool assemble(struct builder *builder)
{
    struct policy_header header = {.version = POLICY_VERSION};
    size_t size = aligned(sizeof header);
    unsigned char *blob;

    memcpy(header.magic, POLICY_MAGIC, sizeof header.magic);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        header.sections[i].offset = (uint32_t)size;
        header.sections[i].count = (uint32_t)(builder->sections[i].length / policy_record_size[i]);
        size += aligned(builder->sections[i].length);
    }
    if (size > POLICY_SIZE_MAX) {
        diagnose(builder->diagnostics, SEVERITY_ERROR, (struct location){"policy", 0},
                 "too large: %zu bytes, at most %u", size, POLICY_SIZE_MAX);
        return false;
    }
    blob = calloc(1, size);
    if (blob == NULL)
        longjmp(builder->arena.out_of_memory, 1);
    header.size = (uint32_t)size;
    header.failure = builder->failure;
    memcpy(blob, &header, sizeof header);
    for (size_t i = 0; i < SECTION_COUNT; i++)
        if (builder->sections[i].length != 0)
            memcpy(blob + header.sections[i].offset, builder->sections[i].bytes,
                   builder->sections[i].length);
    header.checksum = policy_checksum(blob, size);
    memcpy(blob, &header, sizeof header);
    builder->blob = blob;
    builder->size = size;
    return true;
}

static bool build(struct builder *builder)
{
    const struct ruleset *ruleset = builder->ruleset;

    (void)string(builder, "");
    if (!gather_options(builder))
        return false;
    builder->criteria =
        arena_alloc(&builder->arena, (ruleset->rule_count + 1) * sizeof *builder->criteria);
    for (size_t i = 0; i < ruleset->rule_count; i++)
        builder->criteria[i] = rule_criteria(ruleset, i);
    write_options(builder);
    write_siblings(builder);
    for (size_t i = 0; i < ruleset->rule_count; i++)
        write_rule(builder, &ruleset->rules[i]);
    write_sources(builder);
    append(builder, SECTION_DATA, "", 1); /* so that each offset is that of a terminated string */
    return assemble(builder);
}

/* The sections of the last good policy, with the sources as they are now, and the failure. */
static bool build_failure(struct builder *builder)
{
    const struct policy_header *good = builder->good;

    for (unsigned i = 0; good != NULL && i < SECTION_COUNT; i++)
        if (i != SECTION_SOURCES)
            append(builder, i, (const char *)good + good->sections[i].offset,
                   (size_t)good->sections[i].count * policy_record_size[i]);
    if (good == NULL)
        (void)string(builder, "");
    builder->failure = string(builder, builder->failure_text);
    write_sources(builder);
    append(builder, SECTION_DATA, "", 1);
    return assemble(builder);
}

/* False when a limit is passed, told already, or when memory ended. */
static bool build_guarded(struct builder *builder)
{
    static const struct location nowhere = {"policy", 0};

    if (setjmp(builder->arena.out_of_memory) != 0) {
        diagnose(builder->diagnostics, SEVERITY_ERROR, nowhere, "out of memory");
        return false;
    }
    return builder->failure_text != NULL ? build_failure(builder) : build(builder);
}

static int compile(struct builder *builder, void **blob, size_t *size)
{
    bool built = build_guarded(builder);

    arena_free(&builder->arena);
    if (!built)
        return -1;
    *blob = builder->blob;
    *size = builder->size;
    return 0;
}

int policy_compile(const struct ruleset *ruleset, struct diagnostics *diagnostics, void **blob,
                   size_t *size)
{
    struct builder builder = {.ruleset = ruleset, .diagnostics = diagnostics};

    return compile(&builder, blob, size);
}

int policy_compile_failure(const struct ruleset *ruleset, const struct policy *good,
                           const char *failure, struct diagnostics *diagnostics, void **blob,
                           size_t *size)
{
    struct builder builder = {.ruleset = ruleset,
                              .diagnostics = diagnostics,
                              .good = good != NULL ? (const void *)good->blob : NULL,
                              .failure_text = failure};

    return compile(&builder, blob, size);
}
