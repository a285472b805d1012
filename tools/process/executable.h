/* SPDX-License-Identifier: MIT */
/*
 * Facts about an executable file that decide whether LD_PRELOAD reaches it. obstacles.h says what
 * follows from them.
 *
 * Sources of facts: the file's ELF headers (by libelf), its mode and extended attributes, the `#!`
 * line; ld.so(8) on LD_PRELOAD, getauxval(3) on AT_SECURE, execve(2) on scripts.
 */
#ifndef SOCKTUNE_EXECUTABLE_H
#define SOCKTUNE_EXECUTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the dynamic loader of a program is. */
enum loader_kind {
    LOADER_NONE,  /* no loader: statically linked */
    LOADER_GLIBC, /* ld-linux*.so, ld64.so, ld.so */
    LOADER_MUSL,  /* ld-musl-*.so: LD_PRELOAD works, but $LIB in it does not */
    LOADER_OTHER  /* Android's linker, uClibc: not known to load us */
};

/* What must be equal for an object to be loaded into a program. */
struct elf_abi {
    uint8_t word_size; /* ELFCLASS32, ELFCLASS64 */
    uint8_t encoding;  /* ELFDATA2LSB, ELFDATA2MSB */
    uint16_t machine;  /* EM_X86_64 ... */
};

/* An executable, scripts followed to the program that runs them. Release with executable_free(). */
struct executable {
    char *path; /* as given */
    char *file; /* absolute path of what runs in the end; differs from `path` for scripts */
    /* The command line of what runs in the end, as the kernel makes it, without the arguments that
     * `path` is called with; ended by NULL. A script's path stands behind its interpreter's words.
     */
    char **command;
    const char *script; /* the word of `command` that is the script, or NULL. Where a script's
                         * interpreter is a script, this is the latter */
    unsigned hops;      /* how many scripts stood before `file`; 0: `path` is the program itself */
    bool readable;      /* false: what follows, up to `setuid`, is not known (mode 0711, say) */
    struct elf_abi abi;
    enum loader_kind loader_kind;
    char *loader;  /* PT_INTERP, or NULL */
    char **needed; /* DT_NEEDED, ended by NULL; never NULL itself */
    bool go;       /* the Go runtime is in it */
    bool php;      /* the PHP interpreter is in it, and loads extensions with RTLD_DEEPBIND */
    bool apache;   /* it is Apache's httpd, which may load PHP as a module */
    bool setuid;   /* the bit is set and the file system honours it */
    bool setgid;
    bool capabilities; /* the file bears capabilities, and the file system honours them */
    uid_t uid;         /* of the file */
    gid_t gid;
};

/* Says that executable_read() failed with ENOEXEC. */
#define EXECUTABLE_DAMAGED "neither a sound ELF executable nor a script"

/*
 * Read the facts about the executable at `path`, which has a slash or stands in the current
 * directory. Returns 0, or -1 with errno: those of open(2) and stat(2); EACCES when it may not be
 * executed; ENOEXEC when it is neither a sound ELF file nor a text; ELOOP when scripts run scripts
 * deeper than the kernel allows. A text that the kernel does not execute is run by /bin/sh, as
 * execvp(3) does it. When a script's interpreter is the trouble, `executable->file` names that one;
 * so executable_free() is called in any case.
 */
int executable_read(const char *path, struct executable *executable);

void executable_free(struct executable *executable);

/* The command line of what runs in the end, where `arguments` (ended by NULL) begins with the name
 * that it is called by. malloc()ed; its words are borrowed from both. NULL: there is no memory. */
const char **executable_command_line(const struct executable *executable, char *const *arguments);

/* Look a command up as execvp(3) does: a name with a slash is itself, others are searched in PATH.
 * Returns a malloc()ed path, or NULL with errno: ENOENT, or EACCES if only files that may not be
 * executed bear the name. */
char *executable_find(const char *name);

/* The name of a program's machine for people: "x86-64", "i386", "aarch64" ...; or "machine N" in
 * a static buffer. */
const char *elf_machine_name(struct elf_abi abi);

/* True if this machine's processors run it without an emulator, which may have other directories.
 */
bool elf_abi_is_native(struct elf_abi abi);

/* x32: 32-bit pointers with the system calls of x86-64. */
bool elf_abi_is_x32(struct elf_abi abi);

/* The first DT_NEEDED whose name begins with `prefix`, or NULL. */
const char *executable_needs(const struct executable *executable, const char *prefix);

#endif
