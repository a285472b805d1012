/* SPDX-License-Identifier: MIT */
/*
 * Pages of /v1/connections, one after the other.
 */
#include "reported_fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PAGE "1000"

const char *const reported_choice_names[CHOICE_COUNT] = {
    [CHOICE_PROGRAM] = "program", [CHOICE_RULE] = "rule",     [CHOICE_ROLE] = "role",
    [CHOICE_STATE] = "state",     [CHOICE_REASON] = "reason",
};

bool reported_target(struct reported_fetch *fetch, struct query_target *target)
{
    query_target_begin(target, "/v1/connections");
    for (unsigned i = 0; i < CHOICE_COUNT; i++)
        if (i != CHOICE_REASON || fetch->filter.closed) /* open connections have none */
            query_target_add(target, reported_choice_names[i], fetch->filter.choices[i]);
    query_target_add(target, "closed", fetch->filter.closed ? "1" : NULL);
    if (target->too_long)
        snprintf(fetch->error, sizeof fetch->error, "the pattern is too long");
    return !target->too_long;
}

/* Returns 0, or -1 with `error`. */
static int take_page(struct reported_fetch *fetch, const json_t *page, struct reported_list *list)
{
    const json_t *connections = json_object_get(page, "connections"), *one;
    size_t index;
    if (!json_is_array(connections)) {
        snprintf(fetch->error, sizeof fetch->error, "the helper's answer has no connections");
        return -1;
    }
    json_array_foreach(connections, index, one)
    {
        if (fetch->most && list->count == fetch->most) {
            fetch->cut = true;
            return 0;
        }
        if (!reported_list_add(list, one)) {
            snprintf(fetch->error, sizeof fetch->error, "%s", strerror(ENOMEM));
            return -1;
        }
        if (fetch->see != NULL)
            fetch->see(&list->items[list->count - 1], one, fetch->context);
    }
    return 0;
}

/* The cursor of the next page, as a parameter; NULL: this was the last page. The caller frees
 * it. */
static char *next_cursor(const json_t *page)
{
    const json_t *next = json_object_get(page, "next");
    return json_is_string(next)    ? strdup(json_string_value(next))
           : json_is_integer(next) ? json_dumps(next, JSON_ENCODE_ANY)
                                   : NULL;
}

int reported_fetch(struct reported_fetch *fetch, struct reported_list *list)
{
    struct query_target filtered;
    char *after = NULL;
    int result = 0;
    fetch->cut = false;
    *fetch->error = '\0';
    if (!reported_target(fetch, &filtered))
        return -1;
    do {
        struct query_target target = filtered;
        json_t *page;
        query_target_add(&target, "limit", PAGE);
        query_target_add(&target, "after", after);
        free(after);
        page = query_json(target.text, fetch->patience, fetch->error);
        result = page != NULL ? take_page(fetch, page, list) : -1;
        after = result == 0 && !fetch->cut ? next_cursor(page) : NULL;
        json_decref(page);
    } while (after != NULL);
    return result;
}

void reported_losses(unsigned patience, char *text, size_t size)
{
    char error[QUERY_ERROR_SIZE];
    json_t *status = query_json("/v1/status", patience, error), *count;
    const char *source;
    size_t length = 0;
    *text = '\0';
    json_object_foreach(json_object_get(status, "dropped"), source, count)
    {
        if (json_integer_value(count) > 0 && length < size)
            length +=
                (size_t)snprintf(text + length, size - length, "%s%.32s %lld", length ? ", " : "",
                                 source, (long long)json_integer_value(count));
    }
    json_decref(status);
}

double reported_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
