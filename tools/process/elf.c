/* SPDX-License-Identifier: MIT */
/*
 * What stands in an executable file, by libelf. Only program headers are relied on: section headers
 * may be stripped. Everything read is bounded and checked by libelf or here; a hostile file gives
 * ENOEXEC or wrong facts, never a fault.
 */
#include "elf.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_LINE  256         /* BINPRM_BUF_SIZE of the kernel: no more of a `#!` line is read */
#define SCRIPT_DEPTH 5           /* how many interpreters the kernel follows (execve(2), ELOOP) */
#define STRING_MAX   (16u << 20) /* bytes of a dynamic string table that we are willing to read */

static const char *const no_libraries[] = {NULL};

/* --- obstacles -------------------------------------------------------------------------------- */

static const struct obstacle obstacles[] = {
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
     "it is PHP, which loads its extensions with RTLD_DEEPBIND: they are bound to libc past every "
     "preloaded library, so the sockets of curl, pgsql, sockets and other extensions get no "
     "options",
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
    const char *name = slash ? slash + 1 : list + begin;

    return strncmp(name, "libasan", 7) == 0 || strncmp(name, "libclang_rt.asan", 16) == 0;
}

static bool asan_hindered(const struct executable *executable, const struct launch *launch)
{
    if (!executable_needs(executable, "libasan.so") &&
        !executable_needs(executable, "libclang_rt.asan"))
        return false;
    if (launch->preload && asan_comes_first(launch->preload))
        return false;
    return !launch->asan_options || !strstr(launch->asan_options, "verify_asan_link_order=0");
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
    if (executable->go)
        found |= OBSTACLE_GO;
    if (executable->loader_kind == LOADER_NONE)
        return found | OBSTACLE_STATIC;
    if (executable->loader && !*executable->needed)
        found |= OBSTACLE_NO_LIBC;
    if (executable->loader_kind == LOADER_OTHER)
        found |= OBSTACLE_LOADER;
    if (asan_hindered(executable, launch))
        found |= OBSTACLE_ASAN;
    if (executable->php)
        found |= OBSTACLE_DEEPBIND;
    if (!launch->library)
        return found;
    if (executable->loader_kind == LOADER_MUSL && strchr(launch->library, '$'))
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

/* --- names ------------------------------------------------------------------------------------ */

const char *elf_machine_name(struct elf_abi abi)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } names[] = {
        {EM_X86_64, "x86-64"},
        {EM_386, "i386"},
        {EM_AARCH64, "aarch64"},
        {EM_ARM, "arm"},
        {EM_RISCV, "riscv"},
        {EM_PPC64, "ppc64"},
        {EM_PPC, "ppc"},
        {EM_S390, "s390"},
        {EM_MIPS, "mips"},
        {EM_SPARCV9, "sparc"},
        {EM_LOONGARCH, "loongarch"},
    };
    static char other[32];

    if (abi.machine == EM_X86_64 && abi.word_size == ELFCLASS32)
        return "x32";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].machine == abi.machine)
            return names[i].name;
    snprintf(other, sizeof other, "machine %u", abi.machine);
    return other;
}

static bool begins(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static enum loader_kind loader_kind_of(const char *path)
{
    static const struct {
        const char *prefix;
        enum loader_kind kind;
    } kinds[] = {
        {"ld-linux", LOADER_GLIBC},
        {"ld64.so", LOADER_GLIBC},
        {"ld.so", LOADER_GLIBC},
        {"ld-musl-", LOADER_MUSL},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (begins(base_name(path), kinds[i].prefix))
            return kinds[i].kind;
    return LOADER_OTHER;
}

/* The kind of a program that has no loader: none, unless it is one (`ld.so PROGRAM`). musl's is its
 * libc.so. */
static enum loader_kind own_kind(const char *file)
{
    enum loader_kind kind = loader_kind_of(file);

    if (strcmp(base_name(file), "libc.so") == 0)
        return LOADER_MUSL;
    return kind == LOADER_OTHER ? LOADER_NONE : kind;
}

const char *executable_needs(const struct executable *executable, const char *prefix)
{
    for (char **name = executable->needed; *name; name++)
        if (begins(*name, prefix))
            return *name;
    return NULL;
}

/* --- the ELF file ----------------------------------------------------------------------------- */

/* The program header of that type, or NULL. */
static const GElf_Phdr *find_segment(Elf *elf, uint32_t type, GElf_Phdr *header)
{
    size_t count;

    if (elf_getphdrnum(elf, &count) != 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, header) && header->p_type == type)
            return header;
    return NULL;
}

/* Where in the file the memory at `address` comes from, or -1. */
static int64_t file_offset(Elf *elf, uint64_t address)
{
    size_t count;

    if (elf_getphdrnum(elf, &count) != 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr load;

        if (gelf_getphdr(elf, (int)i, &load) && load.p_type == PT_LOAD && address >= load.p_vaddr &&
            address - load.p_vaddr < load.p_filesz)
            return (int64_t)(load.p_offset + (address - load.p_vaddr));
    }
    return -1;
}

static int read_loader(Elf *elf, struct executable *executable)
{
    GElf_Phdr header;
    Elf_Data *text;

    if (!find_segment(elf, PT_INTERP, &header))
        return 0;
    if (header.p_filesz == 0 || header.p_filesz > PATH_MAX)
        return errno = ENOEXEC, -1;
    text = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_BYTE);
    if (!text || !text->d_buf)
        return errno = ENOEXEC, -1;
    executable->loader = strndup(text->d_buf, text->d_size);
    return executable->loader ? 0 : -1;
}

