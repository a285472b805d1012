/* SPDX-License-Identifier: MIT */
/*
 * Facts about executables, and the obstacles that follow from them. tests/programs/test_doctor.py
 * tests programs of real compilers; this file tests the decisions, the search in PATH, scripts, and
 * damaged files.
 */
#include "obstacles.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/socktune-elf-XXXXXX";

static void make_directory(void)
{
    cr_assert(mkdtemp(directory) != NULL);
}

static void remove_directory(void)
{
    char command[PATH_MAX];
    snprintf(command, sizeof command, "PATH=/usr/bin:/bin; rm -rf '%s'", directory);
    cr_assert(system(command) == 0); /* NOLINT: the command contains only our own name */
}

TestSuite(executable, .init = make_directory, .fini = remove_directory);

/* The path of a file in the directory; in a static buffer. */
static const char *in_directory(const char *name)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static const char *write_file(const char *name, const void *bytes, size_t size, mode_t mode)
{
    const char *path = in_directory(name);
    FILE *file = fopen(path, "w");
    cr_assert(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
    cr_assert(chmod(path, mode) == 0);
    return path;
}

static const char *write_script(const char *name, const char *text)
{
    return write_file(name, text, strlen(text), 0755);
}

/* The contents of this test program: a real ELF file of this machine. */
static unsigned char *own_bytes(size_t *size)
{
    FILE *file = fopen("/proc/self/exe", "r");
    unsigned char *bytes;
    cr_assert(file && fseek(file, 0, SEEK_END) == 0);
    *size = (size_t)ftell(file);
    rewind(file);
    bytes = malloc(*size);
    cr_assert(bytes && fread(bytes, 1, *size, file) == *size);
    fclose(file);
    return bytes;
}

/* Obstacles */

static char *libc_only[] = {(char *)"libc.so.6", NULL};
static char *with_asan[] = {(char *)"libasan.so.8", (char *)"libc.so.6", NULL};
static char *with_clang_asan[] = {(char *)"libclang_rt.asan-x86_64.so", NULL};
static char *nothing[] = {NULL};

/* A dynamic glibc program compatible with this test program, which takes the library's role. */
#define GLIBC_PROGRAM                                                                              \
    .readable = true, .abi = {.word_size = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32},         \
    .loader = (char *)"/lib64/ld-linux.so", .loader_kind = LOADER_GLIBC, .uid = 1, .gid = 1

static const struct {
    const char *name;
    struct executable executable;
    struct launch launch;
    unsigned obstacles;
} cases[] = {
    {"plain", {GLIBC_PROGRAM, .needed = libc_only}, {.uid = 1000}, 0},
    {"unreadable", {.needed = nothing}, {.uid = 0}, OBSTACLE_UNREADABLE},
    {"unreadable and set-user-ID",
     {.needed = nothing, .setuid = true},
     {.uid = 1000},
     OBSTACLE_UNREADABLE | OBSTACLE_SECURE},
    {"static", {.readable = true, .needed = nothing}, {.uid = 0}, OBSTACLE_STATIC},
    {"static Go",
     {.readable = true, .needed = nothing, .go = true},
     {.uid = 0},
     OBSTACLE_STATIC | OBSTACLE_GO},
    {"dynamic Go", {GLIBC_PROGRAM, .needed = libc_only, .go = true}, {.uid = 0}, OBSTACLE_GO},
    {"no libc", {GLIBC_PROGRAM, .needed = nothing}, {.uid = 0}, OBSTACLE_NO_LIBC},
    {"ASan", {GLIBC_PROGRAM, .needed = with_asan}, {.uid = 0}, OBSTACLE_ASAN},
    {"PHP", {GLIBC_PROGRAM, .needed = libc_only, .php = true}, {.uid = 0}, OBSTACLE_DEEPBIND},
    {"clang's ASan", {GLIBC_PROGRAM, .needed = with_clang_asan}, {.uid = 0}, OBSTACLE_ASAN},
    {"ASan behind another library",
     {GLIBC_PROGRAM, .needed = with_asan},
     {.preload = "/lib/libx.so /lib/libasan.so.8"},
     OBSTACLE_ASAN},
    {"ASan first", {GLIBC_PROGRAM, .needed = with_asan}, {.preload = ":libasan.so.8:x.so"}, 0},
    {"ASan first by path",
     {GLIBC_PROGRAM, .needed = with_asan},
     {.preload = "/usr/lib/gcc/libasan.so x.so"},
     0},
    {"ASan told not to look",
     {GLIBC_PROGRAM, .needed = with_asan},
     {.asan_options = "detect_leaks=0:verify_asan_link_order=0"},
     0},
    {"set-user-ID to another",
     {GLIBC_PROGRAM, .needed = libc_only, .setuid = true},
     {.uid = 2, .gid = 2},
     OBSTACLE_SECURE},
    {"set-user-ID to oneself",
     {GLIBC_PROGRAM, .needed = libc_only, .setuid = true},
     {.uid = 1, .gid = 2},
     0},
    {"set-group-ID to another",
     {GLIBC_PROGRAM, .needed = libc_only, .setgid = true},
     {.uid = 2, .gid = 2},
     OBSTACLE_SECURE},
    {"set-user-ID without new privileges",
     {GLIBC_PROGRAM, .needed = libc_only, .setuid = true, .setgid = true},
     {.uid = 2, .gid = 2, .no_new_privs = true},
     0},
    {"capabilities for a user",
     {GLIBC_PROGRAM, .needed = libc_only, .capabilities = true},
     {.uid = 2, .no_new_privs = true},
     OBSTACLE_SECURE},
    {"capabilities for root",
     {GLIBC_PROGRAM, .needed = libc_only, .capabilities = true},
     {.uid = 0},
     0},
    {"Android",
     {.readable = true,
      .needed = libc_only,
      .loader = (char *)"/system/bin/linker64",
      .loader_kind = LOADER_OTHER},
     {.uid = 0},
     OBSTACLE_LOADER},
};

static struct elf_abi own_abi(void)
{
    struct executable self;
    struct elf_abi abi;
    cr_assert(executable_read("/proc/self/exe", &self) == 0);
    abi = self.abi;
    executable_free(&self);
    return abi;
}

Test(executable, obstacles)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct executable executable = cases[i].executable;
        struct launch launch = cases[i].launch;
        unsigned found;
        executable.abi = own_abi();
        launch.library = "/proc/self/exe";
        found = executable_obstacles(&executable, &launch);
        cr_expect(found == cases[i].obstacles, "%s: %#x", cases[i].name, found);
    }
}

