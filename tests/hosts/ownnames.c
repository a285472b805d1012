/* SPDX-License-Identifier: MIT */
/*
 * A program that exports functions and data under names that a library for rules, policies and
 * configuration files may use too (build with -rdynamic). No library may call or change them.
 */
#include "host.h"

#define TRAP(name)                                                                                 \
    void name(void);                                                                               \
    void name(void)                                                                                \
    {                                                                                              \
        fail("the program's own %s was called\n", #name);                                          \
    }

/* libconfig */
TRAP(config_init)
TRAP(config_read)
TRAP(config_read_file)
TRAP(config_destroy)
TRAP(config_lookup)
TRAP(config_setting_get_elem)
/* names that socktune or similar libraries use */
TRAP(active_rules)
TRAP(action_applies)
TRAP(address_is_v4)
TRAP(address_read)
TRAP(family_bit_of)
TRAP(glob_match)
TRAP(match_guard)
TRAP(match_subject)
TRAP(policy_checksum)
TRAP(policy_load)
TRAP(policy_open)
TRAP(policy_string)
TRAP(protocol_bit_of)
TRAP(roles_of_protocols)
TRAP(apply_actions)
TRAP(learn_facts)
TRAP(apply)
TRAP(tune)
TRAP(trace)
TRAP(init)
TRAP(init_once)
TRAP(setup)
TRAP(start)
TRAP(resolve)
TRAP(die)
TRAP(log_message)
TRAP(strlcpy)
TRAP(strlcat)

/* libc has it too; a library that calls it by name gets the program's function. */
long syscall(long number, ...)
{
    fail("the program's own syscall was called, with %ld\n", number);
}

/* Data of the size of a table, which must not change. */
#define DATA(name) /* NOLINTBEGIN(bugprone-macro-parentheses) */                                   \
    extern unsigned char name[256];                                                                \
    unsigned char name[256]; /* NOLINTEND(bugprone-macro-parentheses) */
#define DATAS(of)                                                                                  \
    of(real) of(policy) of(state) of(rules) of(active) of(options) of(identity) of(tuning)         \
        of(process) of(config) of(context)
DATAS(DATA)

static void check_data(const char *name, const unsigned char *data)
{
    for (size_t i = 0; i < 256; i++) {
        if (data[i] != 0) {
            fail("the program's own %s was written\n", name);
        }
    }
}
#define CHECK_DATA(name) check_data(#name, name);

int main(void)
{
    say_connection("plain");
    DATAS(CHECK_DATA)
    return 0;
}
