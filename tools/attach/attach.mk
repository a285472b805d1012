# SPDX-License-Identifier: MIT
#
# The BPF programs of `socktune attach`. They take clang and libbpf; without these, the command is
# built without them. ATTACH=no leaves them out in any case.

CLANG       ?= clang
BPF_MACHINE := $(shell uname -m)
BPF_ARCH    := $(or $(if $(filter x86_64 i%86,$(BPF_MACHINE)),x86),$(if $(filter aarch64,$(BPF_MACHINE)),arm64), \
               $(if $(filter riscv64,$(BPF_MACHINE)),riscv),$(if $(filter ppc64le,$(BPF_MACHINE)),powerpc),$(if $(filter s390x,$(BPF_MACHINE)),s390),x86)
BPF_CFLAGS  := -std=gnu11 -O2 -g -ffreestanding -target bpf -mcpu=v3 -D__TARGET_ARCH_$(BPF_ARCH) \
               -Wall -Wextra -Wno-unused-parameter $(WERROR) -iquote tools/attach -iquote preload/engine -iquote preload/wire \
               -I/usr/include/$(MULTIARCH) -ffile-prefix-map='$(CURDIR)'=.
ifeq ($(origin ATTACH),undefined)
ATTACH      := $(shell echo | $(CLANG) $(BPF_CFLAGS) -include linux/bpf.h -include bpf/bpf_helpers.h -x c -c -o /dev/null - \
               2>/dev/null && echo | $(CC) -include bpf/libbpf.h -x c -E - >/dev/null 2>&1 && echo yes || echo no)
endif
ATTACH_OBJECT := $(B)/obj/tools/attach/attach.bpf.o

# What needs libbpf.
ATTACH_SRC  := $(addprefix tools/attach/,attach_lock.c attachment.c list.c object.c open_sockets.c pins.c option_probe.c report_channel.c)

ifeq ($(ATTACH),yes)
LEFT_OUT    :=
ATTACH_FLAG := -DATTACH_BY_BPF
ATTACH_LIBS := -lbpf
else
LEFT_OUT    := $(ATTACH_SRC)
ATTACH_FLAG :=
ATTACH_LIBS :=
all: without-attach
.PHONY: without-attach
without-attach:
	@echo '  socktune attach is left out: clang or libbpf (libbpf-dev) is missing'
endif

$(ATTACH_OBJECT): tools/attach/attach.bpf.c tools/attach/attach_maps.h tools/attach/figures.bpf.h tools/attach/kernel_types.h \
    preload/engine/policy.h preload/wire/attach_report.h \
    tools/attach/attach.mk
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -c -o $@ $<
	-$(Q)llvm-strip -g $@ 2>/dev/null || true

# The object lies in the command as it is.
$(B)/obj/tools/attach/object.o $(B)/san/tools/attach/object.o: $(ATTACH_OBJECT)
%/tools/attach/object.o: EXTRA = -DATTACH_OBJECT='"$(ATTACH_OBJECT)"'
