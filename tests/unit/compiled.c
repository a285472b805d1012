/* SPDX-License-Identifier: MIT */
/* Compiles and opens the rules that a test contains. */
#include "compiled.h"
#include "endpoint.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static void show(void *context, enum severity severity, struct location at, const char *message)
{
    (void)context;
    if (severity == SEVERITY_ERROR)
        cr_log_error("%s:%u: %s", at.file, at.line, message);
}

struct compiled compiled_from(const char *rules)
{
    struct compiled compiled = {0};
    struct diagnostics diagnostics = {.report = show};
    struct ruleset *ruleset = ruleset_read_text(rules, "test.conf", &diagnostics);
    cr_assert_not_null(ruleset);
    cr_assert_eq(diagnostics.errors, 0, "the rules of the test are wrong");
    cr_assert_eq(policy_compile(ruleset, &diagnostics, &compiled.blob, &compiled.size), 0);
    ruleset_free(ruleset);
    const char *wrong = policy_open(&compiled.policy, compiled.blob, compiled.size);
    cr_assert_null(wrong, "%s", wrong);
    return compiled;
}

void compiled_free(struct compiled *compiled)
{
    free(compiled->blob);
    *compiled = (struct compiled){0};
}

struct sockinfo sockinfo_connecting_to(const char *remote)
{
    struct sockaddr_storage address;
    struct sockinfo sockinfo;
    cr_assert_null(endpoint_read(remote, AF_INET, &address), "%s", remote);
    cr_assert(
        sockinfo_at_address(&sockinfo, PHASE_CONNECT, (struct sockaddr *)&address, sizeof address));
    return sockinfo;
}