Test(executable, every_obstacle_has_a_row_and_says_what_to_do)
{
    size_t count;
    const struct obstacle *table = obstacle_table(&count);
    unsigned all = 0;
    for (size_t i = 0; i < count; i++) {
        cr_expect(eq(uint, all & table[i].bit, 0), "%s has no bit of its own", table[i].id);
        all |= table[i].bit;
        cr_expect(table[i].id[0] && table[i].problem[0] && table[i].advice[0]);
        cr_expect(table[i].advice[strlen(table[i].advice) - 1] == '.', "%s", table[i].id);
        cr_expect(table[i].problem[strlen(table[i].problem) - 1] != '.', "%s", table[i].id);
    }
    cr_expect(eq(uint, all, 2 * OBSTACLE_X32 - 1));
}

Test(executable, musl_knows_no_token)
{
    struct executable executable = {GLIBC_PROGRAM, .needed = libc_only};
    struct launch launch = {.library = "/$LIB/x.so", .uid = 0};
    executable.loader_kind = LOADER_MUSL;
    cr_expect(eq(uint, executable_obstacles(&executable, &launch), OBSTACLE_MUSL_TOKEN));
    executable.loader_kind = LOADER_GLIBC;
    cr_expect(eq(uint, executable_obstacles(&executable, &launch), OBSTACLE_ARCHITECTURE));
}

