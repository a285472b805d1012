/* SPDX-License-Identifier: MIT */
/*
 * socktune library: prints the path for LD_PRELOAD.
 */
#include "commands.h"
#include "library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct library_arguments {
    const char *arch;
    bool musl;
};

/* malloc()ed; NULL with errno. */
static char *path_for(const struct library_arguments *arguments, const char *path)
{
    if (arguments->arch != NULL)
        return library_of_arch(arguments->arch);
    return arguments->musl ? strdup(path) : library_for_ld_so(path);
}

static int print_path(const struct library_arguments *arguments, const char *path)
{
    char *shown = path_for(arguments, path);
    if (shown == NULL && arguments->arch != NULL && errno == ENOENT)
        return command_failure("there is no library for %s: build it with `make %s` and install it "
                               "again",
                               arguments->arch, arguments->arch);
    if (shown == NULL)
        return command_failure("%s", strerror(errno));
    puts(shown);
    free(shown);
    return EXIT_SUCCESS;
}

static int cmd_library(int argc, char **argv)
{
    struct library_arguments arguments = {.musl = false};
    int status;
    int first = parse_flags(argc, argv, &arguments, &status);
    if (first < 0)
        return status;
    if (first < argc)
        return command_misuse("unexpected argument \"%s\"", argv[first]);
    char *path = library_path();
    if (path == NULL)
        return command_failure("cannot find " LIBRARY_NAME " beside the socktune command or in %s",
                               library_directory);
    status = print_path(&arguments, path);
    free(path);
    return status;
}

static const struct flag flags[] = {
    {"musl", 0, FLAG_SWITCH, offsetof(struct library_arguments, musl), NULL,
     "for musl, whose ld.so does not replace $LIB: the path itself", NULL, NULL},
    {"arch", 0, FLAG_VALUE, offsetof(struct library_arguments, arch), "NAME",
     "the library for programs of another architecture",
     "i386 x86_64 aarch64 riscv64 powerpc64le s390x", NULL},
    FLAGS_END,
};

const struct command library_command = {
    .name = "library",
    .summary = "print the path of the library, for LD_PRELOAD",
    .synopsis = "[--musl | --arch NAME]",
    .details = "Where the library for another word size is installed too, the path contains $LIB: "
               "ld.so replaces it by each program's own directory. Quote it in a shell.",
    .flags = flags,
    .run = cmd_library,
};
