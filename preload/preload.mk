# SPDX-License-Identifier: MIT
#
# libsocktune.so for this machine, and, where the compilers are there, for i386 and aarch64.
#
# Lean on purpose, since every start of a program pays for it: no start files, no DT_NEEDED (libc is
# there in any case; so the same object loads under musl), two segments, no lazy binding, one page
# of data. -fexceptions: cancellation and C++ exceptions unwind through the hooks.

PRELOAD_CFLAGS := $(STD) $(WARNINGS) -O2 -g -D_GNU_SOURCE -U_FORTIFY_SOURCE -MMD -MP $(call includes,preload) \
                  -fPIC -fvisibility=hidden -fexceptions \
                  -fno-stack-protector -fno-plt -ffreestanding -fno-tree-loop-distribute-patterns \
                  -fcf-protection=none
PRELOAD_LDFLAGS := -shared -nostdlib -Wl,-z,initfirst -Wl,-z,now -Wl,-z,norelro \
                   -Wl,-z,noseparate-code -Wl,-z,noexecstack -Wl,--hash-style=gnu -Wl,--build-id \
                   -Wl,-Bsymbolic -Wl,--gc-sections -Wl,-soname,libsocktune.so

# On aarch64, gcc would have atomics in libgcc, which is not linked.
machine_flags = $(if $(findstring aarch64,$(shell $(1) -dumpmachine 2>/dev/null)),-mno-outline-atomics)

# $(call preload_rules,directory,compiler,flags)
define preload_rules
$(1)/hooks.map: preload/hooks.map.in preload/hooks.def
	$$(Q)mkdir -p $$(@D) && $(2) -E -P -x c $$< -o $$@
$(patsubst %.c,$(1)/%.o,$(PRELOAD_SRC)): $(1)/%.o: %.c Makefile preload/preload.mk
	$$(call say,CC,$$<)
	$$(Q)mkdir -p $$(@D) && $(2) $(3) $$(PRELOAD_CFLAGS) -include preload/weak_libc.h -c -o $$@ $$<
$(1)/libsocktune.so: $(patsubst %.c,$(1)/%.o,$(PRELOAD_SRC)) $(1)/hooks.map
	$$(call say,LD,$$@)
	$$(Q)$(2) $(3) $$(PRELOAD_LDFLAGS) -Wl,--version-script,$(1)/hooks.map -o $$@ $$(filter %.o,$$^)
endef

$(eval $(call preload_rules,$(B)/x,$(CC),$(call machine_flags,$(CC))))
$(eval $(call preload_rules,$(B)/i386,$(CC),-m32 -idirafter /usr/include/$(MULTIARCH)))
$(eval $(call preload_rules,$(B)/aarch64,$(CC_AARCH64),$(call machine_flags,$(CC_AARCH64))))

$(B)/libsocktune.so: $(B)/x/libsocktune.so
	$(Q)cp $< $@
