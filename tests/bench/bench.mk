# SPDX-License-Identifier: MIT
#
# Benchmarks; see bench.py.

bench_programs := $(B)/bench/calls $(B)/bench/start
$(bench_programs): $(B)/bench/%: tests/bench/%.c tests/bench/bench.mk
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(STD) $(WARNINGS) $(CFLAGS) -D_GNU_SOURCE -o $@ $<

# The yardstick is what gcc makes of nothing by default: no flags of ours.
$(B)/bench/empty.so: tests/bench/empty.c tests/bench/bench.mk
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) -shared -fPIC -o $@ $<

## make bench            what preloading costs, in ratios, against an empty object
.PHONY: bench
bench: all $(bench_programs) $(B)/bench/empty.so
	$(PYTHON) -B tests/bench/bench.py $(B)