Test(executable, library_is_sought_where_the_loader_takes_LIB_to_be)
{
    static const char *const places[] = {"lib", "lib64", "lib/some-linux-gnu", "lib32"};
    size_t size;
    unsigned char *bytes = own_bytes(&size);
    struct executable program = {.abi = own_abi()}, foreign = program;
    foreign.abi.machine = program.abi.machine == EM_386 ? EM_ARM : EM_386;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char command[PATH_MAX], name[PATH_MAX], loader[PATH_MAX], library[PATH_MAX];
        snprintf(command, sizeof command, "mkdir -p '%s/root/usr/%s' '%s/%zu/%s'", directory,
                 places[i], directory, i, places[i]);
        cr_assert(system(command) == 0); /* NOLINT */
        snprintf(name, sizeof name, "root/usr/%s/ld-linux.so.2", places[i]);
        snprintf(loader, sizeof loader, "%s", write_file(name, "", 0, 0755));
        snprintf(name, sizeof name, "%zu/%s/x.so", i, places[i]);
        write_file(name, bytes, size, 0644);
        snprintf(library, sizeof library, "%s/%zu/%s/x.so", directory, i, i ? "$LIB" : "${LIB}");
        program.loader = foreign.loader = loader;
        cr_expect(library_fits(library, &program), "%s", places[i]);
        cr_expect_not(library_fits(library, &foreign), "%s", places[i]);
        snprintf(library, sizeof library, "%s/%zu/$LIB/x.so", directory, i + 1);
        cr_expect_not(library_fits(library, &program), "%s", places[i]);
    }
    cr_expect_not(library_fits("/nonexistent.so", &program));
    cr_expect_not(library_fits("/etc/passwd", &program));
    program.loader = (char *)"/nonexistent/lib/ld.so";
    cr_expect_not(library_fits("/$LIB/x.so", &program));
    free(bytes);
}

/* Files */

Test(executable, own_program)
{
    struct executable self;
    struct elf_abi abi;
    cr_assert(executable_read("/proc/self/exe", &self) == 0);
    abi = self.abi;
    cr_expect(self.readable && self.hops == 0);
    cr_expect_not(self.go || self.setuid || self.setgid || self.capabilities);
    cr_expect(self.loader != NULL && self.loader_kind == LOADER_GLIBC);
    cr_expect(executable_needs(&self, "libcriterion.so") != NULL);
    cr_expect(executable_needs(&self, "libnothing") == NULL);
    cr_expect(abi.word_size == (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32));
    executable_free(&self);
}

static int error_of(const char *path)
{
    struct executable executable;
    int result = executable_read(path, &executable);
    int error = errno;
    executable_free(&executable);
    return result == 0 ? 0 : error;
}

Test(executable, what_cannot_be_run)
{
    cr_expect(eq(int, error_of("/nonexistent"), ENOENT));
    cr_expect(eq(int, error_of("/tmp"), EISDIR));
    cr_expect(eq(int, error_of(write_file("text", "x", 1, 0644)), EACCES));
    cr_expect(eq(int, error_of(write_file("magic", "\177ELF", 4, 0755)), ENOEXEC));
    cr_expect(eq(int, error_of(write_file("binary", "a\0b", 3, 0755)), ENOEXEC));
    cr_expect(eq(int, error_of(write_script("cut", "#!")), EACCES));
    cr_expect(eq(int, error_of(write_script("lost", "#!/nonexistent/shell\n")), ENOENT));
    cr_expect(eq(int, error_of(write_script("env", "#!/usr/bin/env no-such-command\n")), ENOENT));
    cr_expect(eq(int, error_of(write_script("word", "#!/usr/bin/env sh -e\n")), ENOENT));
    cr_expect(eq(int, error_of(write_script("empty", "")), 0));
}

