/* SPDX-License-Identifier: MIT */
/*
 * Reads the sysctls.
 */
#include "sysctls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Returns the last number in the file's line. */
static uint32_t last_number(const char *path)
{
    char line[128] = "";
    FILE *file = fopen(path, "re");
    const char *last;
    if (file == NULL)
        return 0;
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    last = strrchr(line, '\t'); /* the kernel separates the numbers by tabs */
    return (uint32_t)strtoul(last != NULL ? last : line, NULL, 10);
}

void sysctls_read(struct advise_sysctls *sysctls)
{
    sysctls->somaxconn = last_number("/proc/sys/net/core/somaxconn");
    sysctls->rmem_max = last_number("/proc/sys/net/core/rmem_max");
    sysctls->tcp_wmem_max = last_number("/proc/sys/net/ipv4/tcp_wmem");
}
