/* SPDX-License-Identifier: MIT */
/*
 * An ELF file, by libelf. Only program headers are relied on: section headers may be stripped.
 * Everything read is bounded and checked by libelf or here; a hostile file gives ENOEXEC or wrong
 * facts, never a fault.
 */
#include "elf_file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STRING_MAX (16u << 20) /* bytes of a dynamic string table that we are willing to read */

/* Names */

bool elf_abi_is_native(struct elf_abi abi)
{
#if defined(__x86_64__) || defined(__i386__)
    return abi.machine == EM_X86_64 || abi.machine == EM_386;
#elif defined(__aarch64__) || defined(__arm__)
    return abi.machine == EM_AARCH64 || abi.machine == EM_ARM;
#else
    return abi.machine != EM_NONE;
#endif
}

bool elf_abi_is_x32(struct elf_abi abi)
{
    return abi.machine == EM_X86_64 && abi.word_size == ELFCLASS32;
}

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

    if (elf_abi_is_x32(abi))
        return "x32";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].machine == abi.machine)
            return names[i].name;
    snprintf(other, sizeof other, "machine %u", abi.machine);
    return other;
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
        if (strncmp(text_basename(path), kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return kinds[i].kind;
    return LOADER_OTHER;
}

/* The kind of a program that has no loader: none, unless it is one (`ld.so PROGRAM`). musl's is its
 * libc.so. */
static enum loader_kind own_kind(const char *file)
{
    enum loader_kind kind = loader_kind_of(file);
    if (strcmp(text_basename(file), "libc.so") == 0)
        return LOADER_MUSL;
    return kind == LOADER_OTHER ? LOADER_NONE : kind;
}

/* The ELF file */

/* The program header of that type, or NULL. */
static const GElf_Phdr *find_segment(Elf *elf, uint32_t type, GElf_Phdr *header)
{
    size_t count;
    if (elf_getphdrnum(elf, &count) != 0)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (gelf_getphdr(elf, (int)i, header) != NULL && header->p_type == type)
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
        if (gelf_getphdr(elf, (int)i, &load) != NULL && load.p_type == PT_LOAD &&
            address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz)
            return (int64_t)(load.p_offset + (address - load.p_vaddr));
    }
    return -1;
}

static int read_loader(Elf *elf, struct executable *executable)
{
    GElf_Phdr header;
    Elf_Data *text;
    if (find_segment(elf, PT_INTERP, &header) == NULL)
        return 0;
    if (header.p_filesz == 0 || header.p_filesz > PATH_MAX)
        return errno = ENOEXEC, -1;
    text = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_BYTE);
    if (text == NULL || text->d_buf == NULL)
        return errno = ENOEXEC, -1;
    executable->loader = strndup(text->d_buf, text->d_size);
    return executable->loader != NULL ? 0 : -1;
}

/* Keep the strings at the DT_NEEDED entries of `entries`. */
static int keep_needed(const Elf_Data *entries, size_t count, const Elf_Data *strings,
                       struct executable *executable)
{
    size_t kept = 0;
    executable->needed = calloc(count + 1, sizeof *executable->needed);
    if (executable->needed == NULL)
        return -1;
    for (size_t i = 0; i < count; i++) {
        GElf_Dyn entry;
        const char *text = strings->d_buf;
        if (gelf_getdyn((Elf_Data *)entries, (int)i, &entry) == NULL || entry.d_tag == DT_NULL)
            break;
        if (entry.d_tag != DT_NEEDED || entry.d_un.d_val >= strings->d_size)
            continue;
        executable->needed[kept] =
            strndup(text + entry.d_un.d_val, strings->d_size - entry.d_un.d_val);
        if (executable->needed[kept++] == NULL)
            return -1;
    }
    return 0;
}

/* `name` between two NULs. */
static bool has_name(const Elf_Data *strings, const char *name, size_t size)
{
    return memmem(strings->d_buf, strings->d_size, name, size) != NULL;
}
#define HAS_NAME(strings, name) has_name(strings, "\0" name, sizeof("\0" name))

/* Every PHP extension calls the first function, which the interpreter exports. PHP 8.5 exports the
 * second name: from then on only PHP in Apache binds its extensions past preloaded libraries. */
