/* SPDX-License-Identifier: MIT */
/*
 * Obstacles to preloading: what each means, and which of them a program has.
 */
#include "obstacles.h"
#include "elf_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The table */

static const struct obstacle obstacles[] = {
    {OBSTACLE_X32, "x32",
     "it is an x32 program, for which the library is not built and whose calls `run --supervise` "
     "lets pass",
     "Take a build of it for x86-64."},
    {OBSTACLE_STATIC, "static",
     "it is statically linked: there is no dynamic loader that would read LD_PRELOAD",
     "Run it by `socktune run --supervise`, which tunes it from outside; or take a dynamically "
     "linked build of it, if there is one."},
    {OBSTACLE_GO, "go",
     "it has the Go runtime in it, which makes system calls itself and calls no socket functions "
     "of libc",
     "Run it by `socktune run --supervise`, which tunes it from outside (Go itself sets "
     "TCP_NODELAY and keepalive on every connection: use `force` for those)."},
    {OBSTACLE_NO_LIBC, "no-libc",
     "it needs no library, not even libc: it makes its system calls itself",
     "Run it by `socktune run --supervise`, which tunes it from outside."},
    {OBSTACLE_LOADER, "loader",
     "its dynamic loader is neither glibc's nor musl's, and is not known to load the library",
     "Run it by `socktune run --supervise`, which tunes it from outside; or take a build of it for "
     "glibc or musl, if there is one."},
    {OBSTACLE_ARCHITECTURE, "architecture",
     "no library for its machine or word size is installed: the loader ignores the one that is "
     "there",
     "Build and install libsocktune.so for that machine as well (for 32-bit x86: `make i386 "
     "install`). `socktune run` then writes `$LIB` into LD_PRELOAD, which each loader replaces by "
     "its own directory, so that 32-bit and 64-bit programs find theirs."},
    {OBSTACLE_MUSL_TOKEN, "musl-token",
     "its loader is musl's, which does not know `$LIB` in LD_PRELOAD",
     "`socktune run` names the library by its full path then. Do so too where you set LD_PRELOAD "
     "yourself."},
    {OBSTACLE_SECURE, "secure",
     "it gains privileges when it starts (set-user-ID, set-group-ID or file capabilities), so the "
     "loader ignores paths in LD_PRELOAD (AT_SECURE)",
     "Take the bit or the capabilities from the file and give the service what it needs when it is "
     "started: AmbientCapabilities= in its systemd unit, or `setpriv --inh-caps +X --ambient-caps "
     "+X`; for ports below 1024 the sysctl net.ipv4.ip_unprivileged_port_start. Or start it as the "
     "user that it changes to: then nothing is gained. /etc/ld.so.preload is obeyed even so, but "
     "by every program of the machine; the library then takes its rules from /etc/socktune.d "
     "alone."},
    {OBSTACLE_ASAN, "asan",
     "it is linked to the shared AddressSanitizer runtime, which must be loaded first and aborts "
     "the program when anything is preloaded before it",
     "`socktune run` adds verify_asan_link_order=0 to ASAN_OPTIONS, which switches that check off "
     "(the library replaces no function that AddressSanitizer must see first). Where you set "
     "LD_PRELOAD yourself, do that too, or put the runtime first: LD_PRELOAD=\"RUNTIME LIBRARY\", "
     "RUNTIME being the file that `ldd PROGRAM` shows for it; or link the program with "
     "-static-libasan."},
    {OBSTACLE_DEEPBIND, "deepbind",
     "it is PHP or has PHP as a module, which loads its extensions with RTLD_DEEPBIND: they are "
     "bound to libc past every preloaded library, so the sockets of curl, pgsql, sockets and other "
     "extensions get no options",
     "Run it by `socktune run --supervise`, which tunes it from outside. The streams of PHP itself "
     "(fsockopen, http://) are reached by preloading, too."},
    {OBSTACLE_UNREADABLE, "unreadable",
     "it may be executed but not read, so what it is cannot be told",
     "Ask again as root or as its owner."},
};

const struct obstacle *obstacle_table(size_t *count)
{
    *count = sizeof obstacles / sizeof *obstacles;
    return obstacles;
}

/* True if the first word of `list` (spaces or colons between, as in LD_PRELOAD) names an ASan
 * runtime. */
