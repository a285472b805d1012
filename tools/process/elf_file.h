/* SPDX-License-Identifier: MIT */
/*
 * What stands in an ELF file.
 */
#ifndef SOCKTUNE_ELF_FILE_H
#define SOCKTUNE_ELF_FILE_H

#include "executable.h"

/* Read the facts of an open ELF executable: from `abi` to `php`. `executable->file` is its path.
 * Returns 0, or -1 with errno: ENOEXEC if it is damaged. */
int elf_file_read(int fd, struct executable *executable);

/* True if there is an ELF file at `path` that is of this machine and word size. */
bool elf_file_fits(const char *path, struct elf_abi abi);

#endif
