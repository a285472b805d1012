/* SPDX-License-Identifier: MIT */
#include "policy_split.h"

#include "policy_index.h"
#include "policy_writer.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

/* A rule that is for programs of one name alone; it has a key for each name. */
struct key {
    uint64_t hash; /* policy_index_hash() */
    uint32_t rule;
};

struct splitter {
    struct arena arena;
    struct policy policy; /* all rules */
    struct key *keys;     /* by hash, then by rule */
    size_t key_count;
    uint32_t *general; /* the rules without a key, ascending */
    size_t general_count;
    uint32_t *chosen; /* room for the rules of a part */
    unsigned char *file;
    size_t size; /* what `file` has */
    size_t room;
    struct policy_index_block *index;
    uint32_t blocks;
};

/* Which rule is for which name */

/* The name with which all paths end that the pattern matches; NULL if it has wildcards. */
static const char *literal_name(const char *pattern)
{
    const char *name = text_basename(pattern);
    return strpbrk(name, "*?[]\\") == NULL ? name : NULL;
}

static void add_key(struct splitter *splitter, const char *name, uint32_t rule)
{
    splitter->keys =
        arena_grow(&splitter->arena, splitter->keys, splitter->key_count, sizeof *splitter->keys);
    splitter->keys[splitter->key_count++] = (struct key){policy_index_hash(name), rule};
}

/* False if the rule could be for programs of any name. */
static bool add_keys(struct splitter *splitter, uint32_t rule)
{
    const struct policy_range range = splitter->policy.rules[rule].matchers;
    const struct policy_matcher *matchers = splitter->policy.matchers + range.first;
    size_t before = splitter->key_count;
    for (uint32_t i = 0; i < range.count; i++) {
        const char *name;
        if (matchers[i].negate ||
            (matchers[i].kind != MATCHER_PROGRAM && matchers[i].kind != MATCHER_PATH))
            continue;
        name = literal_name(policy_string(&splitter->policy, matchers[i].pattern));
        if (name == NULL) {
            splitter->key_count = before;
            return false;
        }
        add_key(splitter, name, rule);
    }
    return splitter->key_count != before;
}

static int by_hash(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    return (a->rule > b->rule) - (a->rule < b->rule);
}

static void sort_rules(struct splitter *splitter)
{
    uint32_t count = splitter->policy.rule_count;
    splitter->general = arena_alloc(&splitter->arena, (count + 1) * sizeof *splitter->general);
    splitter->chosen = arena_alloc(&splitter->arena, (count + 1) * sizeof *splitter->chosen);
    for (uint32_t i = 0; i < count; i++)
        if (!add_keys(splitter, i))
            splitter->general[splitter->general_count++] = i;
    if (splitter->key_count > 1)
        qsort(splitter->keys, splitter->key_count, sizeof *splitter->keys, by_hash);
}

/* A blob of some rules */

/* What a record refers to is found by policy_references, so a new field of a record needs nothing
 * here. A section that no reference leads to, as that of siblings, is to be copied in build_part().
 */
struct copier {
    struct policy_writer writer;
    const struct policy *policy;
    bool used[POLICY_OPTIONS_MAX];
    uint16_t option[POLICY_OPTIONS_MAX]; /* index in the copy */
};

_Static_assert(SECTION_COUNT == 10, "does a reference lead to the new section?");

static const unsigned char *records_of(const struct copier *copier, enum policy_section_id id)
{
    const struct policy_header *header = (const void *)copier->policy->blob;
    return copier->policy->blob + header->sections[id].offset;
}

static struct policy_range copy_range(struct copier *copier, enum policy_section_id id,
                                      struct policy_range range);

/* Copy what a field refers to, and let it refer to the copy. */
static void copy_referred(struct copier *copier, const struct policy_reference *reference,
                          void *field)
{
    uint32_t *words = field;
    struct policy_range range;
    switch ((enum policy_reference_kind)reference->kind) {
    case REFERS_STRING:
        words[0] = policy_write_string(&copier->writer, policy_string(copier->policy, words[0]));
        break;
    case REFERS_RANGE:
        range = copy_range(copier, reference->target, (struct policy_range){words[0], words[1]});
        words[0] = range.first;
        break;
    case REFERS_OPTION:
        *(uint16_t *)field = copier->option[*(uint16_t *)field];
        break;
    }
}

