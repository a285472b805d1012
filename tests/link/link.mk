# SPDX-License-Identifier: MIT
#
# The link emulator of tests and benchmarks; see main.c and link.py.

link_obj := $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/link/*.c))
$(B)/obj/tests/%.o: tests/%.c Makefile tests/link/link.mk
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(TOOLS_CFLAGS) $(INC_tests) -c -o $@ $<
$(B)/tests/link: $(link_obj)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(CFLAGS) -o $@ $^
