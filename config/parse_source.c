/* SPDX-License-Identifier: MIT */
/*
 * Gathering the text of a rule file.
 *
 * libconfig could read files and follow @include itself, but it looks for all of them in one
 * directory, knows no bounds, says only that "a file" cannot be opened, and forgets where a list's
 * elements stand. So the includes are put in here. The tokens (token.h) tell an @include from one
 * inside a comment or a string. For each line, its file and line number are noted, and for each
 * scalar its place and spelling; libconfig's tree has the scalars in the same order.
 */
#include "bytes.h"
#include "parse.h"
#include "token.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One file on the way down through the includes. */
struct frame {
    const struct frame *outer;
    const char *path; /* as in messages */
    dev_t device;
    ino_t inode;
    unsigned depth;
    bool may_include;
    const char *bytes; /* the whole file */
    const char *text;  /* behind a byte order mark */
    const char *end;
    unsigned line;
};

/* State that spans files. */
struct scan {
    struct reader *reader;
    unsigned nesting;
    char brackets[NESTING_MAX]; /* that are open */
    enum token_kind last;       /* significant token: adjacent strings are one */
    struct location last_at;
    size_t last_offset; /* in source.text */
    size_t last_length;
};

#define source_error(reader, at, ...)                                                              \
    diagnose((reader)->diagnostics, SEVERITY_ERROR, at, __VA_ARGS__)

/* Gathering */

/* Add `length` bytes that stand at line `line` of `file`; each line begins with such a call. */
static void source_append(struct reader *reader, const char *text, size_t length,
                          struct location at)
{
    struct source *source = &reader->source;
    if (source->length + length + 1 > source->room) {
        char *grown = arena_alloc(reader->arena, 2 * (source->length + length + 1));
        if (source->length != 0)
            memcpy(grown, source->text, source->length);
        source->text = grown;
        source->room = 2 * (source->length + length + 1);
    }
    for (size_t i = 0; i < length; i++) {
        if (source->length == 0 || source->text[source->length - 1] == '\n') {
            source->lines =
                arena_grow(reader->arena, source->lines, source->line_count, sizeof *source->lines);
            source->lines[source->line_count++] = at;
        }
        source->text[source->length++] = text[i];
        at.line += text[i] == '\n';
    }
    source->text[source->length] = '\0';
}

static void note_token(struct reader *reader, size_t length, struct location at, bool string)
{
    struct source *source = &reader->source;
    source->tokens =
        arena_grow(reader->arena, source->tokens, source->token_count, sizeof *source->tokens);
    source->tokens[source->token_count++] = (struct token){
        .offset = source->length - length, .length = length, .at = at, .string = string};
}

/* The path in the @include directive at `p`, the start of a line, or NULL if there is none. */
static char *include_path(struct reader *reader, const char *p, const char *end,
                          const char **behind)
{
    static const char word[] = "@include";
    const char *start;
    char *path, *out;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if ((size_t)(end - p) < sizeof word || memcmp(p, word, sizeof word - 1) != 0)
        return NULL;
    p += sizeof word - 1;
    start = p;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == start || p == end || *p != '"')
        return NULL;
    *behind = token_skip_string(p, end);
    if (*behind == NULL)
        return NULL;
    out = path = arena_copy(reader->arena, p + 1, (size_t)(*behind - p) - 2);
    for (const char *in = path; *in != '\0'; in++) {
        if (*in == '\\' && (in[1] == '\\' || in[1] == '"'))
            in++;
        *out++ = *in;
    }
    *out = '\0';
    return path;
}

/* `path` as seen from the file that names it. */
static const char *path_beside(struct reader *reader, const char *file, const char *path)
{
    const char *slash = strrchr(file, '/');
    if (path[0] == '/' || slash == NULL)
        return path;
    return arena_print(reader->arena, "%.*s/%s", (int)(slash - file), file, path);
}