/* `count` records with what they refer to, in the arena. */
static void *copy_records(struct copier *copier, enum policy_section_id id, uint32_t first,
                          size_t count)
{
    const size_t size = policy_record_size[id];
    unsigned char *records = arena_alloc(&copier->writer.arena, count * size);
    memcpy(records, records_of(copier, id) + first * size, count * size);
    for (size_t i = 0; i < POLICY_REFERENCES; i++)
        for (size_t r = 0; policy_references[i].section == id && r < count; r++)
            copy_referred(copier, &policy_references[i],
                          records + r * size + policy_references[i].offset);
    return records;
}

static uint32_t append_copy(struct copier *copier, enum policy_section_id id, uint32_t first,
                            size_t count)
{
    return policy_append(&copier->writer, id, copy_records(copier, id, first, count),
                         count * policy_record_size[id]);
}

/* Each rule has actions of its own (policy_rule_of_action()); all else may be shared. */
static struct policy_range copy_range(struct copier *copier, enum policy_section_id id,
                                      struct policy_range range)
{
    if (range.count == 0)
        return (struct policy_range){0, 0};
    if (id == SECTION_ACTIONS)
        return (struct policy_range){append_copy(copier, id, range.first, range.count),
                                     range.count};
    return policy_write_range(&copier->writer, id,
                              copy_records(copier, id, range.first, range.count), range.count);
}

/* The options that these rules use, in the order in which they were. */
static void copy_options(struct copier *copier, const uint32_t *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct policy_range actions = copier->policy->rules[rules[i]].actions;
        for (uint32_t a = 0; a < actions.count; a++)
            copier->used[copier->policy->actions[actions.first + a].option] = true;
    }
    for (uint32_t i = 0; i < copier->policy->option_count; i++)
        if (copier->used[i])
            copier->option[i] = (uint16_t)append_copy(copier, SECTION_OPTIONS, i, 1);
}

static void copy_siblings(struct copier *copier)
{
    for (uint32_t i = 0; i < copier->policy->sibling_count; i++)
        if (copier->used[copier->policy->siblings[i].option])
            append_copy(copier, SECTION_SIBLINGS, i, 1);
}

static void *build_part(struct copier *copier, const uint32_t *rules, size_t count,
                        bool with_sources, size_t *size)
{
    (void)policy_write_string(&copier->writer, "");
    copier->writer.rule_total = copier->policy->rule_count;
    copier->writer.flags = copier->policy->flags;
    copier->writer.failure = policy_write_string(&copier->writer, copier->policy->failure);
    if (with_sources)
        append_copy(copier, SECTION_SOURCES, 0, copier->policy->source_count);
    copy_options(copier, rules, count);
    copy_siblings(copier);
    for (size_t i = 0; i < count; i++)
        append_copy(copier, SECTION_RULES, rules[i], 1);
    return policy_assemble(&copier->writer, size);
}

/* A blob of these rules, ascending; malloc()ed, or NULL. */
static void *copy_rules(const struct policy *policy, const uint32_t *rules, size_t count,
                        bool with_sources, size_t *size)
{
    struct copier copier = {.policy = policy};
    void *blob;
    if (setjmp(copier.writer.arena.out_of_memory) == 0)
        blob = build_part(&copier, rules, count, with_sources, size);
    else
        blob = NULL;
    arena_free(&copier.writer.arena);
    return blob;
}

/* The file */

/* Append to the file; returns where. */
static uint32_t put_bytes(struct splitter *splitter, const void *bytes, size_t size)
{
    size_t offset = splitter->size;
    if (splitter->size + size > splitter->room) {
        size_t room = 2 * (splitter->size + size);
        unsigned char *grown = realloc(splitter->file, room);
        if (grown == NULL)
            longjmp(splitter->arena.out_of_memory, 1);
        splitter->file = grown;
        splitter->room = room;
    }
    memcpy(splitter->file + splitter->size, bytes, size);
    splitter->size += size;
    return (uint32_t)offset;
}