static bool is_php(const Elf_Data *strings)
{
    return HAS_NAME(strings, "zend_parse_parameters") && !HAS_NAME(strings, "zend_dl_use_deepbind");
}

static int read_dynamic(Elf *elf, struct executable *executable)
{
    GElf_Phdr header;
    Elf_Data *entries, *strings;
    uint64_t address = 0, size = 0;
    size_t count;
    int64_t offset;
    if (find_segment(elf, PT_DYNAMIC, &header) == NULL)
        return 0;
    entries = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_DYN);
    if (entries == NULL)
        return errno = ENOEXEC, -1;
    count = entries->d_size / gelf_fsize(elf, ELF_T_DYN, 1, EV_CURRENT);
    for (size_t i = 0; i < count; i++) {
        GElf_Dyn entry;
        if (gelf_getdyn(entries, (int)i, &entry) == NULL || entry.d_tag == DT_NULL)
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
    if (strings == NULL)
        return errno = ENOEXEC, -1;
    executable->php = is_php(strings);
    executable->apache = HAS_NAME(strings, "ap_add_loaded_module");
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
        if (gelf_getphdr(elf, (int)i, &header) == NULL || header.p_type != PT_NOTE)
            continue;
        data = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz,
                                    header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR);
        for (size_t at = 0;
             data != NULL && (at = gelf_getnote(data, at, &note, &name, &description)) > 0;)
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
    while ((section = elf_nextscn(elf, section)) != NULL) {
        GElf_Shdr header;
        const char *name;
        if (gelf_getshdr(section, &header) != NULL &&
            (name = elf_strptr(elf, names, header.sh_name)) != NULL &&
            strcmp(name, ".go.buildinfo") == 0)
            return true;
    }
    return false;
}

static int read_header(Elf *elf, struct elf_abi *abi, uint16_t *type)
{
    GElf_Ehdr header;
    if (elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &header) == NULL ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN))
        return errno = ENOEXEC, -1;
    *abi = (struct elf_abi){.word_size = header.e_ident[EI_CLASS],
                            .encoding = header.e_ident[EI_DATA],
                            .machine = header.e_machine};
    *type = header.e_type;
    return 0;
}

/* Does the kernel find the program headers, and the file all that it is to map? It refuses to
 * execute a file without program headers; a program that is cut off ends by SIGBUS or SIGSEGV. */
static bool has_all_segments(Elf *elf)
{
    GElf_Ehdr header;
    size_t count, size;
    if (elf_rawfile(elf, &size) == NULL || gelf_getehdr(elf, &header) == NULL ||
        header.e_phentsize != gelf_fsize(elf, ELF_T_PHDR, 1, EV_CURRENT) ||
        elf_getphdrnum(elf, &count) != 0 || count == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr load;
        if (gelf_getphdr(elf, (int)i, &load) == NULL ||
            (load.p_type == PT_LOAD &&
             (load.p_offset > size || load.p_filesz > size - load.p_offset)))
            return false;
    }
    return true;
}

int elf_file_read(int fd, struct executable *executable)
{
    Elf *elf;
    uint16_t type;
    int result = -1;
    elf_version(EV_CURRENT);
    elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
    if (elf == NULL || read_header(elf, &executable->abi, &type) != 0 || !has_all_segments(elf)) {
        errno = ENOEXEC;
        goto out;
    }
    if (read_loader(elf, executable) != 0 || read_dynamic(elf, executable) != 0)
        goto out;
    executable->go = has_go_note(elf) || has_go_section(elf);
    if (executable->loader != NULL)
        executable->loader_kind = loader_kind_of(executable->loader);
    else
        executable->loader_kind = type == ET_DYN ? own_kind(executable->file) : LOADER_NONE;
    result = 0;
out:
    elf_end(elf);
    return result;
}

bool elf_file_fits(const char *path, struct elf_abi abi)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf *elf;
    struct elf_abi own;
    uint16_t type;
    bool fits;
    elf_version(EV_CURRENT);
    elf = fd < 0 ? NULL : elf_begin(fd, ELF_C_READ_MMAP, NULL);
    fits = elf != NULL && read_header(elf, &own, &type) == 0 && own.word_size == abi.word_size &&
           own.encoding == abi.encoding && own.machine == abi.machine;

    elf_end(elf);
    if (fd >= 0)
        close(fd);
    return fits;
}
