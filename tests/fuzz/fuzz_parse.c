/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the way from text to policy: for any text, the parser returns a ruleset, the checker
 * terminates, and text without errors compiles to a policy that the loader accepts.
 */
#include "compile.h"
#include "syntax_fault.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libconfig leaks a string if a syntax error follows it. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig\n";
}

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A finding is one line that names its file. */
static void look_at_finding(void *context, enum severity severity, struct location at,
                            const char *message)
{
    (void)context;
    (void)severity;
    require(at.file != NULL && message[0] != '\0' && strchr(message, '\n') == NULL);
}

/* A place is within its line. */
static void look_at_place(void *context, const char *line, size_t place)
{
    (void)context;
    require(place <= strlen(line) + 1); /* a carriage return is removed */
}

/* For any text, the explanation is one line about a place in the text. */
static void explain(const char *text, enum syntax_refusal refusal)
{
    struct syntax_fault fault = {.offset = 0};
    if (!syntax_fault_find(text, refusal, 0, &fault))
        return;
    require(fault.offset <= strlen(text) && fault.opener <= strlen(text));
    require(fault.first <= strlen(text));
    require(fault.message[0] != '\0' && memchr(fault.message, '\0', sizeof fault.message) != NULL);
}

static void compile(const struct ruleset *ruleset, struct diagnostics *diagnostics)
{
    struct policy policy;
    void *blob;
    size_t size;
    if (policy_compile(ruleset, diagnostics, &blob, &size) != 0) {
        require(diagnostics->errors != 0);
        return;
    }
    require(policy_open(&policy, blob, size) == NULL);
    require(policy.rule_count == ruleset->rule_count);
    free(blob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct check_context context = {.sysctl_root = "/nonexistent", .kernel = "6.1"};
    struct diagnostics diagnostics = {.report = look_at_finding, .show = look_at_place};
    struct ruleset *ruleset;
    char *text = malloc(size + 1);
    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    explain(text, SYNTAX_REFUSED);
    explain(text, SYNTAX_TWICE);
    explain(text, SYNTAX_MIXED_ARRAY);
    ruleset = ruleset_read_text(text, "text", &diagnostics);
    require(ruleset != NULL);
    if (diagnostics.errors == 0) {
        ruleset_check(ruleset, &context, &diagnostics);
        require(diagnostics.errors == 0);
        compile(ruleset, &diagnostics);
    }
    ruleset_free(ruleset);
    free(text);
    return 0;
}