/* Files damaged at random: no fault (the sanitizers check), and a result or ENOEXEC. */
Test(executable, damaged_files, .timeout = 120)
{
    const size_t kept = 1 << 16; /* headers, notes and the dynamic section are at the beginning */
    size_t size;
    unsigned char *bytes = own_bytes(&size);
    unsigned char *copy = malloc(kept);
    unsigned random = 1;
    cr_assert(copy && size >= kept);
    for (unsigned round = 0; round < 3000; round++) {
        size_t length = kept;
        int error;
        memcpy(copy, bytes, kept);
        for (unsigned i = 0; i <= round % 8; i++) {
            random = random * 1103515245u + 12345u;
            /* Mostly in the file and program headers; some values are extremes. */
            copy[16 + (random >> 8) % (round % 3 ? 1000 : kept - 16)] =
                random >> 30 ? (unsigned char)(random >> 20) : 0xff;
        }
        if (round % 5 == 0)
            length = (random >> 7) % kept;
        error = error_of(write_file("damaged", copy, length, 0755));
        cr_expect(error == 0 || error == ENOEXEC, "round %u: %s", round, strerror(error));
    }
    free(copy);
    free(bytes);
}

/* Scripts */

static const struct {
    const char *line;
    const char *rest; /* after the helper's path; NULL: the line does not contain it */
    bool runs_us;
} lines[] = {
    {"#!", "\n", true},
    {"#! ", "\n", true},
    {"#!\t", " -x y\n", true},
    {"#!", "", true},
    {"#!/usr/bin/env helper\n", NULL, true},
    {"#!/usr/bin/env -S helper -x\n", NULL, true},
    {"#!/usr/bin/env -Shelper -x\n", NULL, true},
    {"#!/usr/bin/env --split-string=helper\n", NULL, true},
    {"#!/usr/bin/env -S -i A=1 helper\n", NULL, true},
    {"#!/usr/bin/env -S -u NAME helper\n", NULL, true},
    {"#!/usr/bin/env\n", NULL, false},
    {"echo without a first line\n", NULL, false},
};

Test(executable, scripts)
{
    size_t size;
    unsigned char *bytes = own_bytes(&size);
    char helper[PATH_MAX], text[2 * PATH_MAX];
    snprintf(helper, sizeof helper, "%s", write_file("helper", bytes, size, 0755));
    cr_assert(setenv("PATH", directory, 1) == 0);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct executable executable;
        snprintf(text, sizeof text, "%s%s%s", lines[i].line, lines[i].rest != NULL ? helper : "",
                 lines[i].rest != NULL ? lines[i].rest : "");
        cr_expect(executable_read(write_script("script", text), &executable) == 0, "%s", text);
        cr_expect(executable.hops == 1, "%s", text);
        cr_expect(lines[i].runs_us == (strcmp(executable.file, helper) == 0), "%s: %s", text,
                  executable.file);
        executable_free(&executable);
    }
    free(bytes);
}

