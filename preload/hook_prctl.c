/* SPDX-License-Identifier: MIT */
/*
 * prctl(): nothing of it is altered. It is how a program begins to confine itself (a filter of
 * system calls needs no_new_privs first, and libseccomp sets it always), after which the object
 * makes no system call any more that the program might not have foreseen.
 */
#include "confined.h"
#include "real.h"

#include <stdarg.h>
#include <sys/prctl.h>

__attribute__((visibility("default"))) int prctl(int option, ...)
{
    unsigned long argument[4];
    va_list arguments;
    /* As libc's own: it cannot know how many there are. */
    va_start(arguments, option);
    for (unsigned i = 0; i < 4; i++)
        argument[i] = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (option == PR_SET_NO_NEW_PRIVS || option == PR_SET_SECCOMP)
        confined_begin();
    return real.prctl(option, argument[0], argument[1], argument[2], argument[3]);
}
