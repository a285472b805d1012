/* SPDX-License-Identifier: MIT */
/*
 * The table of trials, which untrusted programs fill, and its metrics.
 */
#include "trial_metrics.h"
#include "trials.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const struct trial_text definition = {
    .id = 0xabc, .most = 50, .high = 65536, .name_length = 4, .arms = 3};

static uint32_t join(struct trials *trials, uid_t uid, unsigned arm, const char *rule)
{
    struct trial_text text = definition;
    text.arm = arm;
    return trials_join(trials, uid, rule, &text, 1);
}

Test(trials, each_arm_has_a_name_of_its_own)
{
    struct trials *trials = trials_new(NULL);
    uint32_t number = join(trials, 1000, 0, "name/as it is");
    cr_assert_neq(number, 0);
    cr_expect_eq(join(trials, 1000, 0, "name/as it is"), number, "another program says the same");
    cr_expect_eq(join(trials, 1000, 1, "name/as it is"), 0, "the name is another arm's");
    cr_expect_eq(join(trials, 1000, 0, "name/other"), 0, "the arm has another name");
    cr_expect_eq(join(trials, 1000, 1, "name"), 0, "no arm is named");
    cr_expect_eq(join(trials, 1000, 1, "name/other"), number);
    trials_free(trials);
}

static char *metrics_of(const struct trials *trials, bool one_user, uid_t uid)
{
    struct trial_metrics *metrics = trial_metrics_take(trials, one_user, uid);
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    cr_assert(metrics != NULL && to != NULL);
    while (trial_metrics_write(metrics, METRICS_PROMETHEUS, to))
        ;
    fclose(to);
    trial_metrics_free(metrics);
    return text;
}

Test(trials, metrics_are_those_of_the_viewer_and_escaped)
{
    struct trials *trials = trials_new(NULL);
    join(trials, 1000, 0, "name/a\"\xff\n");
    join(trials, 1001, 1, "name/b");
    char *all = metrics_of(trials, false, 0), *one = metrics_of(trials, true, 1001);
    cr_expect(strstr(all, "socktune_trial_running{trial=\"name\",arm=\"a\\\"\\\\xff\\\\x0a\","
                          "id=\"0000000000000abc\",uid=\"1000\"} 1\n") != NULL,
              "%s", all);
    cr_expect(strstr(all, "arm=\"b\"") != NULL && strstr(one, "arm=\"b\"") != NULL);
    cr_expect(strstr(one, "uid=\"1000\"") == NULL, "%s", one);
    cr_expect(strstr(one, "socktune_trial_verdict{trial=\"name\",arm=\"b\",id=\"0000000000000abc\","
                          "uid=\"1001\",metric=\"goodput\"} 0\n") != NULL,
              "%s", one);
    cr_expect(strstr(all, "socktune_trial_ratio{") == NULL, "no figures yet");
    free(all);
    free(one);
    trials_free(trials);
}
