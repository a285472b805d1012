/* SPDX-License-Identifier: MIT */
/*
 * A program that may run with more rights than its caller (a set-user-ID file): says whether the
 * kernel told it so, and its options.
 */
#include "host.h"

#include <sys/auxv.h>

int main(void)
{
    say("secure %lu\n", getauxval(AT_SECURE));
    say_connection("secure");
    return 0;
}
