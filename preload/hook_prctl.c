/* SPDX-License-Identifier: MIT */
/*
 * prctl(): passes every call on. A program that installs a seccomp filter sets no_new_privs first
 * (libseccomp always does). After that the object makes no further system calls that the program
 * may not expect.
 */
#include "confined.h"
#include "real.h"

#include <stdarg.h>
#include <sys/prctl.h>

__attribute__((visibility("default"))) int prctl(int option, ...)
{
    unsigned long argument[4];
    va_list arguments;
    /* Like libc's own prctl(), this cannot know how many arguments there are. */
    va_start(arguments, option);
    for (unsigned i = 0; i < 4; i++)
        argument[i] = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (option == PR_SET_NO_NEW_PRIVS || option == PR_SET_SECCOMP)
        confined_begin();
    return real.prctl(option, argument[0], argument[1], argument[2], argument[3]);
}