static void expect_command(const char *path, char *const *arguments, const char *expected)
{
    struct executable executable;
    char text[1024] = "";
    const char **line;
    cr_assert(executable_read(path, &executable) == 0);
    line = executable_command_line(&executable, arguments);
    for (size_t i = 0; line[i]; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s|", line[i]);
    cr_expect_str_eq(text, expected);
    free(line);
    executable_free(&executable);
}

/* execvp(3) runs files of unknown format with /bin/sh: in our process, and in env(1). */
Test(executable, what_the_kernel_does_not_know)
{
    char *called[] = {(char *)"as", (char *)"-x", NULL};
    char text[2 * PATH_MAX + 8], expected[2 * PATH_MAX];
    cr_assert(setenv("PATH", directory, 1) == 0);
    cr_assert(chdir(directory) == 0);
    write_script("nameless", "#!\nexit\n");
    expect_command("./nameless", called, "/bin/sh|./nameless|-x|");
    write_script("blanks", "#! \t\nexit\n");
    expect_command("./blanks", called, "/bin/sh|./blanks|-x|");
    snprintf(text, sizeof text, "#!%s\n", write_script("textual", "exit\n"));
    write_script("by-text", text);
    expect_command("./by-text", called, "/bin/sh|./by-text|-x|");
    snprintf(text, sizeof text, "#!%s\n", write_file("picture", "a\0b", 3, 0755));
    write_script("by-picture", text);
    expect_command("./by-picture", called, "/bin/sh|./by-picture|-x|");
    write_script("by-env", "#!/usr/bin/env textual\n");
    snprintf(expected, sizeof expected, "/bin/sh|%s|./by-env|-x|", in_directory("textual"));
    expect_command("./by-env", called, expected);
    memset(text, 'x', sizeof text);
    text[0] = '#';
    text[1] = '!';
    text[2] = '/';
    write_file("endless", text, 300, 0755);
    expect_command("./endless", called, "/bin/sh|./endless|-x|");
}

/* As created by Python's zipapp module. */
Test(executable, a_script_with_an_archive)
{
    static const char bytes[] = "#!/bin/sh -e\nPK\3\4\0\0\0";
    char *called[] = {(char *)"as", NULL};
    cr_assert(chdir(directory) == 0);
    write_file("archive", bytes, sizeof bytes, 0755);
    expect_command("./archive", called, "/bin/sh|-e|./archive|");
}

/* As in /proc/PID/cmdline. A shim is a script with an interpreter's name. */
Test(executable, command_lines_are_the_kernels)
{
    char *called[] = {(char *)"as", (char *)"-x", NULL};
    char shim[PATH_MAX], expected[2 * PATH_MAX];
    cr_assert(setenv("PATH", directory, 1) == 0);
    cr_assert(chdir(directory) == 0);
    expect_command("/bin/sh", called, "as|-x|");
    write_script("bare", "exit\n");
    expect_command("./bare", called, "/bin/sh|./bare|-x|");
    write_script("options", "#!/bin/sh -e -u  \n");
    expect_command("./options", called, "/bin/sh|-e -u|./options|-x|");
    snprintf(shim, sizeof shim, "%s", write_script("shim", "#!/bin/sh -e\n"));
    write_script("worker", "#!/usr/bin/env -S shim -v\n");
    snprintf(expected, sizeof expected, "/bin/sh|-e|%s|-v|./worker|-x|", shim);
    expect_command("./worker", called, expected);
    snprintf(expected, sizeof expected, "/bin/sh|-e|%s|-x|", shim);
    expect_command(shim, called, expected);
}

Test(executable, chains_of_scripts_are_bounded)
{
    char text[PATH_MAX + 8], name[16];
    write_script("s0", "#!/bin/sh\n");
    for (int i = 1; i <= 6; i++) {
        char before[16];
        snprintf(before, sizeof before, "s%d", i - 1);
        snprintf(text, sizeof text, "#!%s\n", in_directory(before));
        snprintf(name, sizeof name, "s%d", i);
        write_script(name, text);
    }
    cr_expect(eq(int, error_of(in_directory("s4")), 0));
    cr_expect(eq(int, error_of(in_directory("s6")), ELOOP));
}

/* PATH */

static void expect_found(const char *name, const char *expected, int error)
{
    char *found;
    errno = 0;
    found = executable_find(name);
    if (expected != NULL)
        cr_expect(found && strcmp(found, expected) == 0, "%s: %s", name, found ? found : "none");
    else
        cr_expect_not(found || errno != error, "%s: %s", name, found ? found : strerror(errno));
    free(found);
}

Test(executable, search_in_PATH)
{
    char path[PATH_MAX];
    write_script("command", "#!/bin/sh\n");
    write_file("plain", "x", 1, 0644);
    cr_assert(mkdir(in_directory("folder"), 0755) == 0);
    snprintf(path, sizeof path, "/nonexistent:%s", directory);
    cr_assert(setenv("PATH", path, 1) == 0);
    expect_found("command", in_directory("command"), 0);
    expect_found("no-such-command", NULL, ENOENT);
    expect_found("plain", NULL, EACCES);
    expect_found("folder", NULL, ENOENT);
    expect_found("", NULL, ENOENT);
    expect_found("./elsewhere", "./elsewhere", 0);
    cr_assert(chdir(directory) == 0);
    cr_assert(setenv("PATH", "/nonexistent:", 1) == 0);
    expect_found("command", "./command", 0);
    cr_assert(setenv("PATH", "", 1) == 0);
    expect_found("command", "./command", 0);
    cr_assert(unsetenv("PATH") == 0);
    expect_found("sh", "/bin/sh", 0);
}