/* Record a file that cannot be read, so that a failure that is kept ends when the file changes. */
static void source_record_unread(struct reader *reader, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        status = (struct stat){.st_ino = 0}; /* absent */
    source_record(reader, path, &status, 0);
}

static bool scan_file(struct scan *scan, const struct frame *outer, struct location from,
                      const char *path);

/* Put in the file of an @include; `behind` is what follows the path. */
static bool scan_include(struct scan *scan, struct frame *frame, const char *path,
                         const char *behind)
{
    struct reader *reader = scan->reader;
    struct location at = {frame->path, frame->line};
    const char *end = token_skip_line(behind, frame->end);
    while (behind < end && isspace((unsigned char)*behind))
        behind++;
    if (behind < end && *behind != '#' && strncmp(behind, "//", 2) != 0) {
        source_error(reader, at, "@include \"%s\" must stand alone on its line, without \"%.*s\"",
                     path, (int)(end - behind), behind);
        return false;
    }
    if (!frame->may_include) {
        source_error(reader, at, "@include \"%s\" is possible in files only", path);
        return false;
    }
    if (frame->depth == INCLUDE_DEPTH_MAX) {
        source_error(reader, at, "@include \"%s\" is nested too deeply: at most %d levels", path,
                     INCLUDE_DEPTH_MAX);
        return false;
    }
    if (path[0] == '\0') {
        source_error(reader, at, "@include needs the name of a file");
        return false;
    }
    return scan_file(scan, frame, at, path_beside(reader, frame->path, path));
}

/* Note two strings side by side where a comma may be missing: among several values, or on one
 * line. A long string may go on in the next one. */
static void note_joined(const struct scan *scan, size_t length, struct location at)
{
    struct reader *reader = scan->reader;
    struct ruleset *ruleset = reader->ruleset;
    const char *text = reader->source.text;
    bool in_group = scan->nesting == 0 || scan->brackets[scan->nesting - 1] == '{';
    if (in_group && at.line != scan->last_at.line)
        return;
    ruleset->joined =
        arena_grow(reader->arena, ruleset->joined, ruleset->joined_count, sizeof *ruleset->joined);
    ruleset->joined[ruleset->joined_count++] = (struct joined_strings){
        .first = arena_copy(reader->arena, text + scan->last_offset, scan->last_length),
        .second = arena_copy(reader->arena, text + reader->source.length - length, length),
        .at = at};
}

/* Brackets, strings and scalars: bound the nesting, note what the tree will hold. */
static bool scan_token(struct scan *scan, enum token_kind kind, size_t length, struct location at)
{
    bool continues = kind == TOKEN_STRING && scan->last == TOKEN_STRING;
    switch (kind) {
    case TOKEN_SPACE:
        return true;
    case TOKEN_UNCLOSED_STRING:
        parse_syntax_error(scan->reader, at, "this string is never closed: '\"' is missing");
        return false;
    case TOKEN_UNCLOSED_COMMENT:
        source_error(scan->reader, at, "this comment is never closed: \"*/\" is missing");
        return false;
    case TOKEN_OPEN:
        if (scan->nesting == NESTING_MAX) {
            source_error(scan->reader, at, "nested too deeply: at most %d levels", NESTING_MAX);
            return false;
        }
        scan->brackets[scan->nesting++] =
            scan->reader->source.text[scan->reader->source.length - 1];
        break;
    case TOKEN_CLOSE:
        scan->nesting -= scan->nesting != 0;
        break;
    case TOKEN_SCALAR:
    case TOKEN_STRING:
        if (continues)
            note_joined(scan, length, at);
        else
            note_token(scan->reader, length, at, kind == TOKEN_STRING);
        break;
    case TOKEN_OTHER:
        break;
    }
    scan->last = kind;
    scan->last_at = at;
    scan->last_offset = scan->reader->source.length - length;
    scan->last_length = length;
    return true;
}