static bool asan_comes_first(const char *list)
{
    size_t begin = strspn(list, " :");
    size_t length = strcspn(list + begin, " :");
    const char *slash = memrchr(list + begin, '/', length);
    const char *name = slash != NULL ? slash + 1 : list + begin;
    return strncmp(name, "libasan", 7) == 0 || strncmp(name, "libclang_rt.asan", 16) == 0;
}

static bool asan_hindered(const struct executable *executable, const struct launch *launch)
{
    if (executable_needs(executable, "libasan.so") == NULL &&
        executable_needs(executable, "libclang_rt.asan") == NULL)
        return false;
    if (launch->preload != NULL && asan_comes_first(launch->preload))
        return false;
    return launch->asan_options == NULL ||
           strstr(launch->asan_options, "verify_asan_link_order=0") == NULL;
}

/* AT_SECURE as cap_bprm_creds_from_file() of the kernel decides it: set when ids differ from the
 * real ones afterwards, or capabilities come from the file to somebody who is not root. */
static bool becomes_secure(const struct executable *executable, const struct launch *launch)
{
    if (!launch->no_new_privs && executable->setuid && executable->uid != launch->uid)
        return true;
    if (!launch->no_new_privs && executable->setgid && executable->gid != launch->gid)
        return true;
    return executable->capabilities && launch->uid != 0;
}

unsigned executable_obstacles(const struct executable *executable, const struct launch *launch)
{
    unsigned found = becomes_secure(executable, launch) ? OBSTACLE_SECURE : 0;
    if (!executable->readable)
        return found | OBSTACLE_UNREADABLE;
    if (elf_abi_is_x32(executable->abi))
        return found | OBSTACLE_X32;
    if (executable->go)
        found |= OBSTACLE_GO;
    if (executable->loader_kind == LOADER_NONE)
        return found | OBSTACLE_STATIC;
    if (executable->loader != NULL && *executable->needed == NULL)
        found |= OBSTACLE_NO_LIBC;
    if (executable->loader_kind == LOADER_OTHER)
        found |= OBSTACLE_LOADER;
    if (asan_hindered(executable, launch))
        found |= OBSTACLE_ASAN;
    if (executable->php || executable_needs(executable, "libphp") != NULL)
        found |= OBSTACLE_DEEPBIND;
    if (launch->library == NULL)
        return found;
    if (executable->loader_kind == LOADER_MUSL && strchr(launch->library, '$') != NULL)
        found |= OBSTACLE_MUSL_TOKEN;
    else if (!library_fits(launch->library, executable))
        found |= OBSTACLE_ARCHITECTURE;
    return found;
}

struct launch launch_of_self(const char *library)
{
    return (struct launch){.library = library,
                           .preload = getenv("LD_PRELOAD"),
                           .asan_options = getenv("ASAN_OPTIONS"),
                           .uid = getuid(),
                           .gid = getgid(),
                           .no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1};
}
/* Does the library fit? */

/*
 * What ld.so puts for $LIB: the directory that it was built to be in, below the prefix
 * ("lib/x86_64-linux-gnu", "lib64", "lib32"). Installed loaders are there still, behind links
 * (/lib64/ld-linux-x86-64.so.2 is a fixed name). Returns a part of `path`, or NULL.
 */
static const char *token_value(const char *loader, char path[PATH_MAX])
{
    const char *value = NULL;
    char *slash;
    if (realpath(loader, path) == NULL || (slash = strrchr(path, '/')) == NULL)
        return NULL;
    *slash = '\0';
    for (const char *at = path; (at = strstr(at, "/lib")); at++)
        value = at + 1;
    return value;
}

bool library_fits(const char *library, const struct executable *executable)
{
    static const char *const tokens[] = {"$LIB", "${LIB}"};
    char path[PATH_MAX], directory[PATH_MAX];
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        const char *token = strstr(library, tokens[i]);
        const char *value =
            token != NULL
                ? token_value(executable->loader != NULL ? executable->loader : executable->file,
                              directory)
                : NULL;
        if (token != NULL)
            return value != NULL &&
                   snprintf(path, sizeof path, "%.*s%s%s", (int)(token - library), library, value,
                            token + strlen(tokens[i])) < (int)sizeof path &&
                   elf_file_fits(path, executable->abi);
    }
    return elf_file_fits(library, executable->abi);
}