/* Keep the strings at the DT_NEEDED entries of `entries`. */
static int keep_needed(const Elf_Data *entries, size_t count, const Elf_Data *strings,
                       struct executable *executable)
{
    size_t kept = 0;

    executable->needed = calloc(count + 1, sizeof *executable->needed);
    if (!executable->needed)
        return -1;
    for (size_t i = 0; i < count; i++) {
        GElf_Dyn entry;
        const char *text = strings->d_buf;

        if (!gelf_getdyn((Elf_Data *)entries, (int)i, &entry) || entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag != DT_NEEDED || entry.d_un.d_val >= strings->d_size)
            continue;
        executable->needed[kept] =
            strndup(text + entry.d_un.d_val, strings->d_size - entry.d_un.d_val);
        if (!executable->needed[kept++])
            return -1;
    }
    return 0;
}

/* Every PHP extension calls this function, which the interpreter exports. */
static bool has_php(const Elf_Data *strings)
{
    static const char name[] = "\0zend_parse_parameters";

    return memmem(strings->d_buf, strings->d_size, name, sizeof name) != NULL;
}

static int read_dynamic(Elf *elf, struct executable *executable)
{
    GElf_Phdr header;
    Elf_Data *entries, *strings;
    uint64_t address = 0, size = 0;
    size_t count;
    int64_t offset;

    if (!find_segment(elf, PT_DYNAMIC, &header))
        return 0;
    entries = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_DYN);
    if (!entries)
        return errno = ENOEXEC, -1;
    count = entries->d_size / gelf_fsize(elf, ELF_T_DYN, 1, EV_CURRENT);
    for (size_t i = 0; i < count; i++) {
        GElf_Dyn entry;

        if (!gelf_getdyn(entries, (int)i, &entry) || entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag == DT_STRTAB)
            address = entry.d_un.d_ptr;
        else if (entry.d_tag == DT_STRSZ)
            size = entry.d_un.d_val;
    }
    offset = file_offset(elf, address);
    if (size == 0 || size > STRING_MAX || offset < 0)
        return 0; /* a loader would refuse it; nothing is needed that can be named */
    strings = elf_getdata_rawchunk(elf, offset, size, ELF_T_BYTE);
    if (!strings)
        return errno = ENOEXEC, -1;
    executable->php = has_php(strings);
    return keep_needed(entries, count, strings, executable);
}

/* The linker's build id note of Go has the owner "Go". */
static bool has_go_note(Elf *elf)
{
    size_t count;

    if (elf_getphdrnum(elf, &count) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;
        GElf_Nhdr note;
        Elf_Data *data;
        size_t name, description;

        if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_NOTE)
            continue;
        data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
                                    header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        for (size_t at = 0; data && (at = gelf_getnote(data, at, &note, &name, &description)) > 0;)
            if (note.n_namesz >= 3 && memcmp((const char *)data->d_buf + name, "Go", 3) == 0)
                return true;
    }
    return false;
}

/* The build id can be left out (-buildid=), this section cannot; but section headers can be
 * stripped, the note cannot. */
