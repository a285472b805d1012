/* SPDX-License-Identifier: MIT */
/* Writing the records of a policy: options in their order, and each rule with its actions. */
#include "compile.h"
#include "compile_trial.h"

#include "bytes.h"
#include "policy_split.h"
#include "policy_writer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A distinct option, to be ranked. */
struct entry {
    struct setting_target target;
    size_t rank;
};

/* A symbolic link on the way of a path in `program`, or a path that is not there yet. */
struct program_link {
    const char *path;
    struct policy_source source; /* without its path */
};

struct builder {
    struct policy_writer writer;
    const struct ruleset *ruleset;
    struct diagnostics *diagnostics;
    struct entry *options;
    size_t option_count;
    struct program_link *links; /* without repetition */
    size_t link_count;
    unsigned *criteria;               /* of each rule */
    const struct policy_header *good; /* build_failure(): the last good policy, or NULL */
    const char *failure_text;         /* and why the ruleset could not be compiled */
};

/* Options */

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
    builder->options = arena_grow(&builder->writer.arena, builder->options, builder->option_count,
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
    if (option_is_not_read_back(option))
        flags |= OPTION_NOT_READ_BACK;
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
            policy_append(&builder->writer, SECTION_SIBLINGS, &sibling, sizeof sibling);
        }
    }
}

static void write_options(struct builder *builder)
{
    size_t rows;
    option_table(&rows);
    for (size_t i = 0; i < builder->option_count; i++) {
        const struct entry *entry = &builder->options[i];
        const char *name = entry->rank < rows
                               ? entry->target.option->name
                               : arena_print(&builder->writer.arena, "%d:%d", entry->target.level,
                                             entry->target.optname);
        struct policy_option option = {.level = entry->target.level,
                                       .optname = entry->target.optname,
                                       .name = policy_write_string(&builder->writer, name),
                                       .flags = flags_of(entry->target.option),
                                       .least = least_of(&entry->target)};
        policy_append(&builder->writer, SECTION_OPTIONS, &option, sizeof option);
    }
}

/* Actions */

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
        return setting->option->level == LEVEL_SOCKTUNE ? OP_BACKLOG : OP_SET;
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
        .text = policy_write_string(&builder->writer, setting->text),
        .line = setting->at.line,
        .file = policy_write_string(&builder->writer, setting->at.file),
    };
    if (action.op == OP_MERGE)
        action.mask = 0xffu & ~((1u << ECN_BITS) - 1);
    if (!ignore && value.length != 0) {
        action.value = policy_intern(&builder->writer, SECTION_DATA, value.bytes, value.length);
        action.length = value.length;
    }
    policy_append(&builder->writer, SECTION_ACTIONS, &action, sizeof action);
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

/* Rules */

static void add_link(struct builder *builder, const char *path, struct policy_source source)
{
    for (size_t i = 0; i < builder->link_count; i++)
        if (strcmp(builder->links[i].path, path) == 0)
            return;
    builder->links = arena_grow(&builder->writer.arena, builder->links, builder->link_count,
                                sizeof *builder->links);
    source.kind = SOURCE_LINK;
    builder->links[builder->link_count++] = (struct program_link){
        .path = arena_copy(&builder->writer.arena, path, strlen(path)), .source = source};
}

/* Note each link from `path` to the file. What becomes of a directory on the way is not watched. */
static void add_links(struct builder *builder, const char *path)
{
    enum { LINKS_MOST = 40 }; /* that the kernel follows: path_resolution(7) */
    char at[2 * PATH_MAX], target[PATH_MAX];
    struct stat status;
    ssize_t length;

    snprintf(at, sizeof at, "%s", path);
    for (unsigned i = 0; i < LINKS_MOST && lstat(at, &status) == 0 && S_ISLNK(status.st_mode);
         i++) {
        length = readlink(at, target, sizeof target - 1);
        if (length <= 0)
            return;
        target[length] = '\0';
        add_link(
            builder, at,
            (struct policy_source){.size = (uint64_t)status.st_size,
                                   .hash = bytes_hash(BYTES_HASH_BEGIN, target, (size_t)length),
                                   .inode = status.st_ino,
                                   .mtime_sec = status.st_mtim.tv_sec,
                                   .ctime_sec = status.st_ctim.tv_sec,
                                   .mtime_nsec = (uint32_t)status.st_mtim.tv_nsec,
                                   .ctime_nsec = (uint32_t)status.st_ctim.tv_nsec});
        snprintf(target[0] == '/' ? at : strrchr(at, '/') + 1, PATH_MAX, "%s", target);
    }
    if (lstat(at, &status) != 0)
        add_link(builder, at, (struct policy_source){.inode = 0}); /* absent */
}

