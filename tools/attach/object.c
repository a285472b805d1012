/* SPDX-License-Identifier: MIT */
/*
 * The object file is embedded in the command. Only programs that are needed are loaded: each costs
 * the verifier's time.
 */
#include "object.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const unsigned char attach_object_begin[], attach_object_end[];

__asm__(".section .rodata\n"
        ".balign 8\n"
        ".global attach_object_begin\n"
        "attach_object_begin:\n"
        ".incbin \"" ATTACH_OBJECT "\"\n"
        ".global attach_object_end\n"
        "attach_object_end:\n"
        ".previous\n");

static __attribute__((format(printf, 2, 0))) int be_silent(enum libbpf_print_level level,
                                                           const char *format, va_list arguments)
{
    if (getenv("SOCKTUNE_BPF_LOG") == NULL)
        return 0;
    (void)level;
    return vfprintf(stderr, format, arguments);
}

/* Returns what BPF needs and this system lacks, as far as it is known before loading; else NULL. */
static const char *what_is_missing(void)
{
    int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "socktune", 4, 4, 1, NULL);
    if (map < 0)
        return errno == ENOSYS ? "this kernel has no BPF"
               : errno == EPERM
                   ? "BPF is not permitted: run as root, or with CAP_BPF, CAP_PERFMON and "
                     "CAP_NET_ADMIN"
                   : strerror(errno);
    close(map);
    if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
        return "this kernel does not describe its types (CONFIG_DEBUG_INFO_BTF), which BPF needs "
               "here";
    if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_FUNC_loop, NULL) == 0)
        return "this kernel is too old: Linux 5.17 or newer is needed";
    return NULL;
}

struct bpf_object *object_open(struct attach_error *error)
{
    const struct bpf_object_open_opts options = {.sz = sizeof options, .object_name = "socktune"};
    libbpf_set_print(be_silent);
    const char *missing = what_is_missing();
    if (missing != NULL) {
        attach_fail(error, "%s", missing);
        return NULL;
    }
    const size_t size = (uintptr_t)attach_object_end - (uintptr_t)attach_object_begin;
    struct bpf_object *object = bpf_object__open_mem(attach_object_begin, size, &options);
    struct bpf_program *program = NULL;
    if (object == NULL) {
        attach_fail(error, "cannot read the BPF programs: %s", strerror(errno));
        return NULL;
    }
    while ((program = bpf_object__next_program(object, program)) != NULL)
        bpf_program__set_autoload(program, false);
    return object;
}

struct bpf_program *object_program(const struct bpf_object *object, const char *program)
{
    return bpf_object__find_program_by_name(object, program);
}

void object_want(struct bpf_object *object, const char *program)
{
    bpf_program__set_autoload(object_program(object, program), true);
}

void object_size(struct bpf_object *object, const char *map, uint32_t count)
{
    bpf_map__set_max_entries(bpf_object__find_map_by_name(object, map), count > 0 ? count : 1);
}

int object_load(struct bpf_object *object, struct attach_error *error)
{
    int failed = bpf_object__load(object);
    if (failed == 0)
        return 0;
    if (failed == -EPERM)
        return attach_fail(error, "BPF is not permitted: run as root, or with CAP_BPF, "
                                  "CAP_PERFMON and CAP_NET_ADMIN");
    return attach_fail(error,
                       "this kernel does not load the BPF programs: %s (SOCKTUNE_BPF_LOG=1 shows "
                       "why)",
                       strerror(-failed));
}

int object_map(const struct bpf_object *object, const char *map)
{
    return bpf_object__find_map_fd_by_name(object, map);
}

int object_fill(const struct bpf_object *object, const char *map, const void *entries,
                size_t entry_size, uint32_t count, struct attach_error *error)
{
    int fd = object_map(object, map);
    for (uint32_t i = 0; i < count; i++)
        if (bpf_map_update_elem(fd, &i, (const char *)entries + i * entry_size, BPF_ANY) != 0)
            return attach_fail(error, "cannot write the BPF map %s: %s", map, strerror(errno));
    return 0;
}

int object_set_constants(const struct bpf_object *object, const struct attach_constants *constants,
                         struct attach_error *error)
{
    return object_fill(object, ".data.constants", constants, sizeof *constants, 1, error);
}

int object_iterate(const struct bpf_object *object, const char *program, struct attach_error *error)
{
    struct bpf_link *link = bpf_program__attach_iter(object_program(object, program), NULL);
    char nothing[4096];
    if (link == NULL)
        return attach_fail(error, "cannot iterate over sockets by BPF: %s", strerror(errno));
    int fd = bpf_iter_create(bpf_link__fd(link));
    int failed = fd < 0 ? errno : 0;
    while (failed == 0) {
        ssize_t got = read(fd, nothing, sizeof nothing);
        if (got == 0)
            break;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            failed = errno;
    }
    if (fd >= 0)
        close(fd);
    bpf_link__destroy(link);
    return failed == 0 ? 0
                       : attach_fail(error, "iterating over sockets by BPF: %s", strerror(failed));
}
