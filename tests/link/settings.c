/* SPDX-License-Identifier: MIT */
/*
 * The settings of a link's direction as text.
 */
#include "link/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_US    3600000000ULL
#define MILLION    1000000ULL
#define WHITESPACE " \t\n"

const struct link_settings link_default_settings = {.queue_bytes = 1000ULL * 1500, .up = 1};

static const struct row {
    const char *name;
    size_t offset;
    uint64_t most;
} rows[] = {
    {"delay_us", offsetof(struct link_settings, delay_us), HOUR_US},
    {"jitter_us", offsetof(struct link_settings, jitter_us), HOUR_US},
    {"rate_bps", offsetof(struct link_settings, rate_bps), 100000 * MILLION},
    {"queue_bytes", offsetof(struct link_settings, queue_bytes), 1000 * MILLION},
    {"loss_ppm", offsetof(struct link_settings, loss_ppm), MILLION},
    {"reorder_ppm", offsetof(struct link_settings, reorder_ppm), MILLION},
    {"reorder_us", offsetof(struct link_settings, reorder_us), HOUR_US},
    {"up", offsetof(struct link_settings, up), 1},
};

static const struct bound {
    const char *name;
    unsigned bounds;
} bounds[] = {{"out", LINK_OUT}, {"back", LINK_BACK}, {"both", LINK_OUT | LINK_BACK}};

/* True if `word`, of `length` characters, is `name`. */
static int is(const char *word, size_t length, const char *name)
{
    return strlen(name) == length && memcmp(word, name, length) == 0;
}

const char *link_parse_order(const char *line, struct link_order *order)
{
    const char *path = line + strspn(line, WHITESPACE);
    size_t path_length = strcspn(path, WHITESPACE);
    const char *bound = path + path_length + strspn(path + path_length, WHITESPACE);
    size_t bound_length = strcspn(bound, WHITESPACE);
    if (path_length == 0 || path_length >= sizeof order->path)
        return "a path's name has 1 to 15 characters";
    memcpy(order->path, path, path_length);
    order->path[path_length] = 0;
    order->list = bound + bound_length + strspn(bound + bound_length, WHITESPACE);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (is(bound, bound_length, bounds[i].name)) {
            order->bounds = bounds[i].bounds;
            return NULL;
        }
    return "behind the path's name comes out, back or both";
}

/* Apply one NAME=NUMBER, up to a comma or the end of the list; advances *list. */
static const char *apply_one(struct link_settings *settings, const char **list)
{
    size_t length = strcspn(*list, "=");
    const char *digits = *list + length + 1;
    char *end;
    uint64_t number;
    if ((*list)[length] == 0)
        return "a setting is NAME=NUMBER";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (is(*list, length, rows[i].name)) {
            errno = 0;
            number = strtoull(digits, &end, 10);
            if (!isdigit((unsigned char)*digits) || errno || number > rows[i].most)
                return "a number is missing, or too large for this setting";
            if (*end && strchr("," WHITESPACE, *end) == NULL)
                return "behind a number comes a comma, or nothing";
            memcpy((char *)settings + rows[i].offset, &number, sizeof number);
            *list = end + strspn(end, "," WHITESPACE);
            return NULL;
        }
    return "there is no setting of this name";
}

const char *link_apply(struct link_settings *settings, const char *list)
{
    struct link_settings changed = *settings;
    while (*list) {
        const char *wrong = apply_one(&changed, &list);
        if (wrong != NULL)
            return wrong;
    }
    *settings = changed;
    return NULL;
}
