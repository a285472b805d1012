/* SPDX-License-Identifier: MIT */
/*
 * Why a socket may not be duplicated: the message must name the remedy, in the order in which the
 * kernel checks. Includes Yama and other conditions that the test machine may lack.
 */
#include "duplicate.h"

#include <criterion/criterion.h>
#include <errno.h>

static void expect(struct refusal refusal, const char *wanted)
{
    char text[256];
    refusal_reason(&refusal, text, sizeof text);
    cr_expect(strstr(text, wanted), "\"%s\" does not tell \"%s\"", text, wanted);
}

Test(refusal, yama)
{
    expect((struct refusal){.error = EPERM, .ptrace_scope = 1, .dumpable = true},
           "kernel.yama.ptrace_scope is 1: that takes root (CAP_SYS_PTRACE), or sysctl "
           "kernel.yama.ptrace_scope=0");
    expect((struct refusal){.error = EPERM, .ptrace_scope = 2, .dumpable = true},
           "kernel.yama.ptrace_scope is 2");
    expect((struct refusal){.error = EPERM, .ptrace_scope = 3, .root = true},
           "until the next boot");
}

Test(refusal, another_user_comes_before_yama)
{
    expect((struct refusal){.error = EPERM, .ptrace_scope = 1, .user = "www-data"},
           "it is run by www-data: be that user, or root (CAP_SYS_PTRACE)");
}

Test(refusal, without_yama)
{
    expect((struct refusal){.error = EPERM}, "it is not dumpable");
    expect((struct refusal){.error = EACCES}, "it is not dumpable");
    expect((struct refusal){.error = EPERM, .dumpable = true}, "other groups or capabilities");
    expect((struct refusal){.error = EPERM, .root = true}, "CAP_SYS_PTRACE in its user namespace");
    expect((struct refusal){.error = ENOSYS}, "Linux 5.6");
    expect((struct refusal){.error = EMFILE}, strerror(EMFILE));
}
