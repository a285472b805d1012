# SPDX-License-Identifier: MIT
#
# libsocktune.so for this machine, and, where the compilers are there, for others.
#
# Lean on purpose, since every start of a program pays for it: no start files, no DT_NEEDED (libc is
# there in any case; so the same object loads under musl), two segments, no lazy binding, one page
# of data. -fexceptions: cancellation and C++ exceptions unwind through the hooks.

# CPPFLAGS, CFLAGS and LDFLAGS come first, so that what the object needs prevails; what would link a
# runtime library to it is left out. The manual page (libsocktune.so.8, BUILDING) gives the reasons.
without_runtime = $(filter-out --coverage -ftest-coverage -fprofile% -fsanitize% -flto%,$(1))
PRELOAD_CFLAGS := $(COMMON_FLAGS) $(call includes,preload) $(CPPFLAGS) $(call without_runtime,$(CFLAGS)) \
                  -fPIC -fvisibility=hidden -fexceptions -fno-plt -ffreestanding -U_FORTIFY_SOURCE -fno-stack-protector
PRELOAD_LDFLAGS := $(call without_runtime,$(LDFLAGS)) -shared -nostdlib -Wl,-z,initfirst -Wl,-z,now -Wl,-z,norelro \
                   -Wl,-z,noseparate-code -Wl,-z,noexecstack -Wl,--hash-style=gnu -Wl,--build-id \
                   -Wl,-Bsymbolic -Wl,--gc-sections -Wl,-soname,libsocktune.so

# gcc would make a call of memset() of a loop, and on aarch64 a call of libgcc of an
# atomic operation. An object without marks for IBT, shadow stacks and BTI would switch these off
# for the whole program; the marks cost nothing that could be measured.
machine_flags = $(shell $(1) -dM -E -x c /dev/null 2>/dev/null | awk '/ __clang__ / { clang = 1 } \
    / __(x86_64|i386)__ / { print "-fcf-protection=full" } \
    / __aarch64__ / { print "-mno-outline-atomics -mbranch-protection=standard" } \
    END { if (!clang) print "-fno-tree-loop-distribute-patterns" }')

# $(call preload_rules,directory,compiler,flags)
define preload_rules
$(1)/hooks.map: preload/hooks.map.in preload/hooks.def
	$$(Q)mkdir -p $$(@D) && $(2) $(3) -E -P -x c $$< -o $$@
$(patsubst %.c,$(1)/%.o,$(PRELOAD_SRC)): $(1)/%.o: %.c Makefile preload/preload.mk
	$$(call say,CC,$$<)
	$$(Q)mkdir -p $$(@D) && $(2) $(3) $$(PRELOAD_CFLAGS) -include preload/weak_libc.h -c -o $$@ $$<
$(1)/libsocktune.so: $(patsubst %.c,$(1)/%.o,$(PRELOAD_SRC)) $(1)/hooks.map
	$$(call say,LD,$$@)
	$$(Q)$(2) $(3) $$(PRELOAD_LDFLAGS) -Wl,--version-script,$(1)/hooks.map -o $$@ $$(filter %.o,$$^) -lgcc
endef

$(eval $(call preload_rules,$(B)/x,$(CC),$(call machine_flags,$(CC))))
$(eval $(call preload_rules,$(B)/i386,$(CC),$(call machine_flags,$(CC)) -m32 -idirafter /usr/include/$(MULTIARCH)))
# A compiler that is not needed is not asked for its macros.
$(foreach machine,$(MACHINES),$(eval $(call preload_rules,$(B)/$(machine),$(CC_$(machine)),\
    $(if $(filter $(machine) $(B)/$(machine)% other-machines check-machines,$(MAKECMDGOALS)),$(call machine_flags,$(CC_$(machine)))))))

$(B)/libsocktune.so: $(B)/x/libsocktune.so
	$(Q)cp $< $@