static struct policy_index_entry put_part(struct splitter *splitter, const uint32_t *rules,
                                          size_t count, bool is_front)
{
    struct policy_index_entry entry = {.hash = 0};
    size_t size;
    void *blob = copy_rules(&splitter->policy, rules, count, is_front, &size);
    if (blob == NULL || splitter->size + size > POLICY_PARTS_MAX) {
        free(blob);
        longjmp(splitter->arena.out_of_memory, 1);
    }
    entry.size = (uint32_t)size;
    entry.offset = put_bytes(splitter, blob, size);
    free(blob);
    return entry;
}

/* The general rules and those of `count` keys, ascending, without repetition. */
static size_t merge_rules(struct splitter *splitter, const struct key *keys, size_t count)
{
    size_t g = 0, k = 0, chosen = 0;
    while (g < splitter->general_count || k < count) {
        bool take_key =
            g == splitter->general_count || (k < count && keys[k].rule < splitter->general[g]);
        uint32_t rule = take_key ? keys[k++].rule : splitter->general[g++];
        if (chosen == 0 || splitter->chosen[chosen - 1] != rule)
            splitter->chosen[chosen++] = rule;
    }
    return chosen;
}

static void put_entry(struct splitter *splitter, const struct policy_index_entry *entry)
{
    uint32_t number = (uint32_t)(entry->hash % splitter->blocks);
    while (splitter->index[number].used == POLICY_INDEX_ENTRIES)
        number = (number + 1) % splitter->blocks;
    splitter->index[number].entries[splitter->index[number].used++] = *entry;
}

static size_t count_names(const struct splitter *splitter)
{
    size_t names = 0;
    for (size_t i = 0; i < splitter->key_count; i++)
        names += i == 0 || splitter->keys[i].hash != splitter->keys[i - 1].hash;
    return names;
}

static void put_parts(struct splitter *splitter)
{
    for (size_t i = 0, end; i < splitter->key_count; i = end) {
        struct policy_index_entry entry;
        size_t count;
        for (end = i + 1; end < splitter->key_count;) {
            if (splitter->keys[end].hash != splitter->keys[i].hash)
                break;
            end++;
        }
        count = merge_rules(splitter, splitter->keys + i, end - i);
        entry = put_part(splitter, splitter->chosen, count, false);
        entry.hash = splitter->keys[i].hash;
        put_entry(splitter, &entry);
    }
}

static void put_file(struct splitter *splitter, const void *whole, size_t size)
{
    struct policy_index_entry front =
        put_part(splitter, splitter->general, splitter->general_count, true);
    struct policy_header *header;
    size_t index_size;
    /* Half full on average, so that a look-up rarely needs a second block. */
    splitter->blocks = (uint32_t)(2 * count_names(splitter) / POLICY_INDEX_ENTRIES + 1);
    index_size = splitter->blocks * sizeof *splitter->index;
    splitter->index = arena_alloc(&splitter->arena, index_size);
    (void)put_bytes(splitter, splitter->index, index_size);
    put_parts(splitter);
    for (uint32_t i = 0; i < splitter->blocks; i++)
        splitter->index[i].checksum = policy_index_checksum(&splitter->index[i]);
    memcpy(splitter->file + front.size, splitter->index, index_size);
    front.offset = put_bytes(splitter, whole, size);
    header = (struct policy_header *)(void *)splitter->file;
    header->index = (struct policy_section){front.size, splitter->blocks};
    header->whole = front.offset;
    header->rest_checksum =
        policy_checksum_bytes(splitter->file + front.size, front.offset - front.size);
    header->checksum = policy_checksum(splitter->file, front.size);
}

/* False if there is nothing to split. */
static bool split_rules(struct splitter *splitter, const void *whole, size_t size)
{
    if (policy_open_blob(&splitter->policy, whole, size) != NULL)
        return false;
    sort_rules(splitter);
    if (splitter->key_count != 0)
        put_file(splitter, whole, size);
    return splitter->key_count != 0 && splitter->size <= POLICY_SIZE_MAX;
}

void *policy_split(void *whole, size_t *size)
{
    struct splitter splitter = {.file = NULL};
    bool done;
    if (setjmp(splitter.arena.out_of_memory) == 0)
        done = split_rules(&splitter, whole, *size);
    else
        done = false;
    arena_free(&splitter.arena);
    if (!done) {
        free(splitter.file);
        return whole;
    }
    free(whole);
    *size = splitter.size;
    return splitter.file;
}
