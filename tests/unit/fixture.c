/* SPDX-License-Identifier: MIT */
/* Runs rule files through parser and checker, and compares their findings. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

static void write_finding(void *context, enum severity severity, struct location at,
                          const char *message)
{
    struct transcript *to = context;
    char place[16] = "";
    int written;
    if (at.line != 0)
        snprintf(place, sizeof place, ":%u", at.line);
    written = snprintf(to->text + to->length, sizeof to->text - to->length, "%s%s: %s: %s\n",
                       at.file, place, severity == SEVERITY_ERROR ? "error" : "warning", message);
    cr_assert(written > 0 && (size_t)written < sizeof to->text - to->length);
    to->length += (size_t)written;
}

static void write_place(void *context, const char *line, size_t place)
{
    struct transcript *to = context;
    int written = snprintf(to->text + to->length, sizeof to->text - to->length,
                           "    %s\n    %*s^\n", line, (int)place, "");
    cr_assert(written > 0 && (size_t)written < sizeof to->text - to->length);
    to->length += (size_t)written;
}

struct diagnostics transcript_start(struct transcript *transcript)
{
    transcript->length = 0;
    transcript->text[0] = '\0';
    return (struct diagnostics){
        .report = write_finding, .show = write_place, .context = transcript};
}

char *read_whole(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    if (file == NULL)
        return NULL;
    if (getdelim(&text, &size, EOF, file) < 0 && text != NULL)
        text[0] = '\0';
    fclose(file);
    return text;
}

char scratch[] = "/tmp/socktune-test-XXXXXX";

void enter_scratch(void)
{
    cr_assert_not_null(mkdtemp(scratch));
    cr_assert_eq(chdir(scratch), 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void leave_scratch(void)
{
    cr_assert_eq(chdir("/"), 0);
    cr_assert_eq(nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void run_fixture(const char *path, const struct check_context *context)
{
    struct transcript found;
    struct diagnostics diagnostics = transcript_start(&found);
    struct ruleset *ruleset = ruleset_read(path, &diagnostics);
    char beside[256];
    char *expected;
    cr_assert_not_null(ruleset);
    if (context != NULL) {
        cr_expect_eq(diagnostics.errors, 0, "%s: %s", path, found.text);
        ruleset_check(ruleset, context, &diagnostics);
    } else {
        cr_expect_gt(diagnostics.errors, 0, "%s: no error", path);
    }
    snprintf(beside, sizeof beside, "%.*s.expect", (int)(strlen(path) - strlen(".conf")), path);
    expected = read_whole(beside);
    cr_assert_not_null(expected, "%s is missing", beside);
    cr_expect_str_eq(found.text, expected, "%s gives\n%sinstead of\n%s", path, found.text,
                     expected);
    free(expected);
    ruleset_free(ruleset);
}

int each_fixture(const char *directory, const struct check_context *context)
{
    char path[512];
    glob_t files;
    int count;
    snprintf(path, sizeof path, "%s/%s", FIXTURES, directory);
    cr_assert_eq(chdir(path), 0, "%s", path);
    cr_assert_eq(glob("[0-9]*.conf", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        run_fixture(files.gl_pathv[i], context);
    count = (int)files.gl_pathc;
    globfree(&files);
    return count;
}
