/* SPDX-License-Identifier: MIT */
/*
 * Writes the rule file.
 */
#include "rule_file.h"
#include "console.h"
#include "policy.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>

int advice_prepare(const struct advise_finding *finding, const struct advise_sysctls *sysctls,
                   struct advise_advice *advice)
{
    const struct advise_process *process = finding->group->process;
    char *name;
    advice->finding = *finding;
    proposals_make(finding, sysctls, &advice->proposal);
    verdict_figure_text(finding->verdict, finding->cell.figure, advice->figure,
                        sizeof advice->figure);
    advice->who = NULL;
    if (asprintf(&name, "%s%s%s", process->program, process->script != NULL ? " " : "",
                 process->script != NULL ? process->script : "") < 0)
        return -1;
    advice->who = utf8_escaped(name);
    free(name);
    return advice->who != NULL ? 0 : -1;
}

void advice_scope(const struct advise_finding *finding, char *text, size_t size)
{
    unsigned role = finding->group->role;
    const char *what = role == ROLE_CONNECT  ? "connections to"
                       : role == ROLE_ACCEPT ? "connections accepted at"
                       : role == ROLE_LISTEN ? "listener at"
                                             : "datagram socket at";
    if (finding->port != 0)
        snprintf(text, size, "%s port %u", what, finding->port);
    else
        snprintf(text, size, "%s any port", what);
}

static void write_advice(FILE *to, const struct advise_advice *advice)
{
    const struct advise_finding *finding = &advice->finding;
    const struct advise_verdict *verdict = &advise_verdicts[finding->verdict];
    char scope[64];
    advice_scope(finding, scope, sizeof scope);
    fprintf(to, "# %s\n#   program:  %s, %s (told as the %s)\n#   reason:   %s\n", finding->id,
            advice->who, scope, verdict_side_name(verdict->side), advice->figure);
    fprintf(to, "#   evidence: %u of %u socket%s, up to %u samples in %.1f s\n",
            finding->cell.sockets, finding->of, plural(finding->of), finding->cell.samples,
            finding->cell.seconds);
    fprintf(to, "#   advice:   %s\n", verdict->advice);
    if (advice->proposal.rule[0] == '\0')
        fprintf(to, "#   no rule:  %s\n", advice->proposal.reason);
}

static void write_rules(FILE *to, const struct advise_advice *advice, size_t count)
{
    size_t rules = 0, written = 0;
    for (size_t i = 0; i < count; i++)
        rules += advice[i].proposal.rule[0] != '\0';
    for (size_t i = 0; i < count; i++) {
        if (advice[i].proposal.rule[0] != '\0')
            continue;
        write_advice(to, &advice[i]);
        fputc('\n', to);
    }
    fputs("rules = (\n", to);
    for (size_t i = 0; i < count; i++) {
        if (advice[i].proposal.rule[0] == '\0')
            continue;
        write_advice(to, &advice[i]);
        fprintf(to, "%s%s\n", advice[i].proposal.rule, ++written < rules ? ",\n" : "");
    }
    fputs(");\n", to);
}

char *rule_file_text(const struct advise_advice *advice, size_t count,
                     const struct advise_watch *watch)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    if (to == NULL)
        return NULL;
    fprintf(to,
            "# Written by socktune advise, from what %s in %.0f s; nothing was changed.\n"
            "# Read the reasons, keep what you agree with, and try it: socktune run -c FILE "
            "PROGRAM\n\n",
            watch->reported ? "socktuned saw" : "it saw", watch->progress.elapsed);
    if (count == 0)
        fputs("# Nothing to advise.\n", to);
    write_rules(to, advice, count);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
