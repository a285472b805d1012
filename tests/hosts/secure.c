/* SPDX-License-Identifier: MIT */
/*
 * A program that may have more privileges than its caller (a set-user-ID file): prints whether the
 * kernel marked it so (AT_SECURE), and its options.
 */
#include "host.h"

#include <sys/auxv.h>

int main(void)
{
    say("secure %lu\n", getauxval(AT_SECURE));
    say_connection("secure");
    return 0;
}
