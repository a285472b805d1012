/* SPDX-License-Identifier: MIT */
#include "print_diagnostic.h"

#include "console.h"

#include <linux/capability.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct check_context current_context(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    struct check_context context = {.privileged = false};

    if (syscall(SYS_capget, &header, data) == 0)
        context.privileged =
            data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN);
    return context;
}

void print_diagnostic(void *context, enum severity severity, struct location at,
                      const char *message)
{
    FILE *to = context;
    bool error = severity == SEVERITY_ERROR;

    fprintf(to, "%s%s:", colour(to, COLOUR_BOLD), at.file);
    if (at.line)
        fprintf(to, "%u:", at.line);
    fprintf(to, " %s%s:%s %s\n", colour(to, error ? COLOUR_RED : COLOUR_YELLOW),
            error ? "error" : "warning", colour(to, COLOUR_NONE), message);
}

void print_error(void *context, enum severity severity, struct location at, const char *message)
{
    if (severity == SEVERITY_ERROR)
        print_diagnostic(context, severity, at, message);
}