static bool scan_text(struct scan *scan, struct frame *frame)
{
    struct reader *reader = scan->reader;
    const char *p = frame->text;
    while (p < frame->end) {
        bool line_begins = p == frame->text || p[-1] == '\n';
        const char *behind = NULL;
        const char *path = line_begins ? include_path(reader, p, frame->end, &behind) : NULL;
        struct location at = {frame->path, frame->line};
        enum token_kind kind;
        if (path != NULL) {
            if (!scan_include(scan, frame, path, behind))
                return false;
            p = token_skip_line(behind, frame->end);
            p += p < frame->end; /* the included file has ended its own last line */
            frame->line++;
            continue;
        }
        behind = token_next(p, frame->end, &kind);
        source_append(reader, p, (size_t)(behind - p), at);
        if (!scan_token(scan, kind, (size_t)(behind - p), at))
            return false;
        for (; p < behind; p++)
            frame->line += *p == '\n';
    }
    if (frame->text != frame->end && frame->end[-1] != '\n')
        source_append(reader, "\n", 1, (struct location){frame->path, frame->line});
    return true;
}

/* Checks on the text as a whole, then the scan. */
static bool scan_frame(struct scan *scan, struct frame *frame, struct location from)
{
    size_t size = (size_t)(frame->end - frame->text);
    const char *nul = memchr(frame->text, '\0', size);
    struct location at = {frame->path, 1};
    if (scan->reader->source.length + size > TEXT_SIZE_MAX) {
        source_error(scan->reader, from, "too large with its includes: at most %d bytes",
                     TEXT_SIZE_MAX);
        return false;
    }
    if (nul != NULL) {
        for (const char *p = frame->text; p < nul; p++)
            at.line += *p == '\n';
        source_error(scan->reader, at, "not a text file: it has a NUL byte");
        return false;
    }
    return scan_text(scan, frame);
}

/* Files */