/* A program is known by the file that it was executed from, which is never a link. So a path that
 * leads through a link stands for that file as well. NULL if it does not. */
static const char *file_behind(struct builder *builder, const char *pattern)
{
    char file[PATH_MAX];
    if (pattern[0] != '/' || strpbrk(pattern, "*?[]\\") != NULL || strlen(pattern) >= PATH_MAX)
        return NULL;
    add_links(builder, pattern);
    if (realpath(pattern, file) == NULL || strcmp(file, pattern) == 0)
        return NULL;
    return arena_copy(&builder->writer.arena, file, strlen(file));
}

static struct policy_range write_matchers(struct builder *builder, const struct rule *rule)
{
    struct policy_matcher *matchers = NULL;
    size_t count = 0;
    for (unsigned kind = 0; kind < PROGRAM_CRITERIA; kind++) {
        const struct pattern_list *list = &rule->programs[kind];
        for (size_t i = 0; i < list->count; i++) {
            const struct pattern *pattern = &list->items[i];
            bool is_id = kind == MATCHER_USER || kind == MATCHER_GROUP;
            bool is_path = kind == MATCHER_PROGRAM && strchr(pattern->text, '/') != NULL;
            const char *text = is_id ? "" : pattern->text;
            for (; text != NULL; text = is_path ? file_behind(builder, text) : NULL) {
                matchers = arena_grow(&builder->writer.arena, matchers, count, sizeof *matchers);
                matchers[count++] = (struct policy_matcher){
                    .kind = is_path ? MATCHER_PATH : kind,
                    .negate = pattern->negate,
                    .pattern = is_id ? 0 : policy_write_string(&builder->writer, text),
                    .id = pattern->id};
            }
        }
    }
    return policy_write_range(&builder->writer, SECTION_MATCHERS, matchers, count);
}

static void write_rule(struct builder *builder, const struct rule *rule)
{
    size_t first = builder->writer.sections[SECTION_ACTIONS].length / sizeof(struct policy_action);
    struct policy_rule out = {
        .name = policy_write_string(&builder->writer, rule->name),
        .file = policy_write_string(&builder->writer, rule->at.file),
        .line = rule->at.line,
        .flags = (rule->final ? RULE_FINAL : 0u) | (rule->report ? RULE_REPORT : 0u) |
                 (rule->inherited ? RULE_INHERITED : 0u) | (rule->require ? RULE_REQUIRE : 0u) |
                 rule->handoff,
        .matchers = write_matchers(builder, rule),
        .local = policy_write_range(&builder->writer, SECTION_PREFIXES, rule->local.items,
                                    rule->local.count),
        .remote = policy_write_range(&builder->writer, SECTION_PREFIXES, rule->remote.items,
                                     rule->remote.count),
        .local_port = policy_write_range(&builder->writer, SECTION_PORTS, rule->local_port.items,
                                         rule->local_port.count),
        .remote_port = policy_write_range(&builder->writer, SECTION_PORTS, rule->remote_port.items,
                                          rule->remote_port.count),
        .protocols = rule->protocols,
        .roles = rule->roles,
        .families = rule->families,
        .trial = compile_trial(&builder->writer, builder->ruleset, rule),
    };
    struct setting_target targets[SETTING_TARGETS_MAX];
    for (size_t s = 0; s < rule->setting_count; s++) {
        size_t count = setting_targets(&rule->settings[s], targets);
        for (size_t t = 0; t < count; t++)
            write_actions(builder, rule, &rule->settings[s], &targets[t]);
    }
    out.actions.count =
        (uint32_t)(builder->writer.sections[SECTION_ACTIONS].length / sizeof(struct policy_action) -
                   first);
    out.actions.first = out.actions.count != 0 ? (uint32_t)first : 0;
    for (uint32_t a = 0; a < out.actions.count; a++) {
        const struct policy_action *actions =
            (const struct policy_action *)(const void *)builder->writer.sections[SECTION_ACTIONS]
                .bytes;
        out.phases |= actions[first + a].phases;
    }
    policy_append(&builder->writer, SECTION_RULES, &out, sizeof out);
}

