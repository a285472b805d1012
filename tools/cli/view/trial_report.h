/* SPDX-License-Identifier: MIT */
/*
 * The report of trials as text, from the helper's JSON (/v1/trials).
 */
#ifndef SOCKTUNE_TRIAL_REPORT_H
#define SOCKTUNE_TRIAL_REPORT_H

#include <jansson.h>
#include <stdio.h>

/* Print one member of the list of trials. */
void trial_report_print(const json_t *trial, FILE *to);

#endif