/* The length of the mark that some editors put before UTF-8 text. */
static size_t byte_order_mark(const char *text, size_t size)
{
    return size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

/* Read the opened file whole into the frame. Returns NULL, or what is wrong with it. */
static const char *load_frame(struct reader *reader, struct frame *frame, struct stat *status)
{
    size_t size = 0;
    char *text;
    if (fstat(reader->fd, status) != 0)
        return strerror(errno);
    if (!S_ISREG(status->st_mode))
        return S_ISDIR(status->st_mode) ? "it is a directory" : "it is not a regular file";
    if (status->st_size > FILE_SIZE_MAX)
        return "it is larger than 1 MB";
    text = arena_alloc(reader->arena, (size_t)status->st_size + 1);
    while (size < (size_t)status->st_size) {
        ssize_t got = read(reader->fd, text + size, (size_t)status->st_size - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return strerror(errno);
        if (got == 0)
            break;
        size += (size_t)got;
    }
    frame->bytes = text;
    frame->text = text + byte_order_mark(text, size);
    frame->end = text + size;
    return NULL;
}

static bool includes_itself(const struct frame *frame)
{
    for (const struct frame *outer = frame->outer; outer != NULL; outer = outer->outer)
        if (outer->device == frame->device && outer->inode == frame->inode)
            return true;
    return false;
}

static bool scan_file(struct scan *scan, const struct frame *outer, struct location from,
                      const char *path)
{
    struct reader *reader = scan->reader;
    struct frame frame = {.outer = outer,
                          .path = path,
                          .depth = outer != NULL ? outer->depth + 1 : 0,
                          .may_include = true,
                          .line = 1};
    struct stat status = {.st_size = 0};
    const char *wrong;
    reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    wrong = reader->fd < 0 ? strerror(errno) : load_frame(reader, &frame, &status);
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
    if (wrong != NULL) {
        source_record_unread(reader, path);
        source_error(reader, from, "cannot read %s: %s", path, wrong);
        return false;
    }
    frame.device = status.st_dev;
    frame.inode = status.st_ino;
    source_record(reader, path, &status,
                  bytes_hash(BYTES_HASH_BEGIN, frame.bytes, (size_t)(frame.end - frame.bytes)));
    if (includes_itself(&frame)) {
        source_error(reader, from, "%s includes itself", path);
        return false;
    }
    return scan_frame(scan, &frame, from);
}

/* Forget the file before; its tokens and lines stay in the arena, since locations point there. */
static struct scan scan_start(struct reader *reader)
{
    reader->source = (struct source){.text = NULL};
    source_append(reader, "", 0, (struct location){"", 0});
    return (struct scan){.reader = reader, .last = TOKEN_OTHER};
}

bool source_read_file(struct reader *reader, const char *path)
{
    struct scan scan = scan_start(reader);
    const char *name = arena_copy(reader->arena, path, strlen(path));
    return scan_file(&scan, NULL, (struct location){name, 0}, name);
}

bool source_read_text(struct reader *reader, const char *text, const char *name)
{
    struct scan scan = scan_start(reader);
    struct frame frame = {.path = arena_copy(reader->arena, name, strlen(name)),
                          .text = text + byte_order_mark(text, strlen(text)),
                          .end = text + strlen(text),
                          .line = 1};
    return scan_frame(&scan, &frame, (struct location){frame.path, 0});
}

void source_record(struct reader *reader, const char *path, const struct stat *status,
                   uint64_t hash)
{
    struct ruleset *ruleset = reader->ruleset;
    const char *absolute = path;
    struct source_file *file;
    if (path[0] != '/') {
        char *here = getcwd(NULL, 0);
        absolute = arena_print(reader->arena, "%s/%s", here != NULL ? here : "", path);
        free(here);
    }
    for (size_t i = 0; i < ruleset->source_count; i++)
        if (strcmp(ruleset->sources[i].path, absolute) == 0)
            return;
    ruleset->sources = arena_grow(reader->arena, ruleset->sources, ruleset->source_count,
                                  sizeof *ruleset->sources);
    file = &ruleset->sources[ruleset->source_count++];
    file->path = arena_copy(reader->arena, absolute, strlen(absolute));
    file->stamp =
        (struct policy_source){.size = S_ISDIR(status->st_mode) ? 0 : (uint64_t)status->st_size,
                               .hash = hash,
                               .inode = status->st_ino,
                               .mtime_sec = status->st_mtim.tv_sec,
                               .ctime_sec = status->st_ctim.tv_sec,
                               .mtime_nsec = (uint32_t)status->st_mtim.tv_nsec,
                               .ctime_nsec = (uint32_t)status->st_ctim.tv_nsec,
                               .kind = S_ISDIR(status->st_mode) ? SOURCE_DIRECTORY : SOURCE_FILE};
}

/* From the tree back to the text */

static bool attach_tokens(struct reader *reader, config_setting_t *setting, size_t *next)
{
    int count = config_setting_is_aggregate(setting) ? config_setting_length(setting) : -1;
    for (int i = 0; i < count; i++)
        if (!attach_tokens(reader, config_setting_get_elem(setting, (unsigned)i), next))
            return false;
    if (count < 0) {
        if (*next == reader->source.token_count ||
            reader->source.tokens[*next].string !=
                (config_setting_type(setting) == CONFIG_TYPE_STRING))
            return false;
        config_setting_set_hook(setting, &reader->source.tokens[(*next)++]);
    }
    return true;
}

void source_attach(struct reader *reader, config_setting_t *root)
{
    size_t next = 0;
    /* Should libconfig ever see other tokens than the scanner, its own word stands. */
    if (!attach_tokens(reader, root, &next))
        reader->source.token_count = 0;
}

struct location source_line(const struct source *source, unsigned line)
{
    if (source->line_count == 0)
        return (struct location){"", line};
    if (line == 0)
        line = 1;
    return source->lines[line <= source->line_count ? line - 1 : source->line_count - 1];
}
