/* SPDX-License-Identifier: MIT */
/* Count a finding and hand it to the sink as one clean line. */
#include "diagnostic.h"
#include "utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

void diagnose(struct diagnostics *diagnostics, enum severity severity, struct location at,
              const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    utf8_replace_invisible(message);

    if (severity == SEVERITY_ERROR)
        diagnostics->errors++;
    else
        diagnostics->warnings++;
    if (diagnostics->report != NULL)
        diagnostics->report(diagnostics->context, severity, at, message);
}
