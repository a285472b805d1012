/* SPDX-License-Identifier: MIT */
#include "executable_failure.h"
#include "commands.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int executable_failure(const struct executable *executable, int error)
{
    /* The file itself under any name, or else the interpreter that the script needs. */
    bool itself = executable->hops == 0 &&
                  (executable->file == NULL || strchr(executable->file, '/') != NULL);
    if (error == ENOEXEC)
        command_failure("%s: " EXECUTABLE_DAMAGED, executable->file);
    else if (error == ELOOP && executable->file != NULL &&
             access(executable->file, F_OK) == 0) /* not a loop of symbolic links */
        command_failure("%s: scripts run by scripts, deeper than the kernel follows",
                        executable->path);
    else if (!itself && executable->path != NULL)
        command_failure("%s: runs %s: %s", executable->path, executable->file, strerror(error));
    else
        command_failure("%s: %s", executable->path != NULL ? executable->path : "",
                        strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