static bool has_go_section(Elf *elf)
{
    Elf_Scn *section = NULL;
    size_t names;

    if (elf_getshdrstrndx(elf, &names) != 0)
        return false;
    while ((section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        const char *name;

        if (gelf_getshdr(section, &header) && (name = elf_strptr(elf, names, header.sh_name)) &&
            strcmp(name, ".go.buildinfo") == 0)
            return true;
    }
    return false;
}

static int read_header(Elf *elf, struct elf_abi *abi, uint16_t *type)
{
    GElf_Ehdr header;

    if (elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header) ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return errno = ENOEXEC, -1;
    *abi = (struct elf_abi){.word_size = header.e_ident[EI_CLASS],
                            .encoding = header.e_ident[EI_DATA],
                            .machine = header.e_machine};
    *type = header.e_type;
    return 0;
}

static int read_elf(int fd, struct executable *executable)
{
    Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    uint16_t type;
    int result = -1;

    if (!elf || read_header(elf, &executable->abi, &type) != 0) {
        errno = ENOEXEC;
        goto out;
    }
    if (read_loader(elf, executable) != 0 || read_dynamic(elf, executable) != 0)
        goto out;
    executable->go = has_go_note(elf) || has_go_section(elf);
    if (executable->loader)
        executable->loader_kind = loader_kind_of(executable->loader);
    else
        executable->loader_kind = type == ET_DYN ? own_kind(executable->file) : LOADER_NONE;
    result = 0;
out:
    elf_end(elf);
    return result;
}

static bool file_fits(const char *path, struct elf_abi abi)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf *elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);
    struct elf_abi own;
    uint16_t type;
    bool fits = elf && read_header(elf, &own, &type) == 0 && own.word_size == abi.word_size &&
                own.encoding == abi.encoding && own.machine == abi.machine;

    elf_end(elf);
    if (fd >= 0)
        close(fd);
    return fits;
}

/*
 * What ld.so puts for $LIB: the directory that it was built to be in, below the prefix
 * ("lib/x86_64-linux-gnu", "lib64", "lib32"). Installed loaders are there still, behind links
 * (/lib64/ld-linux-x86-64.so.2 is a fixed name). Returns a part of `path`, or NULL.
 */
static const char *token_value(const char *loader, char path[PATH_MAX])
{
    const char *value = NULL;
    char *slash;

    if (!realpath(loader, path) || !(slash = strrchr(path, '/')))
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

    elf_version(EV_CURRENT);
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        const char *token = strstr(library, tokens[i]);
        const char *value =
            token
                ? token_value(executable->loader ? executable->loader : executable->file, directory)
                : NULL;

        if (token)
            return value &&
                   snprintf(path, sizeof path, "%.*s%s%s", (int)(token - library), library, value,
                            token + strlen(tokens[i])) < (int)sizeof path &&
                   file_fits(path, executable->abi);
    }
    return file_fits(library, executable->abi);
}

/* --- scripts ---------------------------------------------------------------------------------- */

/* The command that `env ARGUMENTS` runs, cut out of `arguments`; NULL if there is none. The kernel
 * passes all that follows the interpreter as one argument, which `env -S` takes apart. */
