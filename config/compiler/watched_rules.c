/* SPDX-License-Identifier: MIT */
#include "watched_rules.h"
#include "bytes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define LOOKS_MAX 10u /* a writer that never ends is not waited for any longer */

/* The state of the sources */

static uint64_t add_number(uint64_t hash, uint64_t number)
{
    return bytes_hash(hash, &number, sizeof number);
}

/* A directory's size and the times of a link's target say nothing; its entries change its times. */
static uint64_t hash_source(uint64_t hash, const char *path)
{
    struct stat status;
    hash = bytes_hash(hash, path, strlen(path) + 1);
    if (lstat(path, &status) != 0)
        return add_number(hash, (uint64_t)errno);
    if (S_ISLNK(status.st_mode)) {
        hash = add_number(hash, status.st_ino);
        if (stat(path, &status) != 0)
            return add_number(hash, (uint64_t)errno);
    }
    hash = add_number(hash, status.st_dev);
    hash = add_number(hash, status.st_ino);
    hash = add_number(hash, (uint64_t)status.st_size);
    hash = add_number(hash, (uint64_t)status.st_mtim.tv_sec);
    hash = add_number(hash, (uint64_t)status.st_mtim.tv_nsec);
    hash = add_number(hash, (uint64_t)status.st_ctim.tv_sec);
    return add_number(hash, (uint64_t)status.st_ctim.tv_nsec);
}

static uint64_t hash_of_rules(const struct watched_rules *rules)
{
    uint64_t hash = hash_source(BYTES_HASH_BEGIN, rules->path);
    for (size_t i = 0; i < rules->source_count && rules->sources[i] != NULL; i++)
        hash = hash_source(hash, rules->sources[i]);
    return hash | 1; /* never 0 */
}

static void forget_sources(struct watched_rules *rules)
{
    for (size_t i = 0; i < rules->source_count; i++)
        free(rules->sources[i]);
    free(rules->sources);
    rules->sources = NULL;
    rules->source_count = 0;
}

static void add_path(struct watched_rules *rules, const char *path)
{
    rules->sources[rules->source_count] = strdup(path);
    rules->source_count += rules->sources[rules->source_count] != NULL;
}

/* Those of the policy, which include links in `program`; after an error, those that were read. */
static void note_sources(struct watched_rules *rules, const struct loaded *loaded, bool compiled)
{
    const struct policy *policy = &loaded->policy;
    const struct ruleset *ruleset = loaded->ruleset;
    size_t count = compiled ? policy->source_count : ruleset != NULL ? ruleset->source_count : 0;
    forget_sources(rules);
    rules->sources = calloc(count + 1, sizeof *rules->sources);
    for (size_t i = 0; rules->sources != NULL && i < count; i++)
        add_path(rules, compiled ? policy_string(policy, policy->sources[i].path)
                                 : ruleset->sources[i].path);
}

/* Compiling */

static void note_failure(void *context, enum severity severity, struct location at,
                         const char *message)
{
    struct watched_rules *rules = context;
    if (severity != SEVERITY_ERROR || rules->failure[0] != '\0')
        return;
    if (at.line != 0)
        snprintf(rules->failure, sizeof rules->failure, "%s:%u: %s", at.file, at.line, message);
    else
        snprintf(rules->failure, sizeof rules->failure, "%s: %s", at.file, message);
}

static void take_policy(struct watched_rules *rules, struct loaded *loaded)
{
    free(rules->policy);
    rules->policy = loaded->blob;
    rules->size = loaded->size;
    loaded->blob = NULL;
}

/* May it have been changed while it was read? The kernel's times are some milliseconds old. */
static bool is_recent(const char *path, const struct timespec *start)
{
    struct stat status;
    return lstat(path, &status) == 0 && status.st_ctim.tv_sec >= start->tv_sec - 1 &&
           status.st_ctim.tv_sec <= start->tv_sec + 2;
}

static bool any_is_recent(const struct watched_rules *rules, const struct timespec *start)
{
    bool recent = is_recent(rules->path, start);
    for (size_t i = 0; i < rules->source_count && rules->sources[i] != NULL; i++)
        recent |= is_recent(rules->sources[i], start);
    return recent;
}

static void compile_rules(struct watched_rules *rules)
{
    struct diagnostics diagnostics = {.report = note_failure, .context = rules};
    struct loaded loaded;
    struct timespec start;
    clock_gettime(CLOCK_REALTIME, &start);
    rules->failure[0] = '\0';
    bool compiled = load_rules_partly(rules->path, NULL, &diagnostics, &loaded) == 0;
    if (!compiled && rules->failure[0] == '\0')
        snprintf(rules->failure, sizeof rules->failure, "%s: no memory", rules->path);
    note_sources(rules, &loaded, compiled);
    if (compiled)
        take_policy(rules, &loaded);
    loaded_free(&loaded);
    rules->compiled = any_is_recent(rules, &start) ? 0 : hash_of_rules(rules);
    rules->pending = 0;
    rules->waited = 0;
}

/* Looks */

int watched_rules_start(struct watched_rules *rules, const char *path)
{
    *rules = (struct watched_rules){.path = strdup(path)};
    if (rules->path == NULL)
        return -1;
    compile_rules(rules);
    return 0;
}

bool watched_rules_look(struct watched_rules *rules, bool now)
{
    const uint64_t state = hash_of_rules(rules);
    if (state == rules->compiled) {
        rules->pending = 0;
        rules->waited = 0;
        return false;
    }
    if (!now && state != rules->pending && ++rules->waited < LOOKS_MAX) {
        rules->pending = state;
        return false;
    }
    compile_rules(rules);
    return true;
}

bool watched_rules_are_changing(const struct watched_rules *rules)
{
    return rules->pending != 0 || rules->compiled == 0;
}

void watched_rules_end(struct watched_rules *rules)
{
    forget_sources(rules);
    free(rules->policy);
    free(rules->path);
    *rules = (struct watched_rules){.path = NULL};
}
