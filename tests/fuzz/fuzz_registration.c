/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the decoders of messages from programs: if a registration is accepted, its names fill the
 * rest of the message exactly; if a handoff is accepted, its record is valid.
 */
#include "handoff.h"
#include "registration_parse.h"
#include "ring_reader.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Correct the first bytes, so that the checks behind them are reached. */
static void correct(uint8_t *message, size_t size)
{
    struct registration head;
    if (size < sizeof head)
        return;
    memcpy(&head, message, sizeof head);
    memcpy(head.magic, REGISTRATION_MAGIC, sizeof head.magic);
    head.version = REGISTRATION_VERSION;
    head.size = (uint32_t)size;
    head.rule_count %= REGISTRATION_RULES_MAX + 2;
    memcpy(message, &head, sizeof head);
}

static void check_names(const struct registration_names *names, size_t size)
{
    size_t used = sizeof names->head + strlen(names->program) + 1;
    for (uint32_t i = 0; i < names->head.rule_count; i++)
        used += strlen(names->rules[i]) + 1;
    if (used != size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct registration_names names;
    struct handoff handoff;
    uint8_t *message;
    if (size == 0)
        return 0;
    message = malloc(size); /* exact size, so that ASan detects accesses beyond it */
    if (message == NULL)
        abort();
    memcpy(message, data, size);
    if ((data[size - 1] & 1) == 0)
        correct(message, size);
    if (registration_parse(message, size, data[size - 1] % 4, &names) == NULL)
        check_names(&names, size);
    if (handoff_parse(message, size, &handoff) == NULL &&
        (!ring_record_is_sane(&handoff.record) || handoff.record.kind > RECORD_ACCEPT))
        abort();
    free(message);
    return 0;
}