static char *env_command(char *arguments)
{
    char *rest = NULL, *word;

    if (begins(arguments, "-S"))
        arguments += 2;
    else if (begins(arguments, "--split-string="))
        arguments += strlen("--split-string=");
    for (word = strtok_r(arguments, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (strcmp(word, "-u") == 0 || strcmp(word, "-C") == 0)
            (void)strtok_r(NULL, " \t", &rest); /* the option's own argument */
        else if (word[0] != '-' && !strchr(word, '='))
            return word;
    }
    return NULL;
}

/*
 * The program that runs the script that begins with `line`: the interpreter of its `#!`; the
 * command, if that is env(1); without `#!`, /bin/sh as execvp(3) does. Returns a malloc()ed path;
 * or NULL with errno, and `sought` is the command that env(1) will look for in vain, if that is
 * why.
 */
static char *script_interpreter(char *line, const char **sought)
{
    char *rest = NULL, *interpreter, *arguments, *command;

    if (!begins(line, "#!"))
        return strdup("/bin/sh");
    line[strcspn(line, "\n")] = '\0';
    interpreter = strtok_r(line + 2, " \t", &rest);
    if (!interpreter)
        return errno = ENOEXEC, NULL;
    arguments = rest ? rest + strspn(rest, " \t") : NULL;
    if (arguments && strcmp(base_name(interpreter), "env") == 0 &&
        (command = env_command(arguments))) {
        char *found = executable_find(command);

        if (!found)
            *sought = command;
        return found;
    }
    return strdup(interpreter);
}

/* --- the file --------------------------------------------------------------------------------- */

char *executable_find(const char *name)
{
    const char *path = getenv("PATH");
    int error = ENOENT;

    if (strchr(name, '/'))
        return strdup(name);
    if (!path)
        path = "/bin:/usr/bin"; /* what execvp(3) takes then */
    for (const char *end; *name; path = end + 1) {
        char candidate[PATH_MAX];
        struct stat status;
        int length;

        end = strchrnul(path, ':');
        length = snprintf(candidate, sizeof candidate, "%.*s%s%s", (int)(end - path), path,
                          end > path ? "/" : "./", name);
        if (length < (int)sizeof candidate && stat(candidate, &status) == 0 &&
            S_ISREG(status.st_mode)) {
            if (access(candidate, X_OK) == 0)
                return strdup(candidate);
            error = EACCES;
        }
        if (!*end)
            break;
    }
    return errno = error, NULL;
}

/* Mode, owner and capabilities of the file that runs. Those of a script mean nothing: the kernel
 * takes them from the interpreter. */
static int read_privileges(const char *path, struct executable *executable)
{
    struct stat status;
    struct statvfs mount;
    bool honoured;

    if (stat(path, &status) != 0 || statvfs(path, &mount) != 0)
        return -1;
    if (!S_ISREG(status.st_mode))
        return errno = S_ISDIR(status.st_mode) ? EISDIR : EACCES, -1;
    if (access(path, X_OK) != 0)
        return -1;
    honoured = !(mount.f_flag & ST_NOSUID);
    executable->uid = status.st_uid;
    executable->gid = status.st_gid;
    executable->setuid = honoured && (status.st_mode & S_ISUID);
    executable->setgid = honoured && (status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP);
    executable->capabilities = honoured && getxattr(path, "security.capability", NULL, 0) > 0;
    return 0;
}

/* Returns 0 with the script's interpreter in `next`, or -1 with errno. */
static int follow_script(char *start, struct executable *executable, char **next)
{
    const char *sought = NULL;
    int error;

    executable->readable = false; /* nothing is known of the interpreter yet */
    *next = script_interpreter(start, &sought);
    if (*next)
        return 0;
    error = errno;
    if (sought) {
        char *name = strdup(sought);

        free(executable->file);
        executable->file = name;
    }
    errno = error;
    return -1;
}

/* Read one file of the chain. Returns 0, with `next` NULL when it is the program, or with what
 * runs it when it is a script; or -1 with errno. */
static int read_file(const char *path, struct executable *executable, char **next)
{
    char start[SCRIPT_LINE + 1] = "";
    ssize_t length;
    int fd, result;

    free(executable->file);
    executable->file = realpath(path, NULL);
    if (!executable->file && !(executable->file = strdup(path)))
        return -1;
    if (read_privileges(path, executable) != 0)
        return -1;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -1;
    length = pread(fd, start, SCRIPT_LINE, 0);
    executable->readable = true;
    if (length >= SELFMAG && memcmp(start, ELFMAG, SELFMAG) == 0) {
        result = read_elf(fd, executable);
    } else if (length < 0 || memchr(start, '\0', (size_t)length)) {
        errno = length < 0 ? errno : ENOEXEC;
        result = -1;
    } else {
        result = follow_script(start, executable, next);
    }
    close(fd);
    return result;
}

int executable_read(const char *path, struct executable *executable)
{
    char *next = NULL, *at;
    int result;

    *executable = (struct executable){.needed = (char **)no_libraries};
    executable->path = strdup(path);
    at = strdup(path);
    if (!executable->path || !at) {
        free(at);
        return -1;
    }
    elf_version(EV_CURRENT);
    while ((result = read_file(at, executable, &next)) == 0 && next) {
        free(at);
        at = next;
        next = NULL;
        if (++executable->hops > SCRIPT_DEPTH) {
            errno = ELOOP;
            result = -1;
            break;
        }
    }
    free(at);
    return result;
}

void executable_free(struct executable *executable)
{
    free(executable->path);
    free(executable->file);
    free(executable->loader);
    if (executable->needed != (char **)no_libraries) {
        for (char **name = executable->needed; *name; name++)
            free(*name);
        free(executable->needed);
    }
}
