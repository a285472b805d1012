# SPDX-License-Identifier: MIT
#
# Fuzzers, FUZZ_SECONDS each. They start from the rule files of the tests, and from the policies
# compiled from these; their corpus is kept in build/fuzz, so the next run continues there.

FUZZ_SECONDS ?= 60
FUZZ_CFLAGS  := $(STD) -D_GNU_SOURCE -O1 -g -fsanitize=fuzzer,address,undefined \
                -fno-sanitize-recover=all
FUZZ_RULES   := $(wildcard tests/fixtures/good/*.conf tests/fixtures/warn/*.conf \
                  config/examples/*.conf)

$(B)/fuzz/fuzz_parse: tests/fuzz/fuzz_parse.c $(call sources,config) $(ENGINE)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && clang $(FUZZ_CFLAGS) $(call includes,config) -o $@ $^ $(CONFIG_LIBS)
$(B)/fuzz/fuzz_policy: tests/fuzz/fuzz_policy.c $(ENGINE)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && clang $(FUZZ_CFLAGS) $(call includes,preload) -o $@ $^

$(B)/fuzz/fuzz_ring: tests/fuzz/fuzz_ring.c tools/helper/clients/ring_reader.c preload/wire/ring.c
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && clang $(FUZZ_CFLAGS) $(call includes,tools/helper) -o $@ $^
$(B)/fuzz/fuzz_registration: tests/fuzz/fuzz_registration.c tools/helper/clients/registration_parse.c \
                             tools/helper/clients/handoff.c tools/helper/clients/ring_reader.c tools/lib/read_option.c config/option.c $(ENGINE)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && clang $(FUZZ_CFLAGS) $(call includes,tools/helper) -o $@ $^

# The real server, on a socket in /tmp.
$(B)/fuzz/fuzz_query: tests/fuzz/fuzz_query.c $(filter-out tools/helper/main.c,$(HELPER_SRC))
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && clang $(FUZZ_CFLAGS) $(call includes,tools/helper) -o $@ $^ $(CONFIG_LIBS) $(HELPER_LIBS)

$(B)/fuzz/rules: $(FUZZ_RULES) $(wildcard tests/fixtures/bad/*.conf)
	$(Q)mkdir -p $@ && cp $^ $@ && touch $@
# A policy after 42 arbitrary bytes, the sockinfo of fuzz_policy.c.
$(B)/fuzz/policies: $(FUZZ_RULES) $(B)/socktune
	$(Q)mkdir -p $@ && for rules in $(FUZZ_RULES); do \
	    { head -c 42 /dev/zero | tr '\0' '\377' && $(B)/socktune compile -o - $$rules 2>/dev/null; } \
	        >$@/$$(basename $$rules) || exit 1; done; touch $@

# $(call fuzz,fuzzer,corpus,longest input)
fuzz = $(Q)mkdir -p $(B)/fuzz/$(1).found && cd $(B)/fuzz && \
       ./$(1) -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=$(3) -print_final_stats=1 -print_funcs=0 \
           -verbosity=0 $(1).found $(2)

## make fuzz             the parser, the policy loader, the readers of rings and registrations, the
##                       helper's HTTP; FUZZ_SECONDS=60 each
.PHONY: fuzz
fuzz:
	$(packages) $(PACKAGES_FUZZ)
	$(MAKE) $(B)/fuzz/fuzz_parse $(B)/fuzz/fuzz_policy $(B)/fuzz/fuzz_ring \
	    $(B)/fuzz/fuzz_registration $(B)/fuzz/fuzz_query $(B)/fuzz/rules $(B)/fuzz/policies
	$(call fuzz,fuzz_parse,rules,4096)
	$(call fuzz,fuzz_policy,policies,8192)
	$(call fuzz,fuzz_ring,,4096)
	$(call fuzz,fuzz_registration,,4096)
	$(call fuzz,fuzz_query,,4096)