static void write_source(struct builder *builder, const char *path, struct policy_source source)
{
    source.path = policy_write_string(&builder->writer, path);
    policy_append(&builder->writer, SECTION_SOURCES, &source, sizeof source);
}

static void write_sources(struct builder *builder)
{
    const struct ruleset *ruleset = builder->ruleset;
    for (size_t i = 0; i < ruleset->source_count; i++)
        write_source(builder, ruleset->sources[i].path, ruleset->sources[i].stamp);
    for (size_t i = 0; i < builder->link_count && ruleset->source_count != 0; i++)
        write_source(builder, builder->links[i].path, builder->links[i].source);
}

/* The whole */

static bool build_policy(struct builder *builder)
{
    const struct ruleset *ruleset = builder->ruleset;
    (void)policy_write_string(&builder->writer, "");
    if (!gather_options(builder))
        return false;
    builder->criteria =
        arena_alloc(&builder->writer.arena, (ruleset->rule_count + 1) * sizeof *builder->criteria);
    for (size_t i = 0; i < ruleset->rule_count; i++)
        builder->criteria[i] = rule_criteria(ruleset, i);
    write_options(builder);
    write_siblings(builder);
    for (size_t i = 0; i < ruleset->rule_count; i++)
        write_rule(builder, &ruleset->rules[i]);
    write_sources(builder);
    return true;
}

/* The sections of the last good policy, with the sources as they are now, and the failure. */
static void build_failure(struct builder *builder)
{
    const struct policy_header *good = builder->good;
    for (unsigned i = 0; good != NULL && i < SECTION_COUNT; i++)
        if (i != SECTION_SOURCES)
            policy_append(&builder->writer, i, (const char *)good + good->sections[i].offset,
                          (size_t)good->sections[i].count * policy_record_size[i]);
    if (good == NULL)
        (void)policy_write_string(&builder->writer, "");
    builder->writer.failure = policy_write_string(&builder->writer, builder->failure_text);
    write_sources(builder);
}

static const struct location nowhere = {"policy", 0};

/* The blob of all rules, malloc()ed, or NULL when a limit is passed. */
static void *build_whole(struct builder *builder, size_t *size)
{
    void *blob;
    if (builder->failure_text != NULL)
        build_failure(builder);
    else if (!build_policy(builder))
        return NULL;
    builder->writer.rule_total = policy_written(&builder->writer, SECTION_RULES);
    builder->writer.flags = builder->good != NULL    ? builder->good->flags
                            : builder->ruleset->live ? POLICY_LIVE
                                                     : 0;
    blob = policy_assemble(&builder->writer, size);
    if (blob == NULL)
        diagnose(builder->diagnostics, SEVERITY_ERROR, nowhere, "too large: %zu bytes, at most %u",
                 *size, POLICY_SIZE_MAX);
    return blob;
}

static int compile_blob(struct builder *builder, void **blob, size_t *size)
{
    if (setjmp(builder->writer.arena.out_of_memory) != 0) {
        diagnose(builder->diagnostics, SEVERITY_ERROR, nowhere, "out of memory");
        *blob = NULL;
    } else {
        *blob = build_whole(builder, size);
    }
    arena_free(&builder->writer.arena);
    if (*blob == NULL)
        return -1;
    *blob = policy_split(*blob, size);
    return 0;
}

int policy_compile(const struct ruleset *ruleset, struct diagnostics *diagnostics, void **blob,
                   size_t *size)
{
    struct builder builder = {.ruleset = ruleset, .diagnostics = diagnostics};
    return compile_blob(&builder, blob, size);
}

int policy_compile_failure(const struct ruleset *ruleset, const struct policy *good,
                           const char *failure, struct diagnostics *diagnostics, void **blob,
                           size_t *size)
{
    struct builder builder = {.ruleset = ruleset,
                              .diagnostics = diagnostics,
                              .good = good != NULL ? (const void *)good->blob : NULL,
                              .failure_text = failure};
    return compile_blob(&builder, blob, size);
}
