/* SPDX-License-Identifier: MIT */
#include "own_executable.h"

#include "kernel.h"
#include "text.h"

#include <elf.h>
#include <errno.h>
#include <sys/auxv.h>

static bool is_executed_name(struct own_executable *executable, const char *executed)
{
    return executed != NULL && executable->argv0 != NULL &&
           text_equal(text_basename(executed), text_basename(executable->argv0)) &&
           kernel_call(SYS_readlinkat, AT_FDCWD, executed, executable->bytes,
                       sizeof executable->bytes) < 0 &&
           errno == EINVAL;
}

void own_executable_find(struct own_executable *executable, enum own_executable_known wanted)
{
    const char *executed =
        (const char *)getauxval(AT_EXECFN); /* NOLINT(performance-no-int-to-ptr) */
    if (executable->known >= wanted)
        return;
    if (wanted == EXECUTABLE_NAME && is_executed_name(executable, executed)) {
        executable->path = executed;
        executable->known = EXECUTABLE_NAME;
        return;
    }
    executable->known = EXECUTABLE_PATH;
    long length = kernel_call(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", executable->bytes,
                              sizeof executable->bytes - 1);
    executable->path = length < 0 ? NULL : executable->bytes;
    if (length >= 0)
        executable->bytes[length] = 0;
}
