/* SPDX-License-Identifier: MIT */
/*
 * Reads the dynamic symbol tables of the loaded objects, as the ELF specification and glibc's
 * dl-lookup.c define them. dl_iterate_phdr(3) lists the objects in the order of symbol search. It
 * is in libc itself, in every version of glibc and musl.
 */
#include "symbols.h"

#include "text.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>

/* The word size of DT_HASH: s390x differs from all other architectures. */
#ifdef __s390x__
typedef uint64_t hash_word;
#else
typedef uint32_t hash_word;
#endif

/* The linker puts this at the start of the object. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* The tables of one object; NULL if it has none. */
struct symbol_tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint16_t *versions;
    const uint32_t *gnu_hash;
    const hash_word *hash;
};

struct search {
    struct symbol *symbols;
    size_t count;
    bool behind; /* this object has been passed */
};

/* glibc has made the addresses absolute; musl and the kernel (vdso) leave them as in the file. */
static const void *address_of(ElfW(Addr) base, ElfW(Addr) value)
{
    ElfW(Addr) address = value < base ? base + value : value;
    return (const void *)address; /* NOLINT(performance-no-int-to-ptr) */
}

static struct symbol_tables read_tables(const struct dl_phdr_info *object)
{
    struct symbol_tables tables = {0};
    const ElfW(Dyn) *entry = NULL;
    for (unsigned i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
            entry = address_of(object->dlpi_addr, object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        const void *address = address_of(object->dlpi_addr, entry->d_un.d_ptr);
        switch (entry->d_tag) {
        case DT_SYMTAB:
            tables.symbols = address;
            break;
        case DT_STRTAB:
            tables.strings = address;
            break;
        case DT_VERSYM:
            tables.versions = address;
            break;
        case DT_GNU_HASH:
            tables.gnu_hash = address;
            break;
        case DT_HASH:
            tables.hash = address;
            break;
        default:
            break;
        }
    }
    return tables;
}

/* True if the symbol is a function with that name, in the version that new programs are linked
 * with. */
static bool is_definition(const struct symbol_tables *tables, uint32_t index, const char *name)
{
    const uint16_t hidden = 0x8000; /* of an entry of DT_VERSYM */
    const ElfW(Sym) *symbol = &tables->symbols[index];
    unsigned type = ELF32_ST_TYPE(symbol->st_info), bind = ELF32_ST_BIND(symbol->st_info);
    return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 &&
           (type == STT_FUNC || type == STT_NOTYPE) && (bind == STB_GLOBAL || bind == STB_WEAK) &&
           (tables->versions == NULL || (tables->versions[index] & hidden) == 0) &&
           text_equal(tables->strings + symbol->st_name, name);
}

/* Returns the index of the definition, or 0. */
static uint32_t look_up_gnu(const struct symbol_tables *tables, const char *name)
{
    const uint32_t *header = tables->gnu_hash;
    const uint32_t bucket_count = header[0], first = header[1], filter_words = header[2];
    const ElfW(Addr) *filter = (const ElfW(Addr) *)(header + 4);
    const uint32_t *buckets = (const uint32_t *)(filter + filter_words);
    const uint32_t *chain = buckets + bucket_count;
    const uint32_t bits = sizeof *filter * 8;
    uint32_t hash = 5381;
    for (const char *at = name; *at != 0; at++)
        hash = hash * 33 + (uint8_t)*at;
    ElfW(Addr) word = filter[hash / bits & (filter_words - 1)];
    if ((word >> hash % bits & word >> (hash >> header[3]) % bits & 1) == 0 || bucket_count == 0)
        return 0;
    for (uint32_t index = buckets[hash % bucket_count]; index >= first; index++) {
        uint32_t other = chain[index - first];
        if ((other | 1) == (hash | 1) && is_definition(tables, index, name))
            return index;
        if ((other & 1) != 0)
            break;
    }
    return 0;
}

static uint32_t look_up_sysv(const struct symbol_tables *tables, const char *name)
{
    const hash_word bucket_count = tables->hash[0];
    const hash_word *buckets = tables->hash + 2, *chain = buckets + bucket_count;
    uint32_t hash = 0;
    for (const char *at = name; *at != 0; at++) {
        hash = (hash << 4) + (uint8_t)*at;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    if (bucket_count == 0)
        return 0;
    for (hash_word index = buckets[hash % bucket_count]; index != 0; index = chain[index])
        if (is_definition(tables, (uint32_t)index, name))
            return (uint32_t)index;
    return 0;
}

static void *look_up_symbol(const struct dl_phdr_info *object, const struct symbol_tables *tables,
                            const char *name)
{
    uint32_t index = 0;
    if (tables->gnu_hash != NULL)
        index = look_up_gnu(tables, name);
    else if (tables->hash != NULL)
        index = look_up_sysv(tables, name);
    if (index == 0)
        return NULL;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr) */
    return (void *)(object->dlpi_addr + tables->symbols[index].st_value);
}

static int search_object(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    struct search *search = context;
    if (object->dlpi_addr == (ElfW(Addr)) & __ehdr_start) {
        search->behind = true;
        return 0;
    }
    /* The vdso's functions return a negative error instead of setting errno. */
    if (!search->behind || object->dlpi_addr == getauxval(AT_SYSINFO_EHDR))
        return 0;
    const struct symbol_tables tables = read_tables(object);
    size_t missing = 0;
    if (tables.symbols == NULL || tables.strings == NULL)
        return 0;
    for (size_t i = 0; i < search->count; i++) {
        struct symbol *symbol = &search->symbols[i];
        if (symbol->address == NULL)
            symbol->address = look_up_symbol(object, &tables, symbol->name);
        missing += symbol->address == NULL;
    }
    return missing == 0;
}

void symbols_find(struct symbol *symbols, size_t count)
{
    struct search search = {.symbols = symbols, .count = count};
    dl_iterate_phdr(search_object, &search);
}

static int note_path(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size;
    if (object->dlpi_addr != (ElfW(Addr)) & __ehdr_start)
        return 0;
    *(const char **)context = object->dlpi_name;
    return 1;
}

const char *symbols_own_path(void)
{
    const char *path = NULL;
    dl_iterate_phdr(note_path, &path);
    return path;
}
